import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { FileSystem } from '../../lib/files/fileSystem.js';
import { type FileBox, fileBox } from '../helpers/fileAgents.js';
import { linux, suite } from '../helpers/needs.js';

let box: FileBox;
let fs: FileSystem;
/** A fresh directory of the container for each test. */
let dir: string;

function code(expected: string, facts: object = {}) {
  return expect.objectContaining({ code: expected, ...facts });
}

suite('watching', [linux], () => {
  beforeAll(async () => {
    box = await fileBox();
    fs = box.fs;
  });
  afterAll(() => box.end());
  beforeEach(async () => {
    dir = await fs.mkdtemp('/tmp/test-');
  });

  test('a directory and a file in it', async () => {
    await fs.writeFile(`${dir}/f`, '');
    const seen: string[] = [];
    const stop = new AbortController();
    const watch = async (path: string, tag: string) => {
      const events = fs.watch(path, { signal: stop.signal });
      for await (const { eventType, filename } of events)
        seen.push(`${tag} ${eventType} ${filename}`);
    };
    const watches = [watch(dir, 'd'), watch(`${dir}/f`, 'f'), watch(dir, 'again')];
    await sleep(50);
    await fs.writeFile(`${dir}/new`, '');
    await fs.appendFile(`${dir}/f`, 'x');
    await fs.rename(`${dir}/new`, `${dir}/moved`);
    while (!seen.includes('d rename moved') || !seen.includes('again rename moved')) await sleep(5);
    const expected = [
      'd rename new',
      'd change f',
      'f change f',
      'again change f',
      'd rename moved',
    ];
    expect(seen).toEqual(expect.arrayContaining(expected));
    stop.abort('enough');
    for (const each of watches)
      await expect(each).rejects.toEqual(
        code('ABORT_ERR', { name: 'AbortError', cause: 'enough' }),
      );
  });

  test('a reader that is late is told that something was lost, and Node keeps only so much', async () => {
    await fs.writeFile(`${dir}/f`, '');
    const events = fs.watch(dir);
    let seen = false;
    const first = events.next().finally(() => {
      seen = true;
    });
    while (!seen) await fs.chmod(`${dir}/f`, 0o600);
    await first;
    // Two events each.
    for (let i = 0; i < 1500; i++)
      await fs.rename(`${dir}/${i === 0 ? 'f' : i - 1}`, `${dir}/${i}`);
    await sleep(50);
    const kept: (string | null)[] = [];
    while (kept.at(-1) !== null) kept.push((await events.next()).value?.filename ?? null);
    expect(kept.length).toBeGreaterThan(2000);
    expect(kept.length).toBeLessThanOrEqual(2048);
    await events.return();
  });

  test('one that is given up before the agent has answered takes nothing from another', async () => {
    const wholly = async (watch: AsyncGenerator, giveUp: () => unknown) => {
      const next = watch.next().catch((error) => error.code);
      // Its request is sent within this turn of the event loop, and answered in a later one.
      for (let i = 0; i < 100; i++) await Promise.resolve();
      await Promise.all([giveUp(), next]);
      // What is undone is asked for at the answer.
      for (let i = 0; i < 3; i++) await fs.stat(dir);
      return next;
    };
    const { agent } = box;
    const about = { syscall: 'watch' };
    const number = async () => {
      const request = { path: Buffer.from(dir), numbers: [0x2] };
      const { value } = await agent.call('watch', request, about);
      await agent.call('unwatch', { numbers: [value] }, about);
      return value;
    };
    const giveUps = async () => {
      const stop = new AbortController();
      const aborted = fs.watch(dir, { signal: stop.signal });
      expect(await wholly(aborted, () => stop.abort())).toBe('ABORT_ERR');
      const left = fs.watch(dir);
      expect(await wholly(left, () => left.return(undefined))).toMatchObject({ done: true });
    };
    // The kernel does not use a number again soon, but for what is watched still.
    const before = await number();
    await giveUps();
    expect(await number()).toBe(before + 3);
    const first = fs.watch(dir);
    const heard = first.next();
    await sleep(50);
    await giveUps();
    await fs.mkdir(`${dir}/x`);
    expect(await heard).toEqual({ done: false, value: { eventType: 'rename', filename: 'x' } });
    await first.return();
  });

  test('ends with what it watches, and when it is left', async () => {
    const events = fs.watch(dir);
    const first = events.next();
    await sleep(50);
    await fs.mkdir(`${dir}/x`);
    expect(await first).toEqual({ done: false, value: { eventType: 'rename', filename: 'x' } });
    await fs.rm(dir, { recursive: true });
    const rest: unknown[] = [];
    for await (const event of events) rest.push(event);
    expect(rest.length).toBeGreaterThan(0);
    await expect(fs.watch(dir).next()).rejects.toEqual(code('ENOENT', { syscall: 'watch' }));
    const left = fs.watch('/tmp');
    const pending = left.next();
    await sleep(20);
    await left.return();
    expect(await pending).toEqual({ done: true, value: undefined });
  });
});

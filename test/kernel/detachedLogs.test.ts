import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { afterEach, expect, test } from '@jest/globals';
import { readState } from '../../lib/detached/state.js';
import { containerDir } from '../../lib/detached/stateDir.js';
import { Container, createContainer, type LogEntry, type LogOptions } from '../../lib/index.js';
import { createElsewhere, freshId, removeAll, runtimeDir } from '../helpers/detached.js';
import { until } from '../helpers/launches.js';
import { residentBytes } from '../helpers/leaks.js';
import { cgroups, linux, suite } from '../helpers/needs.js';

async function entriesOf(box: Container, options: LogOptions = {}): Promise<LogEntry[]> {
  const entries: LogEntry[] = [];
  for await (const entry of box.logs(options)) entries.push(entry);
  return entries;
}

async function textOf(box: Container, options: LogOptions = {}): Promise<string> {
  return (await entriesOf(box, options)).map(({ data }) => data.toString()).join('');
}

/** Collects what a stream gives; `until` waits for text in it. */
function collect(stream: Readable): { text(): string; until(part: string): Promise<void> } {
  let text = '';
  stream.on('data', (chunk: Buffer) => {
    text += chunk.toString();
  });
  return { text: () => text, until: (part) => until(() => text.includes(part)) };
}

function logFiles(id: string): { names: string[]; bytes: number[] } {
  const names = readdirSync(containerDir(id)).filter((name) => name.startsWith('log'));
  return { names, bytes: names.map((name) => statSync(join(containerDir(id), name)).size) };
}

suite('the output of detached containers', [linux, cgroups, runtimeDir], () => {
  afterEach(removeAll);

  test('both streams are kept with their times, and read in parts', async () => {
    const before = Date.now();
    // Each part waits until the one before is in the log: two pipes have no order.
    const script = 'echo a; read x; echo b >&2; read x; printf "c\\nd\\ne"';
    const id = await createElsewhere({ command: ['sh', '-c', script], stdio: 'pipe' });
    const box = await Container.open(id);
    const { stdin } = await box.attach({ stdin: true });
    for await (const _ of box.logs({ follow: true })) stdin?.write('\n');
    await box.wait();
    const entries = await entriesOf(box);
    expect(entries.map(({ kind, data }) => [kind, data.toString()])).toEqual([
      ['stdout', 'a\n'],
      ['stderr', 'b\n'],
      ['stdout', 'c\nd\ne'],
    ]);
    const times = entries.map(({ time }) => time);
    expect(times).toEqual(times.toSorted((a, b) => a - b));
    expect(times[0]).toBeGreaterThanOrEqual(before);
    expect(times[2]).toBeLessThanOrEqual(Date.now());
    expect(await textOf(box, { stderr: false })).toBe('a\nc\nd\ne');
    expect(await textOf(box, { stdout: false, follow: true })).toBe('b\n');
    // The one before may have come within the same millisecond.
    const since = new Date(times[2] ?? 0);
    expect(await textOf(box, { since, stderr: false })).toBe('c\nd\ne');
    const tails = [0, 1, 2, 3, 4, 5, 9].map((tail) => textOf(box, { tail }));
    expect(await Promise.all(tails)).toEqual([
      ...['', 'e', 'd\ne', 'c\nd\ne', 'b\nc\nd\ne', 'a\nb\nc\nd\ne', 'a\nb\nc\nd\ne'],
    ]);
    expect(() => box.logs({ tail: -1 })).toThrow(expect.objectContaining({ option: 'tail' }));
  });

  test('a flood stays within its bound, and a reader that keeps up follows through rotation', async () => {
    const lines = 40_000;
    const id = freshId();
    const script = `i=0; while [ $i -lt ${lines} ]; do echo "line $i of the flood"; i=$((i+1)); done`;
    const box = await createContainer({
      detached: true,
      id,
      // It waits for the reader.
      command: ['sh', '-c', `read go; ${script}`],
      stdio: 'pipe',
      logs: { maxSize: '64KiB', maxFiles: 4 },
    });
    const reading = textOf(box, { follow: true });
    const { stdin } = await box.attach({ stdin: true });
    stdin?.write('go\n');
    await box.wait();
    const text = await reading;
    const { names, bytes } = logFiles(id);
    expect(names.sort()).toEqual(['log', 'log.1', 'log.2', 'log.3']);
    for (const size of bytes) expect(size).toBeLessThanOrEqual(65536);
    const kept = await textOf(box);
    // What is kept is the end of what was printed; the reader saw at least that much.
    expect(kept.endsWith(`line ${lines - 1} of the flood\n`)).toBe(true);
    // Three full files, less a chunk of 16 KiB at the end of each and the heads of short ones.
    expect(kept.length).toBeGreaterThan(100_000);
    expect(text.endsWith(kept.slice(-65536))).toBe(true);
    expect(await textOf(box, { tail: 1 })).toBe(`line ${lines - 1} of the flood\n`);
  });

  test('one file alone is turned over, too', async () => {
    const id = freshId();
    const command = ['sh', '-c', 'head -c 500000 /dev/zero; echo end'];
    const logs = { maxSize: 65536, maxFiles: 1 };
    const box = await createContainer({ detached: true, id, command, logs });
    await box.wait();
    expect(logFiles(id).names).toEqual(['log']);
    expect(logFiles(id).bytes[0]).toBeLessThanOrEqual(65536);
    expect((await textOf(box)).endsWith('end\n')).toBe(true);
  });

  test('following ends with the container, by an abort, and when it is left', async () => {
    const id = await createElsewhere({ command: ['sh', '-c', 'echo first; sleep 1000'] });
    const box = await Container.open(id);
    const controller = new AbortController();
    const seen: string[] = [];
    const aborted = (async () => {
      for await (const { data } of box.logs({ follow: true, signal: controller.signal })) {
        seen.push(data.toString());
        controller.abort();
      }
    })();
    await expect(aborted).rejects.toMatchObject({ name: 'AbortError', code: 'ABORT_ERR' });
    expect(seen).toEqual(['first\n']);
    const left = box.logs({ follow: true });
    await left.next();
    const pending = left.next();
    await left.return?.();
    expect(await pending).toEqual({ done: true, value: undefined });
    const reading = textOf(box, { follow: true });
    box.kill();
    expect(await reading).toBe('first\n');
  });

  test('letting go of it ends what is read of it', async () => {
    const id = await createElsewhere({ command: ['sh', '-c', 'echo first; sleep 1000'] });
    const box = await Container.open(id);
    await until(async () => (await textOf(box)) === 'first\n');
    const held = await box.attach();
    const reading = textOf(box, { follow: true });
    const output = collect(held.stdout);
    const ended = once(held.stdout, 'end');
    await box[Symbol.asyncDispose]();
    expect(await reading).toBe('first\n');
    await ended;
    expect('first\n'.endsWith(output.text())).toBe(true);
  });

  test('without a command there is no log', async () => {
    const id = await createElsewhere();
    expect(await textOf(await Container.open(id))).toBe('');
    expect(logFiles(id).names).toEqual([]);
  });

  test('several attach: what one writes all see, and the end of input is the command’s', async () => {
    const id = await createElsewhere({ command: ['sh', '-c', 'echo early; cat'], stdio: 'pipe' });
    const [first, second] = await Promise.all([Container.open(id), Container.open(id)]);
    await until(() => logFiles(id).bytes.some((size) => size > 8));
    const a = await first.attach({ stdin: true });
    const b = await second.attach({ stdin: true });
    const outputs = [collect(a.stdout), collect(b.stdout)];
    expect(a.resize({ cols: 1, rows: 1 })).toBe(false);
    a.stdin?.write('from a\n');
    await Promise.all(outputs.map((output) => output.until('from a\n')));
    b.stdin?.write('from b\n');
    await Promise.all(outputs.map((output) => output.until('from b\n')));
    a.close();
    b.stdin?.end('last\n');
    expect(await second.wait()).toMatchObject({ exitCode: 0 });
    await outputs[1]?.until('last\n');
    expect(outputs[1]?.text()).toBe('from a\nfrom b\nlast\n');
    await expect(second.attach()).resolves.toMatchObject({ stdin: null });
  });

  test('the end of input by one comes when all that feed the command have let go', async () => {
    const id = await createElsewhere({ command: ['cat'], stdio: 'pipe' });
    const [first, second] = await Promise.all([Container.open(id), Container.open(id)]);
    const a = await first.attach({ stdin: true });
    const b = await second.attach({ stdin: true });
    const output = collect(b.stdout);
    a.stdin?.end('from a\n');
    await output.until('from a\n');
    const ended = () =>
      first.attach({ stdin: true }).then(
        (c) => c.close(),
        ({ code }) => code === 'ERR_NO_STDIN',
      );
    await until(async () => (await ended()) === true);
    // Not at its end: it still reads.
    b.stdin?.write('from b\n');
    await output.until('from b\n');
    expect(second.state).toBe('running');
    b.close();
    expect(await second.wait()).toMatchObject({ exitCode: 0 });
  });

  test('without a pipe there is no stdin to attach to', async () => {
    const id = await createElsewhere({ command: ['sleep', '1000'] });
    const box = await Container.open(id);
    await expect(box.attach({ stdin: true })).rejects.toMatchObject({ code: 'ERR_NO_STDIN' });
    const { stdin, stdout, stderr } = await box.attach();
    expect([stdin, stdout.readable, stderr?.readable]).toEqual([null, true, true]);
  });

  test('to let go of a command that prints nothing closes its streams', async () => {
    const box = await Container.open(await createElsewhere({ command: ['sleep', '1000'] }));
    const held = await box.attach();
    const streams = [held.stdout, held.stderr as Readable];
    // As somebody who waits for the next piece.
    for (const stream of streams) stream.resume();
    const closed = Promise.all(streams.map((stream) => once(stream, 'close')));
    held.close();
    await closed;
    expect(streams.map(({ errored }) => errored)).toEqual([null, null]);
  });

  test('attached, following, and never reading: its flood goes on, others flow, memory is flat', async () => {
    const id = await createElsewhere({ command: ['yes'], logs: { maxSize: '1MiB', maxFiles: 2 } });
    const box = await Container.open(id);
    const { stdout } = await box.attach();
    stdout?.once('readable', () => {});
    const logs = box.logs({ follow: true });
    const first = await logs.next();
    expect(first.value?.data.toString()).toMatch(/^(y\n)+/);
    const { monitorPid } = readState(id);
    const [resident, monitors] = [residentBytes(), residentBytes(monitorPid)];
    // A megabyte has passed each time that it is another file.
    let [turns, last] = [0, 0];
    await until(() => {
      const { ino = last } =
        statSync(join(containerDir(id), 'log'), { throwIfNoEntry: false }) ?? {};
      if (ino !== last) turns++;
      last = ino;
      return turns > 100;
    });
    for (const word of ['a', 'b', 'c'])
      expect((await box.exec('echo', [word])).stdout).toBe(`${word}\n`);
    expect(residentBytes() - resident).toBeLessThan(32 << 20);
    expect(residentBytes(monitorPid) - monitors).toBeLessThan(4 << 20);
    await box.kill();
    expect(await box.wait()).toMatchObject({ signal: 'SIGKILL' });
    await logs.return();
    stdout?.destroy();
  });

  test('a terminal is written to, read and resized from elsewhere', async () => {
    const command = [
      'sh',
      '-c',
      'stty size; trap "stty size" WINCH; while read x; do echo "<$x>"; done',
    ];
    const id = await createElsewhere({ command, pty: { cols: 80, rows: 24 } });
    const box = await Container.open(id);
    const held = await box.attach({ stdin: true });
    expect(held.stderr).toBeNull();
    const closed = once(held.stdout, 'close');
    const output = collect(held.stdout);
    held.stdin?.write('word\n');
    await output.until('<word>');
    expect(held.resize({ cols: 120, rows: 40 })).toBe(true);
    held.stdin?.write('more\n');
    await output.until('40 120');
    held.stdin?.write('\x04');
    expect(await box.wait()).toMatchObject({ exitCode: 0 });
    await closed;
    expect(held.resize({ cols: 80, rows: 24 })).toBe(false);
    held.close();
    held.close();
    expect(held.resize({ cols: 80, rows: 24 })).toBe(false);
    // What was typed may be echoed before it.
    expect(await textOf(box)).toMatch(/^24 80\r$/m);
  });

  test('a terminal that its command does not read holds nobody up', async () => {
    const id = await createElsewhere({ command: ['sleep', '1000'], pty: { cols: 80, rows: 24 } });
    const box = await Container.open(id);
    const held = await box.attach({ stdin: true });
    let written = false;
    held.stdin?.write(Buffer.alloc(1 << 20, '\n'), () => {
      written = true;
    });
    // Later than any write that did not wait.
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setTimeout(resolve, 2));
    expect(written).toBe(false);
    expect((await box.exec('echo', ['here'])).stdout).toBe('here\n');
    held.close();
  });

  test('what waits for such a terminal keeps its writer alive, and arrives', async () => {
    const command = ['sh', '-c', 'stty raw -echo; echo ready; head -c 1048576 | wc -c; sleep 1000'];
    const id = await createElsewhere({ command, pty: { cols: 80, rows: 24 } });
    const box = await Container.open(id);
    await until(async () => (await textOf(box, { follow: false })).includes('ready'));
    const library = new URL('../../lib/index.js', import.meta.url).href;
    const script = `
      import { once } from 'node:events';
      import { Container } from '${library}';
      const held = await (await Container.open('${id}')).attach({ stdin: true });
      if (!held.stdin.write(Buffer.alloc(1 << 20, '\\n'))) await once(held.stdin, 'drain');
      console.log('drained', held.resize({ cols: 100, rows: 30 }));`;
    const args = ['--input-type=module', '--eval', script];
    expect(execFileSync(process.execPath, args, { encoding: 'utf8' })).toBe('drained true\n');
    await until(async () => (await textOf(box, { follow: false })).includes('1048576'));
  });

  test('all that was printed just before the end is there', async () => {
    for (let round = 0; round < 10; round++) {
      const id = freshId();
      const command = ['sh', '-c', 'head -c 60000 /dev/zero | tr "\\0" x; echo end'];
      const box = await createContainer({ detached: true, id, command });
      await box.wait();
      expect((await textOf(box)).length).toBe(60004);
      await box.remove();
    }
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as immediate, setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  type Container,
  ContainerError,
  type CreateOptions,
  createContainer,
} from '../../lib/index.js';
import { SyscallError } from '../../lib/sys/index.js';
import { expectNoLeaks, type Snapshot, snapshot, warmUp } from '../helpers/leaks.js';
import { cgroups, suite } from '../helpers/needs.js';
import { randomFrom } from '../helpers/random.js';

/** `RINGFORT_SEED=… ` repeats a run; the seed is in the message of a failure. */
const seed = Number(process.env.RINGFORT_SEED ?? 20261126);
const rounds = Number(process.env.RINGFORT_ROUNDS ?? 300);

const styles: CreateOptions[] = [{}, { command: ['sleep', '600'] }];
const pty = { cols: 80, rows: 24 };

async function drain(iterable: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of iterable);
}

/** A program that is started and, after its abort, closed. */
async function spawned(box: Container, options: object): Promise<void> {
  const program = box.spawn('sh', ['-c', 'echo hello; cat; sleep 600'], options);
  program.write('typed\n');
  const errors: Error[] = [];
  program.on('error', (error) => errors.push(error));
  program.stdout?.resume();
  program.stderr?.resume();
  await new Promise((resolve) => program.once('close', resolve));
  if (errors[0] !== undefined) throw errors[0];
}

/** Calls that are aborted; each ends by itself or by the signal. */
const calls: Record<string, (box: Container, signal: AbortSignal) => Promise<unknown>> = {
  exec: (box, signal) => box.exec('sleep', ['600'], { signal }),
  'exec that ends': (box, signal) => box.exec('echo', ['hello'], { signal }),
  'exec with a limit': (box, signal) =>
    box.exec('sh', ['-c', 'yes'], { signal, limits: { pids: 20, cpuTime: 50 } }),
  'exec with a terminal': (box, signal) => box.exec('sh', ['-c', 'yes'], { signal, pty }),
  'exec that is fed': (box, signal) =>
    box.exec('cat', [], { signal, input: Buffer.alloc(1 << 20) }),
  spawn: (box, signal) => spawned(box, { signal }),
  'spawn with a terminal': (box, signal) => spawned(box, { signal, pty }),
  create: async (_, signal) => {
    await using made = await createContainer({ signal });
    await made.exec('true', [], { signal });
  },
  'create with a command and a terminal': async (_, signal) => {
    await using made = await createContainer({ command: ['sh'], pty, signal });
    await made.exec('true', [], { signal });
  },
  'create without a start': async (_, signal) => {
    await using made = await createContainer({ command: ['sleep', '600'], start: false, signal });
    await made.start();
  },
  pause: (box, signal) => box.pause({ signal }),
  resume: (box, signal) => box.resume({ signal }),
  update: (box) => box.update({ limits: { pids: 200 } }),
  stats: (box, signal) => drain(box.stats({ interval: 1, signal })),
  events: (box, signal) => drain(box.events({ signal })),
  writeFile: (box, signal) => box.fs.writeFile('/tmp/a', Buffer.alloc(1 << 20), { signal }),
  readFile: (box, signal) => box.fs.readFile('/etc/passwd', { signal }),
  watch: (box, signal) => drain(box.fs.watch('/tmp', { signal })),
  readdir: (box, signal) => box.fs.readdir('/usr/share', { recursive: true, signal }),
  'copyIn, rm': async (box, signal) => {
    await box.copyIn('/etc/ssl', '/tmp/removed', { signal });
    await box.fs.rm('/tmp/removed', { recursive: true, signal });
  },
  copyIn: (box, signal) => box.copyIn('/etc/ssl', '/tmp/ssl', { signal }),
  copyOut: async (box, signal) => {
    const outside = mkdtempSync(join(tmpdir(), 'ringfort-'));
    try {
      await box.copyOut('/usr/share/doc', join(outside, 'doc'), { signal });
    } finally {
      rmSync(outside, { recursive: true });
    }
  },
  wait: (box, signal) => box.wait({ signal }),
  stop: (box) => box.stop({ timeout: 20 }),
  kill: async (box) => box.kill(),
};

/** Whether an error says what it is. */
function isTyped(error: unknown): boolean {
  const { name, code } = error as { name?: string; code?: unknown };
  const ours = error instanceof ContainerError || error instanceof SyscallError;
  // As node:fs words what the host's kernel says.
  return ours || name === 'AbortError' || (typeof code === 'string' && /^E(?!RR_)/.test(code));
}

suite('aborts at any moment', [cgroups], () => {
  let before: Snapshot;
  beforeAll(async () => {
    await warmUp();
    await using box = await createContainer({ command: ['sleep', '600'] });
    await box.exec('true');
    await box.fs.writeFile('/tmp/a', 'x');
    await spawned(box, { pty, signal: AbortSignal.timeout(50) }).catch(() => {});
    before = snapshot();
  });
  afterAll(() => expectNoLeaks(before));

  test(`${rounds} rounds of a few calls (seed ${seed}): typed errors, and a container that works or is gone`, async () => {
    const random = randomFrom(seed);
    const names = Object.keys(calls);
    const wrong: string[] = [];
    let box = await createContainer();
    const round = async (index: number) => {
      const picked = Array.from(
        { length: 1 + Math.floor(random() * 3) },
        () => names[Math.floor(random() * names.length)] as string,
      );
      const controller = new AbortController();
      const delay = random() * random() * 40;
      const pending = picked.map((name) => {
        const call = Promise.resolve().then(() => calls[name]?.(box, controller.signal));
        return call.catch((error: unknown) => {
          if (!isTyped(error)) wrong.push(`round ${index}, ${name}: ${(error as Error).stack}`);
        });
      });
      if (delay > 1) await sleep(delay);
      else for (let i = 0; i < delay * 20; i++) await Promise.resolve();
      controller.abort();
      // What is paused ends nothing by itself.
      const late = setInterval(() => box.resume().catch(() => {}), 20);
      await Promise.all(pending);
      clearInterval(late);
      if (box.state === 'paused') await box.resume().catch(() => {});
      if (box.state === 'running') {
        const said = await box.exec('echo', [`${index}`]).catch((error: Error) => error);
        // Killed, and not yet heard of.
        if (said instanceof ContainerError) await box.wait();
        else if (said instanceof Error || (said.exitCode === 0 && said.stdout !== `${index}\n`))
          wrong.push(
            `round ${index}, after ${picked}: ${said instanceof Error ? said.stack : said.stdout}`,
          );
      }
      if (box.state !== 'running' || index % 25 === 24) {
        await box[Symbol.asyncDispose]();
        box = await createContainer(styles[index % 2] ?? {});
      }
    };
    for (let index = 0; index < rounds; index++) await round(index);
    await box[Symbol.asyncDispose]();
    expect(wrong).toEqual([]);
  });

  test('a change that waits for another one hears it at once', async () => {
    await using box = await createContainer();
    const controller = new AbortController();
    const { signal } = controller;
    const order: string[] = [];
    const first = box.pause().then(() => order.push('paused'));
    const second = box.resume({ signal }).catch((error) => order.push(error.code));
    controller.abort();
    await Promise.all([first, second]);
    expect(order).toEqual(['ABORT_ERR', 'paused']);
    expect(box.state).toBe('paused');
  });

  test('of the copy of one file: it is there, or nothing is', async () => {
    await using box = await createContainer();
    const random = randomFrom(seed);
    const ends = new Set<string>();
    for (let round = 0; round < 200 || ends.size < 2; round++) {
      const controller = new AbortController();
      const { signal } = controller;
      // Turns of the loop are quicker than the copy where its threads wait for a CPU.
      const longest = 30 + Math.max(0, round - 100);
      const copying = box.copyIn('/etc/passwd', '/tmp/file', { signal });
      const end = copying.then(
        () => 'copied',
        (error) => error.code,
      );
      for (let turns = random() * longest; turns > 0; turns--) await immediate();
      controller.abort();
      ends.add(await end);
      const expected = (await end) === 'copied' ? ['file'] : [];
      expect(await box.fs.readdir('/tmp')).toEqual(expected);
      if (expected.length > 0) await box.fs.rm('/tmp/file');
    }
    expect([...ends].sort()).toEqual(['ABORT_ERR', 'copied']);
  });

  suite('of a copy in a container that is paused', [], () => {
    const count = 1000;
    let source: string;
    beforeAll(() => {
      source = mkdtempSync(join(tmpdir(), 'ringfort-'));
      for (let i = 0; i < count; i++) writeFileSync(join(source, String(i)), String(i));
    });
    afterAll(() => rmSync(source, { recursive: true }));

    const begun = async (box: Container) => {
      const names = await box.fs.readdir('/tmp');
      return names.some((name) => name.startsWith('.ringfort-'));
    };
    const until = async (condition: () => Promise<boolean>) => {
      while (!(await condition())) await sleep(1);
    };

    test('it goes on when the container does', async () => {
      await using box = await createContainer();
      let settled = false;
      const copying = box.copyIn(source, '/tmp/tree').finally(() => {
        settled = true;
      });
      await until(() => begun(box));
      await box.pause();
      await expect(box.copyIn(source, '/tmp/other')).rejects.toMatchObject({
        code: 'ERR_CONTAINER_PAUSED',
      });
      await sleep(100);
      expect(settled).toBe(false);
      await box.resume();
      expect(await copying).toMatchObject({ files: count });
      expect(await box.fs.readdir('/tmp')).toEqual(['tree']);
    });

    test('an abort gives it up at once, and what it has made goes when the container goes on', async () => {
      await using box = await createContainer();
      const controller = new AbortController();
      const copying = box.copyIn(source, '/tmp/tree', { signal: controller.signal });
      await until(() => begun(box));
      await box.pause();
      controller.abort();
      await expect(copying).rejects.toMatchObject({ code: 'ABORT_ERR' });
      await box.resume();
      await until(async () => !(await begun(box)));
      expect(await box.fs.readdir('/tmp')).toEqual([]);
    });
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readdirSync, readSync, writeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { expect, test } from '@jest/globals';
import { decodeReport, reportType, request } from '../../lib/launcher/messages.js';
import { launcherPath, loadBinding } from '../../lib/native/load.js';
import { encodePlan } from '../../lib/plan/encode.js';
import { SocketType, socketpair } from '../../lib/sys/index.js';
import type { WorkerState } from '../helpers/launcherWorker.js';
import { hasEnded, isReaped, launch, startLauncher, until } from '../helpers/launches.js';
import { linux, root, suite } from '../helpers/needs.js';
import { sleepPlan, truePlan } from '../helpers/plans.js';
import { inChild } from '../helpers/sysChild.js';

const { protocol: native, Channel } = loadBinding();

/** The launcher program with the other end of its socket as a plain descriptor. */
class RawLauncher {
  readonly #socket: number;
  readonly process: ChildProcess;

  constructor() {
    const [ours, theirs] = socketpair(SocketType.SOCK_SEQPACKET);
    this.#socket = ours;
    this.process = spawn(launcherPath() ?? '', [], {
      stdio: ['ignore', 'ignore', 'ignore', theirs],
    });
    closeSync(theirs);
  }

  send(message: Buffer): void {
    writeSync(this.#socket, message);
  }

  request(type: number, id = 0, arg = 0, size = 0, body: Uint8Array = Buffer.alloc(0)): void {
    const header = Buffer.alloc(16);
    for (const [index, value] of [type, id, arg, size].entries())
      header.writeUInt32LE(value, 4 * index);
    this.send(Buffer.concat([header, body]));
  }

  /** The next report; undefined at the end of the socket. Blocks. */
  report() {
    const buffer = Buffer.alloc(70_000);
    return decodeReport(buffer.subarray(0, readSync(this.#socket, buffer)));
  }

  setUp(): void {
    this.request(request.makeHome);
    expect(this.report()).toMatchObject({ type: reportType.ready, error: 0 });
  }

  /** It has closed its end and exits with 0 by itself. */
  async ended(): Promise<void> {
    expect(this.report()).toBeUndefined();
    const { exitCode, signalCode } = this.process;
    if (exitCode === null && signalCode === null) await once(this.process, 'exit');
    expect([this.process.exitCode, this.process.signalCode]).toEqual([0, null]);
    closeSync(this.#socket);
  }

  close(): void {
    closeSync(this.#socket);
  }
}

suite('the launcher’s socket', [root], () => {
  const inline = native.inlinePlanBytes ?? 0;

  test.each([
    ['one byte', Buffer.alloc(1)],
    ['all but the last byte of a header', Buffer.alloc(15, 3)],
    ['one byte more than fits', Buffer.alloc(16 + inline + 1, 3)],
    ['more than twice what fits', Buffer.alloc(2 * inline + 100, 3)],
  ])('%s: it stops', async (_, message) => {
    for (const setUp of [false, true]) {
      const launcher = new RawLauncher();
      if (setUp) launcher.setUp();
      launcher.send(message);
      await launcher.ended();
    }
  });

  test.each([0, 99, 255, 0x80000000, 0xffffffff])(
    'a request of type %d: it stops',
    async (type) => {
      const launcher = new RawLauncher();
      launcher.setUp();
      launcher.request(type, 1, 1);
      await launcher.ended();
    },
  );

  test('a launch before the setup, and a second setup, are refused', async () => {
    const launcher = new RawLauncher();
    const plan = encodePlan(truePlan());
    launcher.request(request.launch, 5, 0, plan.length, plan);
    const place = { id: 5, section: 4, step: 0 };
    expect(launcher.report()).toMatchObject({ type: reportType.failed, error: 71, ...place });
    expect(launcher.report()).toMatchObject({ type: reportType.gone, error: 0, left: 0, id: 5 });
    launcher.setUp();
    for (const type of [request.makeHome, request.unshareUser]) {
      launcher.request(type, 9);
      expect(launcher.report()).toMatchObject({ type: reportType.ready, id: 9, error: 71 });
    }
    launcher.close();
    await once(launcher.process, 'exit');
    expect(launcher.process.exitCode).toBe(0);
  });

  test('a plan whose size is not what the request says is refused, and so is no memfd', () => {
    const launcher = new RawLauncher();
    launcher.setUp();
    const plan = encodePlan(truePlan());
    const sizes: [arg: number, size: number][] = [
      [0, plan.length - 4],
      [0, plan.length + 4],
      [0, 0xffffffff],
      [1, plan.length],
      [1, 0xffffffff],
    ];
    for (const [index, [arg, size]] of sizes.entries()) {
      launcher.request(request.launch, index, arg, size, plan);
      expect(launcher.report()).toMatchObject({ type: reportType.failed, id: index, error: 71 });
      expect(launcher.report()).toMatchObject({ type: reportType.gone, id: index });
    }
    launcher.close();
  });

  test('signals and kills for containers that do not exist are nothing', async () => {
    const launcher = new RawLauncher();
    launcher.setUp();
    for (const id of [0, 1, 0xffffffff]) {
      launcher.request(request.signal, id, 9);
      launcher.request(request.kill, id);
    }
    launcher.request(request.makeHome, 3);
    expect(launcher.report()).toMatchObject({ type: reportType.ready, id: 3 });
    launcher.close();
    await once(launcher.process, 'exit');
    expect(launcher.process.exitCode).toBe(0);
  });

  test('through the addon, a request of no known type ends launcher and guests', async () => {
    const beside = await startLauncher();
    const fd = openSync('/dev/null', 'r+');
    const plan = encodePlan(sleepPlan());
    const guest = await new Promise<number>((resolve) => {
      let pid = 0;
      const onMessage = (message: Buffer, fds: number[]) => {
        for (const received of fds) closeSync(received);
        const report = decodeReport(message);
        if (report?.type !== reportType.running) return;
        pid = report.pid;
        channel.send(77, 0, 0, undefined, []);
      };
      const channel = new Channel(
        '',
        -1,
        -1,
        onMessage,
        () => {},
        () => resolve(pid),
      );
      channel.ref();
      channel.send(request.makeHome, 0, 0, undefined, []);
      channel.send(request.launch, 1, 0, plan, [fd, fd, fd]);
    });
    closeSync(fd);
    expect(guest).toBeGreaterThan(0);
    expect(isReaped(guest)).toBe(true);
    // The launcher beside it knows nothing of that.
    expect((await launch(beside, truePlan()).outcome).exitCode).toBe(0);
    const { pid } = beside;
    beside.close();
    await until(() => isReaped(pid));
  });
});

suite('a handler that throws', [root], () => {
  test('is an uncaught exception, and the reports after it still come', () => {
    const helpers = new URL('../helpers/', import.meta.url).href;
    const result = inChild(`
      const { startLauncher, launch } = await import('${helpers}launches.js');
      const { truePlan } = await import('${helpers}plans.js');
      const { encodePlan } = await import('${helpers}../../lib/plan/encode.js');
      const seen = [];
      process.on('uncaughtException', ({ message }) => seen.push('uncaught: ' + message));
      const client = await startLauncher();
      const fd = fs.openSync('/dev/null', 'r+');
      // A teardown that is all that is left keeps nothing running.
      const awake = setInterval(() => {}, 60_000);
      await new Promise((resolve) => {
        client.launch(encodePlan(truePlan()), [fd, fd, fd], {
          sent() {},
          running() { throw new Error('running'); },
          exited() { seen.push('exited'); },
          gone() { resolve(); throw new Error('gone'); },
        });
      });
      const { exitCode } = await launch(client, truePlan()).outcome;
      client.close();
      clearInterval(awake);
      report([...seen, exitCode]);`);
    expect(result).toEqual(['uncaught: running', 'exited', 'uncaught: gone', 0]);
  });
});

suite('launchers of worker threads', [root], () => {
  async function startWorker(): Promise<WorkerState & { worker: Worker }> {
    const worker = new Worker(new URL('../helpers/launcherWorker.js', import.meta.url));
    const [state] = (await once(worker, 'message')) as [WorkerState];
    return { worker, ...state };
  }

  test('end with their worker, and only with theirs', async () => {
    const [one, other] = await Promise.all([startWorker(), startWorker()]);
    expect(one.launcher).not.toBe(other.launcher);
    expect([one, other].map(({ guest }) => hasEnded(guest))).toEqual([false, false]);
    await one.worker.terminate();
    await until(() => isReaped(one.guest) && isReaped(one.launcher));
    expect([other.guest, other.launcher].map(hasEnded)).toEqual([false, false]);
    await other.worker.terminate();
    await until(() => isReaped(other.guest) && isReaped(other.launcher));
  });

  test('twenty workers that are ended in the midst of a report leave nothing', async () => {
    for (let i = 0; i < 20; i++) {
      const { worker, launcher, guest } = await startWorker();
      await worker.terminate();
      await until(() => isReaped(guest) && isReaped(launcher));
    }
  });
});

suite('a launcher that cannot be started', [linux], () => {
  test('is an error that says why, and leaves nothing open', () => {
    const nothing = () => {};
    const open = readdirSync('/proc/self/fd');
    expect(() => new Channel('/nowhere/launcher', -1, -1, nothing, nothing, nothing)).toThrow(
      expect.objectContaining({ code: 'ENOENT', syscall: 'open' }),
    );
    expect(() => new Channel('/etc/passwd', -1, -1, nothing, nothing, nothing)).toThrow(
      expect.objectContaining({ code: 'EACCES', syscall: 'execveat' }),
    );
    expect(readdirSync('/proc/self/fd')).toEqual(open);
  });
});

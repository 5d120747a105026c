import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { Container, createContainer } from '../../lib/index.js';
import { freshId, leftOf, removeAll, runtimeDir } from '../helpers/detached.js';
import { isReaped, until } from '../helpers/launches.js';
import { expectNoLeaks, type Snapshot, snapshot, warmUp } from '../helpers/leaks.js';
import { cgroups, linux, root, suite } from '../helpers/needs.js';

const library = (name: string) => new URL(`../../lib/${name}.js`, import.meta.url).href;

/** In scope of a worker's script: `boxes`, one of each kind; `post` tells the launcher's pid. */
const prelude = `
  const { parentPort } = require('node:worker_threads');
  const { once } = require('node:events');
  (async () => {
    const { createContainer } = await import('${library('index')}');
    const { supervisor } = await import('${library('supervisor')}');
    const { launcher } = await supervisor();
    const post = (what) => parentPort.postMessage({ pid: launcher.pid, what });
    post('launcher');
    const boxes = [await createContainer(), await createContainer({ command: ['sleep', '600'] })];`;

/** What goes on when the worker ends: of everything something. */
const busy = `
    const pty = { cols: 80, rows: 24 };
    for (const box of boxes) {
      box.exec('sleep', ['600']).catch(() => {});
      box.exec('yes', [], { maxBuffer: 1000 }).catch(() => {});
      const flood = box.spawn('yes', [], { pty });
      const deaf = box.spawn('sleep', ['600'], { pty });
      for (const each of [flood, deaf]) each.on('error', () => {});
      deaf.write(Buffer.alloc(1 << 20));
      box.spawn('yes').on('error', () => {});
      box.fs.writeFile('/tmp/file', Buffer.alloc(1 << 20)).catch(() => {});
      (async () => { for await (const each of box.stats({ interval: 5 })) each; })().catch(() => {});
      (async () => { for await (const each of box.events()) each; })().catch(() => {});
    }
    const again = () => Promise.all(boxes.map((box) => box.exec('true'))).then(again, () => {});
    again();`;

interface Said {
  pid: number;
  what: string;
}

suite('containers of worker threads', [cgroups], () => {
  let own: Container;
  let before: Snapshot;
  beforeAll(async () => {
    await warmUp();
    await once(new Worker('', { eval: true }), 'exit');
    own = await createContainer();
    await own.exec('true');
  });
  afterAll(() => own[Symbol.asyncDispose]());
  beforeEach(() => {
    before = snapshot();
  });
  afterEach(() => expectNoLeaks(before));

  /**
   * Starts a worker; `end` when it has said `what`. Its messages, error and exit may come at once, so
   * all are listened for from the start.
   * @param expected what it throws
   * @returns pid of its launcher
   */
  async function worker(
    script: string,
    what: string,
    end: (worker: Worker) => unknown,
    expected: unknown[] = [],
  ) {
    const thread = new Worker(`${prelude}${script}})();`, { eval: true });
    const exit = new Promise((resolve) => thread.once('exit', resolve));
    const thrown: unknown[] = [];
    thread.on('error', (error) => thrown.push(error));
    const { pid } = await new Promise<Said>((resolve) => {
      thread.on('message', (said: Said) => said.what === what && resolve(said));
      // One that never says it.
      thread.once('exit', () => resolve({ pid: 0, what: 'exit' }));
    });
    await end(thread);
    await exit;
    expect(pid).not.toBe(0);
    expect(thrown).toEqual(expected);
    return pid;
  }

  /** The main thread's container, all the while. */
  async function beside<T>(work: () => Promise<T>): Promise<T> {
    let over = false;
    const programs = (async () => {
      for (let i = 0; !over; i++) expect((await own.exec('echo', [`${i}`])).stdout).toBe(`${i}\n`);
    })();
    try {
      return await work();
    } finally {
      over = true;
      await programs;
    }
  }

  test('a worker that is terminated while they are made: nothing is left', async () => {
    await beside(async () => {
      for (let round = 0; round < 12; round++) {
        const launcher = await worker('', 'launcher', async (thread) => {
          // Later from round to round.
          await sleep(round * 2);
          await thread.terminate();
        });
        await until(() => isReaped(launcher));
      }
    });
    expect(own.state).toBe('running');
  });

  test('a worker that is terminated amid programs, terminals, files: nothing is left', async () => {
    await beside(async () => {
      for (let round = 0; round < 12; round++) {
        const launcher = await worker(`${busy} post('busy');`, 'busy', async (thread) => {
          await sleep(round * 3);
          await thread.terminate();
        });
        await until(() => isReaped(launcher));
      }
    });
    expect(own.state).toBe('running');
  });

  test('a worker that exits by itself amid programs: nothing is left', async () => {
    await beside(async () => {
      for (const ms of [0, 1, 5, 20]) {
        const script = `${busy} post('busy'); setTimeout(() => process.exit(), ${ms});`;
        const launcher = await worker(script, 'busy', () => {});
        await until(() => isReaped(launcher));
      }
    });
  });

  test('a worker that throws: nothing is left', async () => {
    const script = `${busy} post('busy'); setTimeout(() => { throw new Error('on purpose'); }, 5);`;
    const thrown = [expect.objectContaining({ message: 'on purpose' })];
    const launcher = await beside(() => worker(script, 'busy', () => {}, thrown));
    await until(() => isReaped(launcher));
  });

  test('a worker that is terminated while a container waits for its start: it never runs', async () => {
    const out = mkdtempSync(join(tmpdir(), 'ringfort-'));
    const options = { command: ['touch', '/out/ran'], mounts: [`${out}:/out`], start: false };
    const script = `await createContainer(${JSON.stringify(options)}); post('created');`;
    const launcher = await worker(script, 'created', (thread) => thread.terminate());
    await until(() => isReaped(launcher));
    expect(readdirSync(out)).toEqual([]);
    rmSync(out, { recursive: true });
  });

  suite('and detached ones', [runtimeDir], () => {
    afterEach(removeAll);

    test('a worker that is terminated while they are made: each is there whole, or not at all', async () => {
      for (let round = 0; round < 12; round++) {
        const ids = [freshId(), freshId()];
        // Without `attach`: of an open that is under way node:fs itself leaves the descriptor.
        const script = `
          const { Container } = await import('${library('index')}');
          for (const id of ${JSON.stringify(ids)})
            createContainer({ id, detached: true, command: ['sleep', '600'] })
              .then(() => Container.open(id))
              .then((box) => box.exec('sleep', ['600']))
              .catch(() => {});
          post('busy');`;
        const launcher = await worker(script, 'busy', async (thread) => {
          await sleep(round * 6);
          await thread.terminate();
        });
        await until(() => isReaped(launcher));
        await until(async () => {
          // Which removes what was not finished; a monitor may finish it still.
          await Container.list();
          for (const id of ids) {
            const box = await Container.open(id).catch(({ code }) => {
              expect(code).toBe('ERR_CONTAINER_NOT_FOUND');
            });
            if (box === undefined) continue;
            expect((await box.exec('echo', ['on'])).stdout).toBe('on\n');
            await box.remove({ force: true });
          }
          return ids.every((id) => leftOf(id).length === 0);
        });
      }
    });
  });

  test('ending a container that was let go of keeps the worker alive until it is gone', async () => {
    const script = `
      for (const box of boxes) {
        box.unref();
        await box[Symbol.asyncDispose]();
      }
      post('ended');`;
    const launcher = await worker(script, 'ended', () => {});
    await until(() => isReaped(launcher));
  });

  test('a worker whose containers are not waited for ends by itself', async () => {
    const script = "for (const box of boxes) box.unref(); post('idle');";
    const launcher = await worker(script, 'idle', () => {});
    await until(() => isReaped(launcher));
  });

  test('four workers at once, each with its own', async () => {
    const script = `
      const results = await Promise.all(boxes.flatMap((box) =>
        Array.from({ length: 20 }, (_, i) => box.exec('echo', [box.id, i]))));
      const wrong = results.filter(({ stdout }, i) => stdout !== boxes[Math.floor(i / 20)].id + ' ' + i % 20 + '\\n');
      for (const box of boxes) await box[Symbol.asyncDispose]();
      post(wrong.length + ' wrong');`;
    const workers = Array.from({ length: 4 }, () =>
      worker(script.replace('[box.id, i]', '[box.id, String(i)]'), '0 wrong', () => {}),
    );
    const launchers = await beside(() => Promise.all(workers));
    expect(new Set(launchers).size).toBe(4);
    await until(() => launchers.every(isReaped));
  });
});

suite('a worker that looks a user up', [linux, cgroups], () => {
  test('closes what it has opened for that in the way that it was opened', async () => {
    const script = `
      (async () => {
        const { run } = await import('${library('index')}');
        process.on('warning', ({ message }) => parentPort.postMessage({ warning: message }));
        const { exitCode } = await run('true', [], { user: 'nobody' });
        // A warning is emitted in the next tick.
        setImmediate(() => parentPort.postMessage({ exitCode }));
      })();`;
    const thread = new Worker(`const { parentPort } = require('node:worker_threads');${script}`, {
      eval: true,
    });
    expect(await once(thread, 'message')).toEqual([{ exitCode: 0 }]);
    await thread.terminate();
  });
});

// fsopen(2) is root's.
suite('a worker that closes with node:fs what ringfort/sys has opened', [linux, root], () => {
  test('closes nothing of another one, which has got the number', async () => {
    const script = `
      const { parentPort } = require('node:worker_threads');
      const { closeSync } = require('node:fs');
      process.removeAllListeners('warning');
      import('${library('sys/index')}').then(({ fsopen }) => {
        for (let i = 0; i < 4; i++) closeSync(fsopen('tmpfs'));
        parentPort.postMessage('closed');
      });
      parentPort.on('message', () => {});`;
    const first = new Worker(script, { eval: true });
    await once(first, 'message');
    // Its loop has an epoll and an eventfd, of the same anonymous inode.
    const second = new Worker('setInterval(() => {}, 10)', { eval: true });
    await once(second, 'online');
    await first.terminate();
    await sleep(50);
    expect(await second.terminate()).toBe(1);
  });
});

suite('a worker that is terminated while it opens, connects and closes', [linux], () => {
  beforeAll(async () => {
    // Node leaves a descriptor of its own of the first worker.
    const first = new Worker('', { eval: true });
    await once(first, 'exit');
  });

  test('ends, nothing is left of it, and the process goes on', async () => {
    const files = new URL('../../lib/files/agent.js', import.meta.url).href;
    const script = `
      (async () => {
        const { FileAgent } = await import('${files}');
        const sys = await import('${library('sys/index')}');
        const { close, socketpair } = sys;
        const SOCK_SEQPACKET = 5;
        // Node leaves a module's file open where it is ended while it reads one.
        require('node:worker_threads').parentPort.postMessage('all is loaded');
        for (;;) {
          const [ours, other] = socketpair(SOCK_SEQPACKET);
          new FileAgent(ours).close();
          close(other);
          for (const fd of [sys.openat2(sys.AT_FDCWD, '/', { flags: 0 }), sys.pidfdOpen(process.pid), ...sys.pipe2()])
            close(fd);
          await new Promise(setImmediate);
        }
      })();`;
    const before = readdirSync('/proc/self/fd').length;
    for (let round = 0; round < 30; round++) {
      const thread = new Worker(script, { eval: true });
      await once(thread, 'message');
      // Another moment in each round.
      await sleep(round % 15);
      expect(await thread.terminate()).toBe(1);
    }
    expect(readdirSync('/proc/self/fd').length).toBe(before);
  });
});

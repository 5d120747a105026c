import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Container, createContainer, run } from '../../lib/index.js';
import { expectNoLeaks, snapshot, warmUp } from '../helpers/leaks.js';
import { linux, root, suite } from '../helpers/needs.js';

// Only root may stop a container's init from outside; from inside its own root can, while a program
// is set up.
suite('an init that does not answer', [linux, root], () => {
  let box: Container;
  beforeEach(async () => {
    box = await createContainer();
    process.kill(box.pid as number, 'SIGSTOP');
  });
  afterEach(async () => {
    await box[Symbol.asyncDispose]();
  });
  const soon = { forceKillAfterDelay: 50 };

  test('keeps no exec beyond its timeout, nor those that wait for their turn', async () => {
    const execs = Array.from({ length: 20 }, () => box.exec('true', [], { ...soon, timeout: 50 }));
    for (const result of await Promise.allSettled(execs)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ERR_START_TIMEOUT' } });
    }
  });

  test('nor beyond an abort, and what was given up is not begun when it comes to', async () => {
    const controller = new AbortController();
    const options = { ...soon, signal: controller.signal };
    const late = Array.from({ length: 40 }, (_, i) =>
      box.exec('sh', ['-c', `echo ${i} >>/tmp/ran`], options),
    );
    controller.abort();
    for (const result of await Promise.allSettled(late)) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'ABORT_ERR' } });
    }
    // The launcher hears one after the other: by now it knows of all that were given up.
    await run('true');
    process.kill(box.pid as number, 'SIGCONT');
    expect((await box.exec('echo', ['here'])).stdout).toBe('here\n');
    expect((await box.exec('ls', ['/tmp'])).stdout).toBe('');
    // Its init alone.
    expect((await box.top()).map(({ pid }) => pid)).toEqual([box.pid]);
  });

  test('however many are given up, each says so, and nothing of them is left', async () => {
    await using other = await createContainer();
    await other.exec('true');
    await warmUp();
    const leaks = snapshot();
    // More than fit into the socket to the init, which nobody reads.
    const codes = new Set<string>();
    for (let i = 1; i <= 10 || codes.size < 2; i++) {
      // Longer each time: the refusal of a slow launcher comes in time at last.
      const options = { forceKillAfterDelay: 0, timeout: 20 * i };
      const execs = Array.from({ length: 32 }, () => box.exec('true', [], options));
      for (const result of await Promise.allSettled(execs)) {
        if (result.status === 'rejected') codes.add(result.reason.code);
        else codes.add('started');
      }
    }
    expect([...codes].sort()).toEqual(['ERR_LAUNCH_FAILED', 'ERR_START_TIMEOUT']);
    await box[Symbol.asyncDispose]();
    expect((await other.exec('echo', ['well'])).stdout).toBe('well\n');
    await expectNoLeaks(leaks);
  });

  test('a spawn has ended by its timeout', async () => {
    const program = box.spawn('sleep', ['600'], {
      ...soon,
      timeout: 50,
      pty: { cols: 9, rows: 9 },
    });
    const [exitCode, signal] = await once(program, 'close');
    expect([exitCode, signal, program.reason]).toEqual([null, 'SIGKILL', 'timeout']);
  });

  test('nor does it hold up who leaves a spawn, or kills it', async () => {
    const program = box.spawn('sleep', ['600'], soon);
    await program[Symbol.asyncDispose]();
    expect([program.signalCode, program.reason]).toEqual(['SIGKILL', 'signal']);
    const killed = box.spawn('sleep', ['600'], { ...soon, pty: { cols: 9, rows: 9 } });
    expect(killed.kill('SIGKILL')).toBe(true);
    await once(killed, 'close');
    expect([killed.signalCode, killed.reason]).toEqual(['SIGKILL', 'signal']);
  });

  test('a spawn that is aborted before it is called says so once', async () => {
    const program = box.spawn('sleep', ['600'], { ...soon, signal: AbortSignal.abort() });
    const errors: unknown[] = [];
    program.on('error', (error) => errors.push(error));
    await once(program, 'exit').catch(() => {});
    await new Promise((resolve) => program.once('close', resolve));
    expect(errors).toMatchObject([{ code: 'ABORT_ERR' }]);
    expect([program.signalCode, program.reason]).toEqual(['SIGKILL', 'abort']);
  });
});

suite('a spawn that has failed', [linux], () => {
  test('leaves no timer behind when it is killed', async () => {
    await using box = await createContainer();
    const program = box.spawn('/no/such/program');
    const closed = new Promise((resolve) => program.once('close', resolve));
    await once(program, 'error');
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === 'Timeout');
    const before = timers();
    expect(program.killTree()).toBe(false);
    expect(timers()).toEqual(before);
    await closed;
  });

  test('closes with a terminal that is relayed, too', async () => {
    await using box = await createContainer();
    const program = box.spawn('/no/such/program', [], {
      stdio: 'inherit',
      pty: { cols: 9, rows: 9 },
    });
    const closed = new Promise((resolve) => program.once('close', resolve));
    await once(program, 'error');
    await closed;
  });
});

import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Container, createContainer } from '../../lib/index.js';
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

  test('nor beyond an abort, and what was given up does not run when it comes to', async () => {
    const controller = new AbortController();
    const script = 'exec sleep 9753';
    const late = box.exec('sh', ['-c', script], { ...soon, signal: controller.signal });
    controller.abort();
    await expect(late).rejects.toMatchObject({ code: 'ABORT_ERR' });
    process.kill(box.pid as number, 'SIGCONT');
    expect((await box.exec('echo', ['here'])).stdout).toBe('here\n');
    const { stdout } = await box.shell('for i in 1 2 3 4 5; do sleep 0.1; done; ps ax');
    expect(stdout).not.toContain('sleep 9753');
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

  test('nor does it hold up who leaves a spawn', async () => {
    const program = box.spawn('sleep', ['600'], soon);
    await program[Symbol.asyncDispose]();
    expect(program.signalCode).toBe('SIGKILL');
  });
});

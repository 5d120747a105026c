import { once } from 'node:events';
import { expect, test } from '@jest/globals';
import { type Container, type ContainerOptions, createContainer } from '../../lib/index.js';
import { linux, manyIds, suite } from '../helpers/needs.js';

/** Until it is ended: stops and ends all that it may signal, itself and pid 1 excepted (kill(2)). */
const attack = 'echo on; while :; do kill -STOP -1; kill -KILL -1; done';
/** For a start that was held up, so that the test fails and does not hang. */
const limit = { timeout: 20_000, forceKillAfterDelay: 50 };

async function attacked(options: ContainerOptions = {}): Promise<Container> {
  const box = await createContainer(options);
  const hostile = box.spawn('sh', ['-c', `(${attack}) 2>/dev/null`]);
  await once(hostile.stdout ?? hostile, 'data');
  return box;
}

suite('a hostile root in the container', [linux, manyIds], () => {
  test('holds up no program of another user while that is set up', async () => {
    await using box = await attacked();
    for (let i = 0; i < 10; i++) {
      const execs = Array.from({ length: 10 }, () =>
        box.exec('sh', ['-c', 'id -u; id -G'], { ...limit, user: '1000:1000' }),
      );
      for (const { stdout, reason } of await Promise.all(execs))
        expect([stdout, reason]).toEqual(['1000\n1000\n', 'exit']);
    }
  });

  test('nor what serves its files', async () => {
    for (let i = 0; i < 5; i++) {
      await using box = await attacked();
      await box.fs.writeFile('/tmp/file', 'text');
      expect(await box.fs.readFile('/tmp/file', 'utf8')).toBe('text');
    }
  });

  test('nor, with a program as pid 1, what joins', async () => {
    await using box = await createContainer({ init: false, command: ['sh', '-c', attack] });
    for (let i = 0; i < 20; i++) {
      const { stdout } = await box.exec('id', ['-u'], { ...limit, user: '1000:1000' });
      expect(stdout).toBe('1000\n');
    }
    await box.fs.writeFile('/tmp/file', 'text');
  });

  test('may not signal its init, nor set its limits', async () => {
    await using box = await createContainer();
    const { stdout } = await box.exec('sh', [
      '-c',
      'kill -CONT 1; ps -o uid= -p 1; prlimit --pid 1 --nofile=4:4; true',
    ]);
    expect(stdout.trim()).not.toBe('0');
    expect((await box.exec('true')).exitCode).toBe(0);
  });
});

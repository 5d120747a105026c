import { expect, test } from '@jest/globals';
import { Container, createContainer, Pool, run } from '../../lib/index.js';
import { runtimeDir } from '../helpers/detached.js';
import { cgroups, root, suite } from '../helpers/needs.js';

/** One range: what root has inside many another container. */
const idPool = { hostID: 524288 + 65536 * 9000, size: 65536 };
const exhausted = { code: 'ERR_ID_POOL_EXHAUSTED', option: 'idPool' };
const rounds = Array.from({ length: 20 });

suite('where there is one range of ids', [root, cgroups, runtimeDir], () => {
  test('a run that has answered is not in the way of the next one', async () => {
    for (const _ of rounds)
      expect(await run('true', [], { idPool })).toMatchObject({ exitCode: 0 });
  });

  test('nor is a container whose end has been told', async () => {
    for (const _ of rounds) {
      for (const how of ['kill', 'stop', 'dispose'] as const) {
        const box = await createContainer({ idPool });
        if (how === 'dispose') await box[Symbol.asyncDispose]();
        else await box[how]();
        await box.wait();
      }
      const box = await createContainer({ idPool, command: ['true'] });
      expect(await box.wait()).toMatchObject({ exitCode: 0 });
    }
  });

  test('nor is it in the way of a detached one', async () => {
    for (const _ of rounds) {
      await run('true', [], { idPool });
      const box = await createContainer({ idPool, detached: true });
      await box.remove({ force: true });
    }
  });

  test('nor is a detached one whose end has been told, by its creator or by who has opened it', async () => {
    for (const _ of rounds) {
      const made = await createContainer({ idPool, detached: true, command: ['sleep', '600'] });
      const opened = await Container.open(made.id);
      await opened.kill();
      await opened.wait();
      await run('true', [], { idPool });
      await made.remove();
      const next = await createContainer({ idPool, detached: true, command: ['true'] });
      await next.wait();
      await run('true', [], { idPool });
      await next.remove();
    }
  });

  test('whoever gives up while it waits for it has started nothing', async () => {
    const box = await createContainer({ idPool });
    await box.kill();
    await box.wait();
    const controller = new AbortController();
    const waiting = [
      run('true', [], { idPool, signal: controller.signal }),
      createContainer({ idPool, signal: controller.signal }),
      createContainer({ idPool, signal: controller.signal, detached: true }),
    ];
    controller.abort();
    for (const each of waiting) await expect(each).rejects.toMatchObject({ code: 'ABORT_ERR' });
    expect(await run('true', [], { idPool })).toMatchObject({ exitCode: 0 });
  });

  test('it is lent to as many as ask for it one after the other, and to one at a time', async () => {
    const box = await createContainer({ idPool });
    await expect(run('true', [], { idPool })).rejects.toMatchObject(exhausted);
    await box.kill();
    await box.wait();
    const once = rounds.map(() => run('true', [], { idPool }).catch((error) => error));
    const ends = await Promise.all(once);
    expect(ends.filter(({ exitCode }) => exitCode === 0).length).toBeGreaterThan(0);
    for (const end of ends) if (end.exitCode !== 0) expect(end).toMatchObject(exhausted);
  });

  test('a pool’s next member waits for it', async () => {
    await using pool = new Pool({ idPool }, { min: 1, max: 1 });
    for (const _ of rounds) expect(await pool.run('true')).toMatchObject({ exitCode: 0 });
  });
});

import { subscribe } from 'node:diagnostics_channel';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, jest, test } from '@jest/globals';
import { Deferred } from '../../lib/deferred.js';
import { expectRange } from '../../lib/host/idPool.js';
import { Container, createContainer, Pool, run } from '../../lib/index.js';
import { LauncherClient } from '../../lib/launcher/launcher.js';
import { createElsewhere, removeAll, runtimeDir } from '../helpers/detached.js';
import { cgroups, root, suite } from '../helpers/needs.js';

/** One range: what root has inside many another container. */
const idPool = { hostID: 524288 + 65536 * 9000, size: 65536 };
const exhausted = { code: 'ERR_ID_POOL_EXHAUSTED', option: 'idPool' };
const rounds = Array.from({ length: 20 });

suite('where there is one range of ids', [root, cgroups, runtimeDir], () => {
  afterEach(removeAll);

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
      const id = await createElsewhere({ idPool, command: ['sleep', '600'] });
      const opened = await Container.open(id);
      await opened.kill();
      await opened.wait();
      await run('true', [], { idPool });
      await opened.remove();
      const next = await createContainer({ idPool, detached: true, command: ['true'] });
      await next.wait();
      await run('true', [], { idPool });
      await next.remove();
    }
  });

  test('whoever gives up while it waits for it has started nothing', async () => {
    const box = await createContainer({ idPool });
    // Somebody's is expected, and does not come.
    const never = new Deferred<void>();
    expectRange(never.promise);
    const launch = jest.spyOn(LauncherClient.prototype, 'launch');
    try {
      for (const detached of [false, true]) {
        const controller = new AbortController();
        const { signal } = controller;
        const started = new Promise((resolve) => {
          if (detached) subscribe('ringfort:launcher:start', resolve);
          else resolve(undefined);
        });
        const waiting = detached
          ? [createContainer({ idPool, signal, detached })]
          : [createContainer({ idPool, signal }), run('true', [], { idPool, signal })];
        await started;
        await sleep(50);
        controller.abort();
        for (const each of waiting) await expect(each).rejects.toMatchObject({ code: 'ABORT_ERR' });
      }
      const late = { idPool, timeout: 20, forceKillAfterDelay: 20 };
      await expect(run('true', [], late)).rejects.toMatchObject({ code: 'ERR_START_TIMEOUT' });
      expect(launch).not.toHaveBeenCalled();
    } finally {
      launch.mockRestore();
      never.resolve();
      await box[Symbol.asyncDispose]();
    }
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

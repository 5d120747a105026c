import { expect, test } from '@jest/globals';
import { createContainer } from '../../lib/index.js';
import { newId } from '../../lib/specOf.js';
import { cgroups, linux, suite } from '../helpers/needs.js';

const inUse = { name: 'StateError', code: 'ERR_CONTAINER_EXISTS', option: 'id', hint: /wait/ };
const refused = expect.objectContaining({ ...inUse, hint: expect.stringMatching(inUse.hint) });

suite('an id that is in use', [linux, cgroups], () => {
  test('is refused while its container lives, and free afterwards', async () => {
    const id = newId();
    {
      await using box = await createContainer({ id });
      await expect(createContainer({ id })).rejects.toEqual(refused);
      expect((await box.exec('true')).exitCode).toBe(0);
    }
    await using again = await createContainer({ id });
    expect(again.id).toBe(id);
  });

  test('of two at once one has it', async () => {
    const id = newId();
    const made = await Promise.allSettled([createContainer({ id }), createContainer({ id })]);
    for (const each of made) {
      if (each.status === 'fulfilled') await each.value[Symbol.asyncDispose]();
      else expect(each.reason).toEqual(refused);
    }
    expect(made.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});

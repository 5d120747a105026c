import { expect, test } from '@jest/globals';
import { checkSame } from '../../bench/limitFacts.js';
import { planOf } from '../../lib/launch.js';
import { newId, specOf } from '../../lib/specOf.js';
import { cgroups, root, suite } from '../helpers/needs.js';

const plan = (options = {}) => {
  const id = newId();
  return planOf({ id, spec: specOf(id, 'true', [], options) });
};

suite('bench/limit', [cgroups, root], () => {
  test('has every kind of step of the default plan', async () => {
    const [usual, named] = [await plan(), await plan({ domainname: 'other' })];
    expect(() => checkSame(usual)).not.toThrow();
    expect(() => checkSame(named)).toThrow('bench/limit has no setdomainname');
  });
});

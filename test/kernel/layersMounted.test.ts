import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { cgroups, command, root, suite } from '../helpers/needs.js';

suite(
  'something of the host’s mounted below a kept layer',
  [root, cgroups, command('unshare')],
  () => {
    test('is not copied with it, and not removed with it', () => {
      const helper = fileURLToPath(new URL('../helpers/layersMounted.js', import.meta.url));
      const args = ['-m', '--propagation', 'private', process.execPath, helper];
      const said = execFileSync('unshare', args, { encoding: 'utf8' });
      expect(JSON.parse(said)).toEqual({ seen: ['file'], copied: [], kept: ['file'] });
    });
  },
);

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { containersDir } from '../../lib/detached/stateDir.js';
import { Container } from '../../lib/index.js';
import { newId } from '../../lib/specOf.js';
import { leftOf, runtimeDir } from '../helpers/detached.js';
import type { Scarce } from '../helpers/detachedScarce.js';
import { cgroups, command, root, suite } from '../helpers/needs.js';

const program = fileURLToPath(new URL('../helpers/detachedScarce.js', import.meta.url));

/** Whether an outcome is neither a success nor an error of ours. */
const isUndefined = (outcome: string) => outcome.startsWith('!');

suite('a detached container without', [cgroups, runtimeDir], () => {
  test('descriptors in Node, whatever their number: typed errors or successes, and nothing stays', async () => {
    const id = newId();
    const { stdout } = await promisify(execFile)(process.execPath, [program, 'few', id]);
    const { outcomes, left, descriptors }: Scarce = JSON.parse(stdout);
    expect(outcomes.filter(isUndefined)).toEqual([]);
    expect(outcomes).toContain('ERR_LAUNCH_FAILED');
    expect(outcomes).not.toContain('ERR_CONTAINER_EXISTS');
    expect(outcomes.at(-1)).toBe('');
    expect(left).toEqual([]);
    // What was there before may have closed by now.
    expect(descriptors).toBeLessThanOrEqual(0);
    expect(leftOf(id)).toEqual([]);
  });

  suite('room for its state', [root, command('unshare')], () => {
    test('is refused with a typed error, and nothing of it stays', async () => {
      await Container.list();
      const id = newId();
      const script = `mkdir -p "$1" && mount -t tmpfs -o size=64k,mode=0700 none "$1" && exec "$2" "$3" full "$4"`;
      const { stdout } = await promisify(execFile)('unshare', [
        ...['-m', 'sh', '-c', script, 'sh', containersDir(), process.execPath, program, id],
      ]);
      const { outcomes, left, descriptors }: Scarce = JSON.parse(stdout);
      expect(outcomes.filter(isUndefined)).toEqual([]);
      expect(outcomes[0]).toBe('ERR_DETACH_FAILED');
      expect(outcomes.at(-1)).toBe('');
      expect(left).toEqual([]);
      // What was there before may have closed by now.
      expect(descriptors).toBeLessThanOrEqual(0);
      expect(leftOf(id)).toEqual([]);
    });
  });
});

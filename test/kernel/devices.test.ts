import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { run } from '../../lib/run.js';
import type { SpecDeviceRule } from '../../lib/spec/types.js';
import { cgroups, command, root, suite } from '../helpers/needs.js';

suite('device rules of a container', [root, cgroups, command('mknod')], () => {
  let dir: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringfort-devices-'));
    // Of a number that no driver has: what may be opened fails in another way.
    execFileSync('mknod', ['-m', '666', join(dir, 'device'), 'c', '240', '77']);
  });
  afterEach(() => rmSync(dir, { recursive: true }));

  async function opens(devices: SpecDeviceRule[]): Promise<string> {
    const script = 'exec 2>&1; (: </mnt/device); echo x >/dev/null && (: </dev/zero) && echo fine';
    const { stdout } = await run('sh', ['-c', script], {
      mounts: [{ type: 'bind', source: dir, destination: '/mnt', options: ['rbind', 'dev'] }],
      oci: (spec) => {
        spec.linux.resources = { ...spec.linux.resources, devices };
        return spec;
      },
    });
    return stdout;
  }

  test('standard devices stay, others are closed', async () => {
    expect(await opens([])).toMatch(/No such device or address\nfine\n$/);
    expect(await opens([{ allow: false }])).toMatch(/Operation not permitted\nfine\n$/);
  });

  test('the exceptions are what is open, or closed', async () => {
    const ours = { type: 'c', major: 240, minor: 77, access: 'r' } as const;
    expect(await opens([{ allow: false }, { allow: true, ...ours }])).toMatch(/No such device/);
    expect(await opens([{ allow: false, ...ours }])).toMatch(/Operation not permitted\nfine\n$/);
    const zero = { type: 'c', major: 1, minor: 5, access: 'r' } as const;
    expect(await opens([{ allow: false, ...zero }])).toMatch(/zero: Operation not permitted\n$/);
  });
});

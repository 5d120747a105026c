import { chownSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { run } from '../../lib/run.js';
import { during, output, refusal, sh } from '../helpers/containers.js';
import { cgroups, linux, root, suite } from '../helpers/needs.js';

interface Extent {
  inside: number;
  outside: number;
  size: number;
}

function parse(text: string): Extent[] {
  return text
    .trim()
    .split('\n')
    .map((line) => {
      const [inside = -1, outside = -1, size = -1] = line.trim().split(/\s+/).map(Number);
      return { inside, outside, size };
    });
}

const mapsOf = (pid: number) =>
  ['uid_map', 'gid_map'].map((file) => parse(readFileSync(`/proc/${pid}/${file}`, 'latin1')));

suite('id maps of containers', [linux, root, cgroups], () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringfort-ids-'));
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  test('two live containers have ranges of their own, without id 0 of the host', async () => {
    await during({}, (one) =>
      during({}, (two) => {
        for (const [kind, first = []] of mapsOf(one).entries()) {
          const second = mapsOf(two)[kind] ?? [];
          expect(first).toEqual([{ inside: 0, outside: expect.any(Number), size: 65536 }]);
          expect(second).toEqual([{ inside: 0, outside: expect.any(Number), size: 65536 }]);
          const [a, b] = [first[0]?.outside ?? 0, second[0]?.outside ?? 0];
          expect(Math.min(a, b)).toBeGreaterThanOrEqual(65536);
          expect(Math.abs(a - b)).toBeGreaterThanOrEqual(65536);
        }
      }),
    );
  });

  test('what the container sees of its map is what the host sees', async () => {
    const pool = { hostID: 3_000_000, size: 65536 };
    const inside = parse(await sh('cat /proc/self/uid_map', { idPool: pool }));
    expect(inside).toEqual([{ inside: 0, outside: 3_000_000, size: 65536 }]);
  });

  test('maps of its own, of several extents', async () => {
    const uidMappings = [
      { containerID: 0, hostID: 700_000, size: 10 },
      { containerID: 1000, hostID: 800_000, size: 1 },
    ];
    const gidMappings = [{ containerID: 0, hostID: 900_000, size: 2 }];
    const options = { uidMappings, gidMappings };
    const out = await sh('cat /proc/self/uid_map /proc/self/gid_map; id -u', {
      ...options,
      uid: 1000,
      gid: 1,
    });
    expect(parse(out).slice(0, 3)).toEqual([
      { inside: 0, outside: 700_000, size: 10 },
      { inside: 1000, outside: 800_000, size: 1 },
      { inside: 0, outside: 900_000, size: 2 },
    ]);
    expect(out).toMatch(/\n1000\n$/);
    expect(await refusal({ ...options, uid: 10 })).toMatchObject({ option: 'uid' });
    expect(await refusal({ ...options, groups: [2] })).toMatchObject({ option: 'groups[0]' });
    const { isolation } = await run('true', [], options);
    expect(isolation.missing.map(({ wall }) => wall)).toContain('ids:own-range');
  });

  test('id 0 of the host is refused, wherever in the map', async () => {
    const good = [{ containerID: 0, hostID: 700_000, size: 1 }];
    for (const bad of [
      [{ containerID: 0, hostID: 0, size: 1 }],
      [...good, { containerID: 5, hostID: 0, size: 100 }],
    ]) {
      const expected = { code: 'ERR_INVALID_OPTION', phase: 'options' };
      expect(await refusal({ uidMappings: bad, gidMappings: good })).toMatchObject(expected);
      expect(await refusal({ uidMappings: good, gidMappings: bad })).toMatchObject(expected);
    }
  });

  test('files on a bind have the ids inside that they have on disk, and no other', async () => {
    for (const [name, id] of [
      ['zero', 0],
      ['user', 1000],
      ['far', 100_000],
    ] as const) {
      writeFileSync(join(directory, name), '');
      chownSync(join(directory, name), id, id);
    }
    chownSync(directory, 0, 0);
    const mounts = [`${directory}:/mnt`];
    const list = 'stat -c "%n %u %g" /mnt/zero /mnt/user /mnt/far; ';
    expect(await sh(`${list} echo made > /mnt/made`, { mounts })).toBe(
      '/mnt/zero 0 0\n/mnt/user 1000 1000\n/mnt/far 65534 65534\n',
    );
    expect(statSync(join(directory, 'made'))).toMatchObject({ uid: 0, gid: 0 });
    expect(await output('echo x > /mnt/by1000', { mounts, uid: 1000 })).toContain(
      'Permission denied',
    );
    chownSync(directory, 1000, 1000);
    await sh('umask 077; echo made > /mnt/by1000', { mounts, uid: 1000, gid: 1000 });
    expect(statSync(join(directory, 'by1000'))).toMatchObject({ uid: 1000, gid: 1000 });
    expect(await output('cat /mnt/by1000; echo > /mnt/far', { mounts })).toMatch(
      /cat: .*Permission denied\n.*\/mnt\/far: Permission denied/,
    );
  });

  test('a host file that nobody inside owns stays closed, to root inside as well', async () => {
    const secret = join(directory, 'secret');
    writeFileSync(secret, 'secret', { mode: 0o600 });
    chownSync(secret, 200_000, 200_000);
    const options = {
      mounts: [`${directory}:/mnt`],
      capabilities: ['CAP_DAC_OVERRIDE', 'CAP_CHOWN', 'CAP_FOWNER'],
    };
    expect(
      await output('cat /mnt/secret; chown 0 /mnt/secret; chmod 666 /mnt/secret', options),
    ).toMatch(/cat: .*Permission denied\nchown: .*\nchmod: .*/);
    expect(statSync(secret)).toMatchObject({ uid: 200_000, mode: 0o100600 });
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { readLogs } from '../../lib/detached/logs.js';
import { parseState } from '../../lib/detached/parseState.js';
import { ContainerError, InvalidSpecError } from '../../lib/errors.js';
import { decodeEntries, Stats } from '../../lib/files/stats.js';
import type { Spec, SpecMount } from '../../lib/spec/types.js';
import { programSpecOf, specOf } from '../../lib/specOf.js';
import { Resolve } from '../../lib/sys/constants.js';
import { fixedFacts } from '../helpers/facts.js';
import { planOf } from './plans.js';
import { removeScratch } from './scratch.js';
import { entriesSeed, statSeed } from './seeds/files.js';
import { logSeed, stateSeed } from './seeds/host.js';

afterAll(removeScratch);

/* What fuzzing has found, each as the smallest input that showed it. */

test('a wrong value that has no words is an InvalidSpecError all the same', () => {
  const silent = Object.assign(Object.create(null), { big: 1n });
  for (const memory of [silent, [silent]])
    expect(() => specOf('box', 'true', [], { limits: { memory } })).toThrow(InvalidSpecError);
});

test('arguments of a program that are no array are refused by name', () => {
  const container = specOf('box', 'true', [], {});
  const program = { file: 'true', args: null as unknown as string[], options: {} };
  expect(() => programSpecOf(container, program, 'exec')).toThrow(
    expect.objectContaining({ code: 'ERR_INVALID_OPTION', option: 'args' }),
  );
});

test('a list of entries that is none is refused, not read for ever', () => {
  const broken = (at: number, value: number) => {
    const bytes = Buffer.from(entriesSeed);
    bytes.writeUInt16LE(value, at);
    return bytes;
  };
  const lists = [broken(16, 0), broken(16, 19), broken(16, 0xffff), entriesSeed.subarray(0, 30)];
  for (const list of lists)
    expect(() => decodeEntries(list)).toThrow(expect.objectContaining({ code: 'ERR_FILE_AGENT' }));
  expect(decodeEntries(entriesSeed).map(({ name }) => name.toString())).toEqual([
    'a',
    'longer-name.txt',
  ]);
});

test('a state of a file that is too short is refused', () => {
  expect(() => new Stats(statSeed.subarray(0, 255))).toThrow(ContainerError);
  expect(new Stats(statSeed).size).toBe(1234);
});

test('a damaged log is read as far as it goes', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ringfort-log-'));
  try {
    const bytes = Buffer.from(logSeed);
    // The record of what was lost says that it has four bytes.
    const at = bytes.indexOf(Buffer.from([0, 8, 0, 0, 0, 99]));
    bytes.writeUInt32LE(4, at + 1);
    writeFileSync(join(dir, 'log'), bytes);
    const entries = [];
    for await (const { data } of readLogs({ dir, maxFiles: 1, ended: () => true }))
      entries.push(data.toString());
    expect(entries.slice(0, 2)).toEqual(['out\n', 'err\nmore\n']);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

/** The container's own steps for a spec that `oci` has added mounts to. */
function childOf(...added: SpecMount[]) {
  const oci = (spec: Spec) => ({ ...spec, mounts: [...(spec.mounts ?? []), ...added] });
  return planOf(specOf('box', 'true', [], { oci }), fixedFacts, true).child;
}

test('a mount on the very place of an earlier one lies on that', () => {
  const tmpfs = { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' };
  const attached = childOf(tmpfs, tmpfs).filter((step) => step.op === 'attach');
  expect(attached.filter(({ path }) => path === '/tmp')).toHaveLength(3);
});

test('however a destination is spelled, no link leads to /sys or /dev', () => {
  for (const destination of ['//sys//firmware', '/./sys/firmware/', '/sys/firmware']) {
    const attached = childOf({ destination, type: 'tmpfs', source: 'tmpfs' }).filter(
      (step) => step.op === 'attach',
    );
    const strict = BigInt(Resolve.RESOLVE_NO_SYMLINKS | Resolve.RESOLVE_IN_ROOT);
    const own = attached.find(({ path }) => path === '/sys/firmware');
    expect([destination, (own?.resolve ?? 0n) & strict]).toEqual([destination, strict]);
  }
});

test.each([
  ['labels', null],
  ['labels', { app: 1 }],
  ['command', 'sleep'],
  ['cgroups', [{ path: '/a', inode: 'x', device: '1' }]],
  ['cgroup', { paths: {} }],
  ['facts', {}],
  ['streams', null],
  ['logs', { maxSize: 1, maxFiles: 0 }],
  ['createdAt', 'yesterday'],
])('a state.json with a damaged %s is none', (field, value) => {
  expect(parseState(JSON.stringify(stateSeed), 'web')).toEqual(stateSeed);
  expect(parseState(JSON.stringify({ ...stateSeed, [field]: value }), 'web')).toBeUndefined();
});

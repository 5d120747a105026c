import { expect, test } from '@jest/globals';
import { journalLayout } from '../../lib/host/journal.js';
import {
  decodeReport,
  journalSection,
  launcherSection,
  type Report,
  reportType,
  request,
} from '../../lib/launcher/messages.js';
import { loadBinding } from '../../lib/native/load.js';
import { protocol } from '../../lib/plan/encode.js';
import { planFlag, slot, wall } from '../../lib/plan/steps.js';
import { traceLayout } from '../../lib/trace.js';

const native = loadBinding().protocol;

/** `{ a: 1 }` as `{ prefixA: 1 }`: how the addon names the members of an enum. */
function prefixed(prefix: string, numbers: Readonly<Record<string, number>>) {
  return Object.fromEntries(
    Object.entries(numbers).map(([name, value]) => [
      `${prefix}${name[0]?.toUpperCase()}${name.slice(1)}`,
      value,
    ]),
  );
}

/** Where a field of the report lies. */
function at(field: string): number {
  const offset = native[`${field}At`];
  if (offset === undefined) throw new Error(`the addon exports no ${field}At`);
  return offset;
}

/** A report laid out as the addon says; `bits` is how wide each field is. */
function layOut(fields: Record<string, [bits: 32 | 64, value: bigint]>, data: Buffer): Buffer {
  const header = Buffer.alloc(native.reportHeaderSize ?? 0);
  for (const [name, [bits, value]] of Object.entries(fields)) {
    if (bits === 64) header.writeBigUInt64LE(value, at(`report${name}`));
    else header.writeUInt32LE(Number(BigInt.asUintN(32, value)), at(`report${name}`));
  }
  header.writeUInt32LE(data.length, at('reportDataSize'));
  return Buffer.concat([header, data]);
}

/** What one read step found, laid out as the addon says. */
function found(step: number, error: number, text: string): Buffer {
  const header = Buffer.alloc(native.foundSize ?? 0);
  header.writeUInt32LE(step, at('foundStep'));
  header.writeUInt32LE(error, at('foundError'));
  header.writeUInt32LE(Buffer.byteLength(text), at('foundSize'));
  const padding = Buffer.alloc(-Buffer.byteLength(text) & 3);
  return Buffer.concat([header, Buffer.from(text), padding]);
}

test('every number that lib/ repeats is the launcher’s', () => {
  expect(native).toMatchObject({
    ...protocol,
    ...prefixed('slot', slot),
    ...prefixed('wall', wall),
    ...prefixed('request', request),
    ...prefixed('report', reportType),
    sectionLauncher: launcherSection,
    sectionJournal: journalSection,
    ...prefixed('journal', journalLayout),
    ...traceLayout,
    ...prefixed('plan', planFlag),
  });
});

test('nothing is exported from protocol.h that lib/ does not repeat', () => {
  const enums = { slot, wall, request, report: reportType };
  for (const [prefix, numbers] of Object.entries(enums)) {
    const names = Object.keys(native).filter(
      (name) => new RegExp(`^${prefix}[A-Z]`).test(name) && !/(At|Size)$/.test(name),
    );
    expect(names.sort()).toEqual(Object.keys(prefixed(prefix, numbers)).sort());
  }
});

test('a report is read where the launcher puts its fields', () => {
  const data = Buffer.concat([found(2, 0, 'hello'), found(5, 13, ''), found(6, 0, 'four')]);
  const bytes = layOut(
    {
      Type: [32, 4n],
      Id: [32, 0xfffffffen],
      Section: [32, 3n],
      Step: [32, 77n],
      Error: [32, 17n],
      Pid: [32, 4_000_000n],
      Status: [32, -1n],
      Oom: [32, 1n],
      UserUs: [64, 0x1_0000_0002n],
      SystemUs: [64, 0x3_0000_0004n],
      MaxRssBytes: [64, 0x5_0000_0006n],
      Left: [32, 9n],
    },
    data,
  );
  expect(decodeReport(bytes)).toEqual({
    type: reportType.exited,
    id: 0xfffffffe,
    section: 3,
    step: 77,
    error: 17,
    pid: 4_000_000,
    status: -1,
    oom: true,
    userUs: 0x1_0000_0002,
    systemUs: 0x3_0000_0004,
    maxRssBytes: 0x5_0000_0006,
    left: 9,
    found: [
      { step: 2, error: 0, data: Buffer.from('hello') },
      { step: 5, error: 13, data: Buffer.alloc(0) },
      { step: 6, error: 0, data: Buffer.from('four') },
    ],
  } satisfies Report);
});

test('the launcher’s bounds fit the encoder’s', () => {
  expect(native.reportHeaderSize).toBe(64);
  expect(native.foundSize).toBe(12);
  // The first descriptor of a message may be the plan's own memfd.
  expect(protocol.maxFds).toBe(native.maxFds);
  expect(native.inlinePlanBytes).toBeLessThan(protocol.maxPlanBytes);
});

import { expect, test } from '@jest/globals';
import { encodePlan, protocol } from '../../lib/plan/encode.js';
import { bytes, type Plan, type Step, slot, stepTable } from '../../lib/plan/steps.js';

function plan(parts: Partial<Plan> = {}): Plan {
  return {
    cloneFlags: 0n,
    intoCgroup: slot.none,
    fds: [],
    slotCount: 0,
    waived: 0,
    prepare: [],
    attend: [],
    child: [],
    teardown: [],
    ...parts,
  };
}

/** What a plan has behind its header. */
function body(parts: Partial<Plan>): Buffer {
  return encodePlan(plan(parts)).subarray(protocol.planHeaderSize);
}

function code(op: Step['op']): number {
  return Object.keys(stepTable).indexOf(op);
}

/** The first string of a plan whose child begins with `sethostname`. */
function decodeName(encoded: Buffer): { text: string; rest: Buffer } {
  expect(encoded.readUInt32LE(0)).toBe(code('sethostname'));
  const length = encoded.readUInt32LE(8);
  return {
    text: encoded.toString('utf8', 12, 12 + length),
    rest: encoded.subarray(12 + length, encoded.readUInt32LE(4)),
  };
}

const hex = (text: string) => text.replace(/#.*$/gm, '').replace(/\s/g, '');

test('a small plan is these bytes', () => {
  const encoded = encodePlan(
    plan({
      cloneFlags: 0x30020000n,
      fds: [7, 9],
      slotCount: 3,
      waived: 8,
      prepare: [{ op: 'close', slot: 1 }],
      attend: [{ op: 'procWrite', file: 'self/uid_map', data: bytes('0 1 1'), readBack: 1 }],
      child: [
        { op: 'wait' },
        { op: 'prctl', option: 4, arg2: 0x0102030405060708n, arg3: -1n },
        { op: 'exec', candidates: ['/a'], argv: ['a', ''], env: [] },
      ],
      teardown: [{ op: 'rmdir', dir: slot.host, path: 'abc' }],
    }),
  );
  expect(encoded.toString('hex')).toBe(
    hex(`
      52465031 01000000 e4000000          # RFP1, version, size
      02000000 03000000 08000000          # descriptors, slots, waived
      0000023000000000 ffffffff           # clone flags, no cgroup
      01000000 01000000 03000000 01000000 # steps
      0c000000 2c000000 50000000 14000000 # bytes of the sections
      00000000
      01000000 0c000000 01000000          # close 1
      09000000 2c000000                   # procWrite
        0c000000 73656c662f7569645f6d6170 00000000
        05000000 3020312031000000
        01000000
      0c000000 08000000                   # wait
      1c000000 1c000000 04000000          # prctl
        0807060504030201 ffffffffffffffff
      2f000000 2c000000                   # exec
        01000000 02000000 2f610000
        02000000 01000000 61000000 00000000 00000000
        00000000
      08000000 14000000 f0ffffff          # rmdir
        03000000 61626300
    `),
  );
});

test('text ends with a NUL and is padded to four bytes, bytes are only padded', () => {
  const paddings = ['', 'a', 'ab', 'abc', 'abcd', 'abcde'].map((name) => {
    const { text, rest } = decodeName(body({ child: [{ op: 'sethostname', name }] }));
    expect(text).toBe(name);
    return rest.toString('hex');
  });
  expect(paddings).toEqual(['00000000', '000000', '0000', '00', '00000000', '000000']);
  const sizes = [0, 1, 2, 3, 4, 5].map((size) => {
    const ids = new Uint8Array(size).fill(0xff);
    const encoded = body({ child: [{ op: 'setgroups', ids }] });
    expect(encoded.readUInt32LE(8)).toBe(size);
    expect(encoded.subarray(12 + size).every((byte) => byte === 0)).toBe(true);
    return encoded.length;
  });
  expect(sizes).toEqual([12, 16, 16, 16, 16, 20]);
});

test.each(['€', '𝄞 ﷽', 'é', 'e\u0301', 'x'.repeat(4095)])('text is UTF-8: %s', (name) => {
  const { text } = decodeName(body({ child: [{ op: 'sethostname', name }] }));
  expect(text).toBe(name);
});

test('half of a surrogate pair is the replacement character, its length counted as written', () => {
  const { text, rest } = decodeName(body({ child: [{ op: 'sethostname', name: 'a\ud834' }] }));
  expect(text).toBe('a\ufffd');
  expect(rest.toString('hex')).toBe('00000000');
});

test.each([65_535, 65_536, 70_000, 1 << 20])('an argument of %d bytes stays whole', (length) => {
  const text = Array.from({ length }, (_, i) => String.fromCharCode(97 + (i % 26))).join('');
  const encoded = body({ child: [{ op: 'exec', candidates: [], argv: [text, 'x'], env: [] }] });
  const at = 8 + 4 + 4;
  expect(encoded.readUInt32LE(4)).toBe(encoded.length);
  expect(encoded.readUInt32LE(at)).toBe(length);
  expect(encoded.toString('latin1', at + 4, at + 4 + length) === text).toBe(true);
  const next = at + 4 + ((length + 4) & ~3);
  expect(encoded.subarray(next).toString('hex')).toBe('010000007800000000000000');
});

test('numbers wrap to what the kernel reads: -1 is all ones', () => {
  const encoded = body({ child: [{ op: 'umask', mask: -1 }] });
  expect(encoded.subarray(8).toString('hex')).toBe('ffffffff');
});

test('every step has the code of its place in the table', () => {
  const ops = Object.keys(stepTable) as Step['op'][];
  for (const op of ops.filter((name) => stepTable[name].length === 0)) {
    const encoded = body({ child: [{ op } as Step] });
    expect([op, encoded.readUInt32LE(0), encoded.length]).toEqual([op, code(op), 8]);
  }
});

const tooLarge = (words: string) =>
  expect.objectContaining({
    name: 'ContainerError',
    code: 'ERR_PLAN_TOO_LARGE',
    phase: 'spec',
    message: expect.stringContaining(words),
  });

test('16384 steps in all sections together, not one more', () => {
  const umask: Step = { op: 'umask', mask: 0 };
  const many = Array<Step>(8192).fill(umask);
  const encoded = encodePlan(plan({ child: many, prepare: many }));
  expect(encoded.length).toBe(protocol.planHeaderSize + 16384 * 12);
  expect(() => encodePlan(plan({ child: many, prepare: many, teardown: [umask] }))).toThrow(
    tooLarge('at most 16384 steps, got 16385'),
  );
});

test('2048 slots and 63 passed descriptors, not one more', () => {
  const fds = Array<number>(63).fill(0);
  const encoded = encodePlan(plan({ fds, slotCount: 2048 }));
  expect([encoded.readUInt32LE(12), encoded.readUInt32LE(16)]).toEqual([63, 2048]);
  expect(() => encodePlan(plan({ fds: [...fds, 0], slotCount: 64 }))).toThrow(
    tooLarge('at most 63 passed descriptors, got 64'),
  );
  expect(() => encodePlan(plan({ slotCount: 2049 }))).toThrow(
    tooLarge('at most 2048 descriptors, got 2049'),
  );
});

test('16 MiB, not a word more', () => {
  const sized = (size: number) =>
    encodePlan(plan({ prepare: [{ op: 'writeFd', slot: 0, data: new Uint8Array(size) }] }));
  const room = protocol.maxPlanBytes - protocol.planHeaderSize - 16;
  expect(sized(room).length).toBe(protocol.maxPlanBytes);
  expect(() => sized(room + 1)).toThrow(
    tooLarge(`at most ${protocol.maxPlanBytes} bytes, got ${protocol.maxPlanBytes + 4}`),
  );
});

test('the same plan is the same bytes', () => {
  const parts = plan({ child: [{ op: 'sethostname', name: 'abcdef' }, { op: 'wait' }] });
  expect(encodePlan(parts).equals(encodePlan(parts))).toBe(true);
});

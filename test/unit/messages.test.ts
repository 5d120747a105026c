import { expect, test } from '@jest/globals';
import { decodeReport, decodeStatus } from '../../lib/launcher/messages.js';

const headerSize = 64;

/** A report of type 4 that says it has `dataSize` bytes and has `data`. */
function report(data: Buffer, dataSize = data.length): Buffer {
  const header = Buffer.alloc(headerSize);
  header.writeUInt32LE(4, 0);
  header.writeUInt32LE(dataSize, 56);
  return Buffer.concat([header, data]);
}

function found(step: number, size: number, data: string): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt32LE(step, 0);
  header.writeUInt32LE(size, 8);
  return Buffer.concat([header, Buffer.from(data)]);
}

test('what is shorter than a header is no report', () => {
  for (let size = 0; size < headerSize; size++)
    expect(decodeReport(Buffer.alloc(size))).toBeUndefined();
  expect(decodeReport(Buffer.alloc(headerSize))).toBeDefined();
});

test('a report whose length is not what it says is none', () => {
  expect(decodeReport(report(Buffer.alloc(12)))).toBeDefined();
  for (const size of [0, 11, 13, 0x7fffffff, 0xffffffff])
    expect(decodeReport(report(Buffer.alloc(12), size))).toBeUndefined();
});

test('what a read step found is cut at the end of the message, whatever its size says', () => {
  const whole = report(Buffer.concat([found(1, 3, 'abc\0'), found(2, 4, 'defg')]));
  expect(decodeReport(whole)?.found).toEqual([
    { step: 1, error: 0, data: Buffer.from('abc') },
    { step: 2, error: 0, data: Buffer.from('defg') },
  ]);
  for (const size of [5, 0x7fffffff, 0xfffffffd, 0xffffffff]) {
    const lying = decodeReport(report(found(1, size, 'abcd')));
    expect(lying?.found).toEqual([{ step: 1, error: 0, data: Buffer.from('abcd') }]);
  }
  const rest = decodeReport(report(Buffer.concat([found(1, 0, ''), Buffer.alloc(11)])));
  expect(rest?.found).toEqual([{ step: 1, error: 0, data: Buffer.alloc(0) }]);
});

test.each([
  ['exit 0', 0, { exitCode: 0, signal: null }],
  ['exit 1', 1 << 8, { exitCode: 1, signal: null }],
  ['exit 255', 255 << 8, { exitCode: 255, signal: null }],
  ['SIGKILL', 9, { exitCode: null, signal: 9 }],
  ['SIGSEGV with a core file', 11 | 0x80, { exitCode: null, signal: 11 }],
  ['SIGRTMAX', 64, { exitCode: null, signal: 64 }],
  ['unknown', -1, { exitCode: null, signal: null }],
])('wait status: %s', (_, status, ended) => {
  expect(decodeStatus(status)).toEqual(ended);
});

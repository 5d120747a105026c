import { expect, test } from '@jest/globals';
import { decodeReply, encodeRequest, fileOps, fileProtocol } from '../../lib/files/protocol.js';
import { loadBinding } from '../../lib/native/load.js';

const { fileOps: native, fileProtocol: numbers } = loadBinding();

function at(name: string): number {
  const offset = numbers[`${name}At`];
  if (offset === undefined) throw new Error(`the addon exports no ${name}At`);
  return offset;
}

test('both tables name the same requests, in the same order, with the same arguments', () => {
  const ours = Object.entries(fileOps).map(([name, [paths, data]]) => ({ name, paths, data }));
  expect(ours.length).toBeGreaterThan(20);
  expect(ours).toEqual(native);
});

test('every number that lib/ repeats is the agent’s, and none is missing', () => {
  expect(numbers).toMatchObject(fileProtocol);
  const names = Object.keys(numbers).filter((name) => !name.endsWith('At'));
  expect(names.sort()).toEqual(Object.keys(fileProtocol).sort());
});

test('a request is laid out where the agent reads it', () => {
  const bytes = encodeRequest('setxattr', 0xfffffffe, {
    dir: 3,
    dir2: 4,
    flags: 2,
    path: Buffer.from('path'),
    path2: Buffer.from('name'),
    data: Buffer.from('value'),
    numbers: [1, -1, 2n ** 63n, 4],
  });
  const header = ['op', 'id', 'dir', 'dir2', 'flags', 'pathSize', 'path2Size', 'dataSize'];
  const code = native.findIndex(({ name }) => name === 'setxattr');
  expect(header.map((name) => bytes.readUInt32LE(at(name)))).toEqual([
    code,
    0xfffffffe,
    3,
    4,
    2,
    4,
    4,
    5,
  ]);
  const read = [0, 1, 2, 3].map((i) => bytes.readBigUInt64LE(at('number') + 8 * i));
  expect(read).toEqual([1n, 2n ** 64n - 1n, 2n ** 63n, 4n]);
  expect(bytes.subarray(fileProtocol.requestSize).toString()).toBe('path\0name\0value');
});

test('a reply is read where the agent puts its fields', () => {
  const bytes = Buffer.alloc(fileProtocol.replySize + 4);
  const fields = { Kind: 1, Id: 0xfffffffe, Error: 17, Last: 1, Value: 0xfffffffd, DataSize: 4 };
  for (const [name, value] of Object.entries(fields))
    bytes.writeUInt32LE(value, at(`reply${name}`));
  bytes.write('data', fileProtocol.replySize);
  expect(decodeReply(bytes)).toEqual({
    kind: 1,
    id: 0xfffffffe,
    error: 17,
    last: true,
    value: 0xfffffffd,
    data: Buffer.from('data'),
  });
  expect(decodeReply(bytes.subarray(0, -1))).toBeUndefined();
  expect(decodeReply(Buffer.alloc(3))).toBeUndefined();
});

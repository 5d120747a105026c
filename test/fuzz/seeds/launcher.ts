import { crc32 } from 'node:zlib';
import { journalLayout } from '../../../lib/host/journal.js';
import { reportType } from '../../../lib/launcher/messages.js';

/** A report as native/protocol.h lays it out. */
function report(
  type: number,
  status: number,
  found: readonly [step: number, text: string][],
): Buffer {
  const parts = found.map(([step, text]) => {
    const part = Buffer.alloc(12 + ((text.length + 3) & ~3));
    part.writeUInt32LE(step, 0);
    part.writeUInt32LE(text.length, 8);
    part.write(text, 12);
    return part;
  });
  const data = Buffer.concat(parts);
  const header = Buffer.alloc(64);
  header.writeUInt32LE(type, 0);
  header.writeUInt32LE(7, 4);
  header.writeInt32LE(1234, 20);
  header.writeInt32LE(status, 24);
  header.writeBigUInt64LE(1000n, 32);
  header.writeUInt32LE(data.length, 56);
  return Buffer.concat([header, data]);
}

export const reportSeeds: readonly Buffer[] = [
  report(reportType.ready, 0, []),
  report(reportType.running, 0, []),
  report(reportType.failed, 0, []),
  report(reportType.exited, 0x0300, [
    [0, 'usage_usec 1000\nuser_usec 600\nsystem_usec 400\n'],
    [1, '1048576\n'],
    [2, 'oom 1\noom_kill 1\n'],
    [3, 'max 3\n'],
  ]),
  report(reportType.exited, 9, [[1, '']]),
  // A signal of no name (128 + n in a shell).
  report(reportType.exited, 65, []),
  report(reportType.exited, 127, []),
];

/** Two entries of a journal: one that was made, one that is not known to be. */
function entry(path: string, inode: bigint): Buffer {
  const at = journalLayout;
  const bytes = Buffer.alloc(at.entryBytes);
  bytes.writeUInt32LE(at.magic, 0);
  bytes.writeUInt32LE(path.length, at.pathSizeAt);
  bytes.write(path, at.pathAt);
  const crc = crc32(bytes.subarray(at.pathAt, at.pathAt + path.length));
  bytes.writeUInt32LE(crc, at.pathCrcAt);
  bytes.writeBigUInt64LE(inode, at.inodeAt);
  bytes.writeUInt32LE(crc32(bytes.subarray(at.inodeAt, at.pathAt), crc), at.madeCrcAt);
  return bytes;
}

export const journalSeed: Buffer = Buffer.concat([
  entry('/sys/fs/cgroup/ringfort-a', 4711n),
  entry('/sys/fs/cgroup/ringfort-b', 0n),
]);

/** Answers of a file agent, as the kernel and native/file_protocol.h lay them out. */

function reply(kind: number, error: number, data: Buffer): Buffer {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(kind, 0);
  header.writeUInt32LE(1, 4);
  header.writeInt32LE(error, 8);
  header.writeUInt32LE(1, 12);
  header.writeUInt32LE(data.length, 20);
  return Buffer.concat([header, data]);
}

/** getdents64(2). */
function entry(name: string, type: number, next: bigint): Buffer {
  const bytes = Buffer.alloc((19 + name.length + 1 + 7) & ~7);
  bytes.writeBigUInt64LE(42n, 0);
  bytes.writeBigInt64LE(next, 8);
  bytes.writeUInt16LE(bytes.length, 16);
  bytes.writeUInt8(type, 18);
  bytes.write(name, 19);
  return bytes;
}

export const entriesSeed: Buffer = Buffer.concat([
  entry('.', 4, 1n),
  entry('..', 4, 2n),
  entry('a', 8, 3n),
  entry('longer-name.txt', 10, 4n),
]);

/** struct statx. */
export const statSeed: Buffer = Buffer.alloc(256);
statSeed.writeUInt16LE(0o100644, 28);
statSeed.writeBigUInt64LE(1234n, 40);
statSeed.writeBigInt64LE(1_700_000_000n, 112);

/** struct inotify_event. */
function event(watch: number, mask: number, name: string): Buffer {
  const size = (name.length + 1 + 15) & ~15;
  const bytes = Buffer.alloc(16 + size);
  bytes.writeInt32LE(watch, 0);
  bytes.writeUInt32LE(mask, 4);
  bytes.writeUInt32LE(size, 12);
  bytes.write(name, 16);
  return bytes;
}

export const eventsSeed: Buffer = Buffer.concat([event(1, 0x100, 'made'), event(1, 0x8000, '')]);

export const replySeeds: readonly Buffer[] = [
  reply(0, 0, Buffer.alloc(0)),
  reply(0, 2, Buffer.alloc(0)),
  reply(0, 0, Buffer.concat([statSeed, entriesSeed])),
  reply(1, 0, eventsSeed),
];

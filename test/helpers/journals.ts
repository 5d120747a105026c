import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { type Identity, type JournalEntry, journalLayout } from '../../lib/host/journal.js';

/** A directory as a launcher would have noted it that made it. */
export function identityOf(path: string): Identity {
  const { ino, dev } = statSync(path, { bigint: true });
  return { inode: ino, device: dev };
}

/** The entry of a journal, as the launcher writes it. */
export function journalEntry({ path, made }: JournalEntry): Buffer {
  const at = journalLayout;
  const bytes = Buffer.alloc(at.entryBytes);
  const text = Buffer.from(path);
  bytes.writeUInt32LE(at.magic, 0);
  bytes.writeUInt32LE(text.length, at.pathSizeAt);
  bytes.writeUInt32LE(crc32(text), at.pathCrcAt);
  text.copy(bytes, at.pathAt);
  if (made === undefined) return bytes;
  bytes.writeBigUInt64LE(made.inode, at.inodeAt);
  // cgroup file systems have no device: their numbers are 0 and less than 2^20.
  bytes.writeUInt32LE(
    Number((made.device & 0xffn) | ((made.device >> 12n) & 0xfff00n)),
    at.devMinorAt,
  );
  bytes.writeUInt32LE(Number((made.device >> 8n) & 0xfffn), at.devMajorAt);
  const made32 = crc32(bytes.subarray(at.inodeAt, at.pathAt), crc32(text));
  bytes.writeUInt32LE(made32, at.madeCrcAt);
  return bytes;
}

/** A journal that a dead launcher left. */
export function leaveJournal(path: string, entries: readonly (JournalEntry | Buffer)[]): void {
  const fd = openSync(path, 'wx', 0o600);
  for (const entry of entries) writeSync(fd, Buffer.isBuffer(entry) ? entry : journalEntry(entry));
  closeSync(fd);
}

import { constants } from 'node:fs';
import { codeOf } from '../errors.js';
import type { FileOp, FileRequest } from '../files/protocol.js';
import type { Stats } from '../files/stats.js';
import { splitNs } from '../files/time.js';

const { S_IFMT } = constants;

/** One request of an agent. */
export type Call = (op: FileOp, request: FileRequest) => Promise<{ data: Buffer }>;

/** A file of the agent. */
export type Place = Pick<FileRequest, 'dir' | 'path' | 'flags'>;

/** Those that a copy takes along; the others belong to the host (xattr(7)). */
const kept = /^(user\.|system\.posix_acl_(access|default)$|security\.capability$)/;

/** Names of a file's extended attributes that a copy takes along. */
export async function attributeNames(call: Call, at: Place): Promise<Buffer[]> {
  let list: Buffer;
  try {
    list = (await call('listxattr', at)).data;
  } catch (error) {
    // The file system has none.
    if (codeOf(error) === 'EOPNOTSUPP' || codeOf(error) === 'ENOTSUP') return [];
    throw error;
  }
  const names: Buffer[] = [];
  for (let from = 0; from < list.length; ) {
    const end = list.indexOf(0, from);
    const name = list.subarray(from, end);
    if (kept.test(name.toString('latin1'))) names.push(name);
    from = end + 1;
  }
  return names;
}

/** Value of an extended attribute; undefined when there is none. */
export async function attribute(call: Call, at: Place, name: Buffer): Promise<Buffer | undefined> {
  try {
    return (await call('getxattr', { ...at, path2: name })).data;
  } catch (error) {
    if (codeOf(error) === 'ENODATA' || codeOf(error) === 'EOPNOTSUPP') return undefined;
    throw error;
  }
}

/** Gives a file the owner, mode, extended attributes and times of another. */
export async function copyAttributes(
  call: Call,
  { from, to, stats }: { from: Place; to: Place; stats: Stats },
): Promise<void> {
  const { uid, gid, mode, atimeNs, mtimeNs } = stats;
  // On their way at once, carried out in this order: chown clears bits of the mode, and both take
  // file capabilities away. An ACL comes last, because its mask is a part of the mode.
  const [names] = await Promise.all([
    attributeNames(call, from),
    call('chown', { ...to, numbers: [uid, gid] }),
    stats.isSymbolicLink() || call('chmod', { ...to, numbers: [mode & ~S_IFMT] }),
  ]);
  for (const name of names) {
    const data = await attribute(call, from, name);
    if (data !== undefined) await call('setxattr', { ...to, path2: name, data });
  }
  await call('utimes', { ...to, numbers: [...splitNs(atimeNs), ...splitNs(mtimeNs)] });
}

import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { invalid, NotFoundError } from '../errors.js';
import type { OverlayRoot } from '../options.js';
import { annotation } from '../spec/annotations.js';
import type { Spec, SpecUser } from '../spec/types.js';
import { OpenFlags, Resolve } from '../sys/constants.js';
import { close, openat2 } from '../sys/files.js';

/** More than any honest /etc/passwd; a hostile one is not read further. */
const maxBytes = 4 << 20;

/** NGROUPS_MAX: setgroups(2). */
const maxGroups = 65536;

/** What a root can do to us on the way to a file; the last where it is changed meanwhile. */
const unreadable = ['ENOENT', 'ENOTDIR', 'ELOOP', 'EACCES', 'EAGAIN'];

/** Without waiting for a lease of the guest's to be broken (fcntl(2)). */
function readOpen(found: number, size: number): string {
  const fd = openSync(`/proc/self/fd/${found}`, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const buffer = Buffer.alloc(size);
    return buffer.toString('utf8', 0, readSync(fd, buffer, 0, size, 0));
  } finally {
    closeSync(fd);
  }
}

/** Reads a file of a root that may be hostile: links stay inside, only regular files, bounded. */
function readInRoot(root: string, path: string): string | undefined {
  let dir = -1;
  try {
    dir = openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
    // Opened for reading only when it is known to be a file: to open a device can mean to use it.
    const found = openat2(dir, path, {
      flags: OpenFlags.O_PATH,
      resolve: Resolve.RESOLVE_IN_ROOT | Resolve.RESOLVE_NO_MAGICLINKS,
    });
    try {
      const stats = fstatSync(found);
      return stats.isFile() && stats.size <= maxBytes ? readOpen(found, stats.size) : undefined;
    } finally {
      close(found);
    }
  } catch (error) {
    if (unreadable.includes((error as NodeJS.ErrnoException).code ?? '')) return undefined;
    throw error;
  } finally {
    if (dir >= 0) closeSync(dir);
  }
}

/** The directories that make the container's root, topmost first. */
function layers(spec: Spec): string[] {
  const overlay = spec.annotations?.[annotation.overlay];
  if (overlay === undefined) return [spec.root?.path ?? '/'];
  const { lower, upper } = JSON.parse(overlay) as OverlayRoot;
  return upper === undefined ? lower : [upper, ...lower];
}

/** Lines of a colon-separated database; the first layer that has the file wins. */
function entries(spec: Spec, path: string): string[][] {
  for (const layer of layers(spec)) {
    const text = readInRoot(layer, path);
    if (text !== undefined) return text.split('\n').map((line) => line.split(':'));
  }
  return [];
}

function id(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,10}$/.test(text) && Number(text) < 2 ** 32 - 1
    ? Number(text)
    : undefined;
}

function groupId(spec: Spec, word: string): number {
  const entry = entries(spec, 'etc/group').find(([name]) => name === word);
  const found = id(entry?.[2]);
  if (found === undefined)
    throw new NotFoundError('ERR_USER_NOT_FOUND', `user: no group ${word} in the container`, {
      option: 'user',
      phase: 'options',
      path: '/etc/group',
    });
  return found;
}

/** The groups that list the user as a member (group(5)). */
function memberships(spec: Spec, user: string): number[] {
  const gids = entries(spec, 'etc/group')
    .filter(([, , , members]) => (members ?? '').split(',').includes(user))
    .flatMap(([, , gid]) => id(gid) ?? []);
  const groups = [...new Set(gids)];
  if (groups.length > maxGroups)
    throw invalid('user', `a user of at most ${maxGroups} groups`, groups.length);
  return groups;
}

/**
 * The ids of the program's user where the options named it, looked up in the container's own
 * /etc/passwd and /etc/group (passwd(5), group(5)), as docker does: a name, a name with a group, or
 * a uid whose group is asked for.
 * @throws NotFoundError `ERR_USER_NOT_FOUND`
 */
export function lookUpUser(spec: Spec): SpecUser | undefined {
  const asked = spec.annotations?.[annotation.user];
  const user = spec.process?.user;
  if (asked === undefined || user === undefined) return undefined;
  const [word = '', group] = asked.split(':');
  const number = id(word);
  const entry = entries(spec, 'etc/passwd').find(([name, , uid]) =>
    number === undefined ? name === word : uid === word,
  );
  const uid = number ?? id(entry?.[2]);
  if (uid === undefined)
    throw new NotFoundError('ERR_USER_NOT_FOUND', `user: no user ${word} in the container`, {
      option: 'user',
      phase: 'options',
      path: '/etc/passwd',
    });
  const ownGroup = id(entry?.[3]) ?? 0;
  const gid = group === undefined ? ownGroup : (id(group) ?? groupId(spec, group));
  const name = entry?.[0];
  const additionalGids =
    user.additionalGids ??
    (group === undefined && name !== undefined ? memberships(spec, name) : []);
  return { ...user, uid, gid, additionalGids };
}

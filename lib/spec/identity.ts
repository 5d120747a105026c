import type { ProcessOptions } from '../options.js';
import { defaultUmask } from './defaults.js';
import { defined } from './defined.js';
import type { SpecUser } from './types.js';

/** Who the program runs as. */
export interface Identity {
  user: SpecUser;
  /** What must still be looked up in the container's /etc/passwd and /etc/group. */
  lookup?: string;
  /** Home directory, where it is a private one. */
  home: { path: string; options: readonly string[] };
}

/** Ids, and what of them only the container's own /etc/passwd can tell. */
export function identityFromOptions(options: ProcessOptions): Identity {
  const [userWord, groupWord] = options.user?.split(':') ?? [];
  const uid = numeric(userWord) ?? options.uid;
  const gid = numeric(groupWord) ?? options.gid;
  // Root's group is 0 in every /etc/passwd; only other users need a look at it.
  const known = userWord === undefined || numeric(userWord) !== undefined;
  const groupKnown =
    groupWord === undefined ? gid !== undefined || (uid ?? 0) === 0 : gid !== undefined;
  const user = defined({
    uid: uid ?? 0,
    gid: gid ?? 0,
    umask: options.umask ?? defaultUmask,
    additionalGids: options.groups === undefined ? undefined : [...options.groups],
  });
  const home = homeOf(known ? (uid ?? 0) : userWord);
  return known && groupKnown ? { user, home } : { user, home, lookup: options.user ?? `${uid}` };
}

function homeOf(user: number | string): Identity['home'] {
  if (user === 0 || user === 'root') return { path: '/root', options: ['mode=700'] };
  // The uid of a name is not known yet, and root is the only other user in there.
  if (typeof user === 'string') return { path: '/home/user', options: ['mode=1777'] };
  return { path: '/home/user', options: [`uid=${user}`, 'mode=700'] };
}

function numeric(word: string | undefined): number | undefined {
  return word !== undefined && /^\d+$/.test(word) ? Number(word) : undefined;
}

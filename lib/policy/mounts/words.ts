import { type InvalidSpecError, invalid } from '../../errors.js';
import { tmpfsBounds } from '../../spec/mountString.js';
import type { SpecMount } from '../../spec/types.js';
import { MountAttr } from '../../sys/constants.js';

/** A mount's option words, read. */
export interface MountWords {
  /** `MOUNT_ATTR_*` to set. */
  set: number;
  /** `MOUNT_ATTR_*` to clear first: the access-time mode, where one was named. */
  clear: number;
  recursive: boolean;
  /** `idmap` or `ridmap` was asked for. */
  idmap: boolean;
  /** What the file system itself is told, `key=value` or a bare word. */
  data: string[];
}

/** A word that sets an attribute, or takes back one that an earlier word has set. */
interface AttributeWord {
  set?: number;
  unset?: number;
  /** It names an access-time mode, which the kernel changes only as a whole. */
  atime?: true;
}

const {
  MOUNT_ATTR_RDONLY: readonly,
  MOUNT_ATTR_NOSUID: nosuid,
  MOUNT_ATTR_NODEV: nodev,
  MOUNT_ATTR_NOEXEC: noexec,
  MOUNT_ATTR_NOATIME: noatime,
  MOUNT_ATTR_STRICTATIME: strictatime,
  MOUNT_ATTR_NODIRATIME: nodiratime,
  MOUNT_ATTR_NOSYMFOLLOW: nosymfollow,
  MOUNT_ATTR__ATIME: atimeMask,
} = MountAttr;

/**
 * The positive words (`rw`, `suid`, `dev`, `exec`) only take back a negative one: what the host has
 * mounted read-only or without devices is never opened up for a container.
 */
const attributeWords: Readonly<Record<string, AttributeWord>> = {
  ro: { set: readonly },
  rro: { set: readonly },
  rw: { unset: readonly },
  nosuid: { set: nosuid },
  suid: { unset: nosuid },
  nodev: { set: nodev },
  dev: { unset: nodev },
  noexec: { set: noexec },
  exec: { unset: noexec },
  noatime: { set: noatime, unset: atimeMask, atime: true },
  atime: { unset: atimeMask, atime: true },
  relatime: { unset: atimeMask, atime: true },
  norelatime: { set: strictatime, unset: atimeMask, atime: true },
  strictatime: { set: strictatime, unset: atimeMask, atime: true },
  nostrictatime: { unset: atimeMask, atime: true },
  nodiratime: { set: nodiratime },
  diratime: { unset: nodiratime },
  nosymfollow: { set: nosymfollow },
  symfollow: { unset: nosymfollow },
};

/** Said, and true anyway: every mount of a container is private. */
const idleWords = new Set([
  'defaults',
  'bind',
  'rbind',
  'none',
  'private',
  'rprivate',
  'dangerous',
]);

/** What each file system may be told; everything else is refused, so that nothing is dropped. */
const dataKeys: Readonly<Record<string, readonly string[]>> = {
  tmpfs: ['size', 'nr_blocks', 'nr_inodes', 'mode', 'uid', 'gid', 'huge', 'noswap', 'inode64'],
  proc: ['hidepid', 'subset'],
  devpts: ['newinstance', 'ptmxmode', 'mode', 'uid', 'gid', 'max'],
  overlay: ['lowerdir', 'upperdir', 'workdir'],
};

/**
 * Reads a mount's options.
 * @param option dotted name of the list, for the error
 * @param type what is mounted, or `'bind'`
 * @throws InvalidSpecError for a word that means nothing here
 */
export function readWords(mount: SpecMount, option: string, type: string): MountWords {
  const words: MountWords = { set: 0, clear: 0, recursive: false, idmap: false, data: [] };
  const options = mount.options ?? [];
  for (const [i, word] of options.entries()) {
    const attribute = Object.hasOwn(attributeWords, word) ? attributeWords[word] : undefined;
    if (attribute !== undefined) apply(words, attribute);
    else if (word === 'idmap' || word === 'ridmap') words.idmap = true;
    else if (dataKeys[type]?.includes(word.split('=', 1)[0] ?? '') === true) words.data.push(word);
    else if (!idleWords.has(word)) throw unknown(`${option}[${i}]`, word, type);
  }
  words.recursive = options.includes('rbind');
  if (type === 'tmpfs') words.data = bounded(words.data, option);
  return words;
}

function apply(words: MountWords, { set = 0, unset = 0, atime }: AttributeWord): void {
  words.set = (words.set & ~unset) | set;
  if (atime === true) words.clear = atimeMask;
}

function unknown(option: string, word: string, type: string): InvalidSpecError {
  return invalid(option, `an option of ${type === 'bind' ? 'bind mounts' : type}`, word);
}

/** Every tmpfs has a size and a number of inodes; 0 would mean no bound at all. */
function bounded(data: readonly string[], option: string): string[] {
  for (const word of data) {
    const [key, value = ''] = word.split('=');
    if (!/^(size|nr_blocks|nr_inodes)$/.test(key ?? '')) continue;
    if (!/^\d+[kmgt]?$/i.test(value) || Number.parseInt(value, 10) === 0) {
      throw invalid(option, `a bound above 0, such as ${key}=16k`, word);
    }
  }
  const has = (...keys: string[]) =>
    data.some((word) => keys.includes(word.split('=', 1)[0] ?? ''));
  const [size, inodes] = tmpfsBounds;
  return [
    ...data,
    ...(has('size', 'nr_blocks') ? [] : [size]),
    ...(has('nr_inodes') ? [] : [inodes]),
  ];
}

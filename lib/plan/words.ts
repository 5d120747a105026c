import {
  AT_RECURSIVE,
  CloneFlags,
  MountAttr,
  OpenFlags,
  OpenTree,
  Prctl,
  Rlimit,
} from '../sys/constants.js';
import { LandlockFs } from './flags.js';

/** At most so much of a text is shown. */
const shown = 60;

type Table = Readonly<Record<string, number | bigint>>;

/** Names of the bits that are set, without their family's prefix; what has no name in hex. */
function bitNames(value: number | bigint, table: Table, prefix: string): string[] {
  let rest = BigInt(value);
  const names: string[] = [];
  for (const [name, flag] of Object.entries(table)) {
    const bits = BigInt(flag);
    if (bits === 0n || (rest & bits) !== bits) continue;
    rest &= ~bits;
    names.push(name.replace(prefix, '').toLowerCase());
  }
  if (rest !== 0n) names.push(`0x${rest.toString(16)}`);
  return names;
}

const { MOUNT_ATTR__ATIME: _mask, MOUNT_ATTR_IDMAP: _idmap, ...plainAttributes } = MountAttr;
const attributeTable: Table = { ...plainAttributes, ro: MountAttr.MOUNT_ATTR_RDONLY };

/** `ro,nosuid` for `MOUNT_ATTR_*`. */
export function attributeNames(value: number | bigint): string[] {
  const idmap = BigInt(MountAttr.MOUNT_ATTR_IDMAP);
  const bits = BigInt(value);
  const names = bitNames(bits & ~idmap, attributeTable, 'MOUNT_ATTR_');
  if ((bits & idmap) !== 0n) names.push('idmap');
  return names.map((name) => (name === 'rdonly' ? 'ro' : name));
}

/** `mount pid uts` for `CLONE_NEW*`. */
export function namespaceNames(flags: number | bigint): string[] {
  const names = bitNames(flags, CloneFlags, 'CLONE_NEW');
  return names.map((name) => (name === 'ns' ? 'mount' : name));
}

/** `directory,path` for `O_*`. */
export function openNames(flags: number): string[] {
  const { O_TMPFILE: _t, O_SYNC: _s, ...single } = OpenFlags;
  return bitNames(flags & ~OpenFlags.O_CLOEXEC, single, 'O_');
}

/** What kind of copy `open_tree` makes. */
export function treeNames(flags: number): string[] {
  const names = (flags & OpenTree.OPEN_TREE_CLONE) === 0 ? [] : ['copy'];
  if ((flags & AT_RECURSIVE) !== 0) names.push('recursive');
  return names;
}

/** `read_file,read_dir` for Landlock's rights; `everything` when none is missing up to `handled`. */
export function rightNames(access: bigint): string {
  const names = bitNames(access, LandlockFs, '');
  return names.length === 0 ? 'nothing' : names.join(',');
}

function nameOf(value: number, table: Readonly<Record<string, number>>): string {
  const found = Object.entries(table).find(([, number]) => number === value);
  return found?.[0] ?? String(value);
}

/** `PR_SET_DUMPABLE` for 4. */
export function prctlName(option: number): string {
  return nameOf(option, Prctl);
}

/** `RLIMIT_NOFILE` for 7. */
export function rlimitName(resource: number): string {
  return nameOf(resource, Rlimit);
}

/** A limit's value, `unlimited` for RLIM_INFINITY. */
export function limitText(value: bigint): string {
  return value === (1n << 64n) - 1n ? 'unlimited' : String(value);
}

/** A text, shortened; with quotes where it has spaces or nothing at all. */
export function quoted(text: string): string {
  const cut = text.length > shown ? `${text.slice(0, shown - 3)}...` : text;
  return /^[\w./:=@%+,~#-]+$/.test(cut) ? cut : JSON.stringify(cut);
}

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Bytes as text when they are printable, else their number. */
export function bytesText(data: Uint8Array): string {
  try {
    const text = decoder.decode(data);
    if (!/[^\t\n\x20-\x7e\u00a0-\uffff]/.test(text)) return quoted(text);
  } catch {
    // Not UTF-8: it is shown by its size.
  }
  return `${data.length} bytes`;
}

/** Words in parentheses, or nothing. */
export function inParentheses(words: readonly string[]): string {
  return words.length === 0 ? '' : ` (${words.join(',')})`;
}

import { readFileSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { FsMagic } from '../sys/processConstants.js';

const { CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC } = FsMagic;

/** One mounted cgroup tree as this process sees it. */
export interface Hierarchy {
  version: 1 | 2;
  /** Mount point. */
  mount: string;
  /** Path within the hierarchy that is mounted there; not `/` for a bind mount of a part. */
  root: string;
  /** Path of this process's own cgroup within the hierarchy, as /proc/self/cgroup has it. */
  own: string;
  /** The mount is read-only. */
  readonly: boolean;
  /** v1: bound to this hierarchy. v2: available in our own cgroup (`cgroup.controllers`). */
  controllers: readonly string[];
}

/** The cgroup v2 tree. */
export interface UnifiedHierarchy extends Hierarchy {
  /** Controllers that children of our own cgroup have (`cgroup.subtree_control`). */
  enabled: readonly string[];
}

/** Which cgroup trees this host has, and where this process is in them. */
export interface CgroupHost {
  /** `hybrid`: controllers on v1 trees, and a v2 tree beside them. */
  mode: 'v2' | 'v1' | 'hybrid' | 'none';
  unified?: UnifiedHierarchy;
  /** By controller; co-mounted controllers (`cpu,cpuacct`) share one object. */
  v1: ReadonlyMap<string, Hierarchy>;
}

interface Mount {
  id: number;
  parent: number;
  root: string;
  path: string;
  readonly: boolean;
  type: string;
  superOptions: readonly string[];
}

/**
 * Looks for cgroup trees: where they are mounted, of which kind, and where this process is in them.
 * Mounts that are hidden by later ones, and directories that are not of a cgroup file system at
 * all, do not count. Changes nothing.
 * @param procRoot where proc is mounted
 * @see cgroups(7), proc_pid_mountinfo(5), proc_pid_cgroup(5)
 */
export function detectCgroups(procRoot = '/proc'): CgroupHost {
  const found = parseCgroups(
    readFileSync(join(procRoot, 'self/mountinfo'), 'utf8'),
    readFileSync(join(procRoot, 'self/cgroup'), 'utf8'),
    isCgroupFs,
  );
  const unified = found.unified;
  if (unified === undefined) return found;
  const dir = directoryOf(unified, unified.own);
  return {
    ...found,
    unified: {
      ...unified,
      controllers: dir === undefined ? [] : readWords(join(dir, 'cgroup.controllers')),
      enabled: dir === undefined ? [] : readWords(join(dir, 'cgroup.subtree_control')),
    },
  };
}

let last: { membership: string; host: CgroupHost } | undefined;

/**
 * `detectCgroups`, remembered for as long as this process stays in the same cgroups: the mount
 * table, which is slow to read on a host with many mounts, is read once. What may change meanwhile
 * (`controllers`, `enabled`) `planCgroup` reads for itself.
 */
export function currentCgroups(): CgroupHost {
  const membership = readFileSync('/proc/self/cgroup', 'utf8');
  if (last?.membership !== membership) last = { membership, host: detectCgroups() };
  return last.host;
}

/**
 * The pure part of `detectCgroups`: of the v2 tree, `controllers` and `enabled` are left empty.
 * @param mountinfo text of /proc/self/mountinfo
 * @param selfCgroup text of /proc/self/cgroup
 * @param accept whether a mount that the table calls a cgroup tree is to be believed
 */
export function parseCgroups(
  mountinfo: string,
  selfCgroup: string,
  accept: (mount: string, version: 1 | 2) => boolean = () => true,
): CgroupHost {
  const mounts = mountinfo.split('\n').flatMap(parseMount);
  const v1 = new Map<string, Hierarchy>();
  let unified: UnifiedHierarchy | undefined;
  for (const line of selfCgroup.split('\n')) {
    const match = /^(\d+):([^:]*):(\/.*)$/.exec(line);
    if (match === null) continue;
    const [, id, names = '', own = '/'] = match;
    if (id === '0' && names === '') {
      const hierarchy = choose(mounts, 2, [], own, accept);
      if (hierarchy !== undefined) unified = { ...hierarchy, enabled: [] };
    } else if (names !== '' && !names.startsWith('name=')) {
      const controllers = names.split(',');
      const hierarchy = choose(mounts, 1, controllers, own, accept);
      if (hierarchy !== undefined) for (const name of controllers) v1.set(name, hierarchy);
    }
  }
  const mode =
    unified === undefined ? (v1.size > 0 ? 'v1' : 'none') : v1.size > 0 ? 'hybrid' : 'v2';
  return unified === undefined ? { mode, v1 } : { mode, unified, v1 };
}

/**
 * The directory of a cgroup, or undefined when the mount does not show that part of the tree.
 * @param path as /proc/self/cgroup has it
 */
export function directoryOf(
  hierarchy: Pick<Hierarchy, 'mount' | 'root'>,
  path: string,
): string | undefined {
  const { mount, root } = hierarchy;
  if (path === root) return mount;
  const prefix = root === '/' ? '/' : `${root}/`;
  const below = path.startsWith(prefix) ? path.slice(prefix.length) : '..';
  return below.split('/').includes('..') ? undefined : join(mount, below);
}

/** Words of a one-line file such as `cgroup.controllers`; none when it cannot be read. */
export function readWords(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').split(/\s+/).filter(Boolean);
  } catch {
    return [];
  }
}

function isCgroupFs(mount: string, version: 1 | 2): boolean {
  try {
    return statfsSync(mount).type === (version === 1 ? CGROUP_SUPER_MAGIC : CGROUP2_SUPER_MAGIC);
  } catch {
    return false;
  }
}

/** The mount to use for a hierarchy: one that shows our own cgroup, and writable, if there is one. */
function choose(
  mounts: readonly Mount[],
  version: 1 | 2,
  controllers: readonly string[],
  own: string,
  accept: (mount: string, version: 1 | 2) => boolean,
): Hierarchy | undefined {
  const type = version === 1 ? 'cgroup' : 'cgroup2';
  const rank = (mount: Mount) =>
    (directoryOf({ mount: mount.path, root: mount.root }, own) === undefined ? 0 : 2) +
    (mount.readonly ? 0 : 1);
  const [best] = mounts
    .filter((mount) => mount.type === type)
    .filter((mount) => controllers.every((name) => mount.superOptions.includes(name)))
    .filter((mount) => !isHidden(mount, mounts) && accept(mount.path, version))
    .sort((a, b) => rank(b) - rank(a));
  if (best === undefined) return undefined;
  const { path: mount, root, readonly } = best;
  return { version, mount, root, own, readonly, controllers };
}

/** Whether something mounted on or above its mount point covers a mount. */
function isHidden(mount: Mount, mounts: readonly Mount[]): boolean {
  const ancestors = new Set<number>();
  const byId = new Map(mounts.map((other) => [other.id, other]));
  let current = byId.get(mount.parent);
  while (current !== undefined && !ancestors.has(current.id)) {
    ancestors.add(current.id);
    current = byId.get(current.parent);
  }
  return mounts.some(
    (other) =>
      other !== mount &&
      !ancestors.has(other.id) &&
      (other.path === mount.path || mount.path.startsWith(`${other.path}/`)),
  );
}

function parseMount(line: string): Mount[] {
  const fields = line.split(' ');
  const dash = fields.indexOf('-', 6);
  const [id, parent, , root, path, options] = fields;
  const [, type, , superOptions] = dash < 0 ? [] : fields.slice(dash);
  if (root === undefined || path === undefined || options === undefined) return [];
  if (type === undefined || superOptions === undefined) return [];
  const readonly = options.split(',').includes('ro') || superOptions.split(',').includes('ro');
  return [
    {
      id: Number(id),
      parent: Number(parent),
      root: unescapeOctal(root),
      path: unescapeOctal(path),
      readonly,
      type,
      superOptions: superOptions.split(','),
    },
  ];
}

/** proc(5) writes blanks and backslashes as `\040`. */
function unescapeOctal(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}

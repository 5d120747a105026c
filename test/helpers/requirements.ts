import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { detectCgroups } from '../../lib/cgroups/index.js';
import { ownedBy, readSubids } from '../../lib/host/subids.js';
import { atLeast, parseKernel } from '../../lib/kernelVersion.js';
import { blockDevicePath } from './blockDevice.js';

/** Something of the machine that a suite cannot do without. */
export interface Requirement {
  name: string;
  /** Why it is missing, or undefined when it is there. */
  check(): string | undefined;
}

/** Linux, of any version. */
export const linux: Requirement = {
  name: 'linux',
  check: () => (process.platform === 'linux' ? undefined : `this is ${process.platform}`),
};

/** User id 0. It may still lack capabilities. */
export const root: Requirement = {
  name: 'root',
  check: () => (process.getuid?.() === 0 ? undefined : `this is user ${process.getuid?.()}`),
};

/** An ordinary user id. */
export const notRoot: Requirement = {
  name: 'an ordinary user',
  check: () => (process.getuid?.() === 0 ? 'this is root' : undefined),
};

/** Where a test names system calls by their numbers on x86-64. */
export const x64: Requirement = {
  name: 'x86_64',
  check: () => (process.arch === 'x64' ? undefined : `this is ${process.arch}`),
};

/** A program in PATH. */
export function command(name: string): Requirement {
  const directories = (process.env.PATH ?? '').split(delimiter);
  return {
    name: `command ${name}`,
    check: () =>
      directories.some((dir) => existsSync(join(dir, name))) ? undefined : 'not in PATH',
  };
}

/** A program that is in /usr, which is what a container with the host's root is shown. */
export function inUsr(name: string): Requirement {
  return {
    name: `/usr/bin/${name}`,
    check: () => (existsSync(`/usr/bin/${name}`) ? undefined : 'not there'),
  };
}

/** A controller that our own cgroup can give to a container. */
export function controller(name: string): Requirement {
  return {
    name: `controller ${name}`,
    check() {
      const { unified, v1 } = detectCgroups();
      const there = v1.has(name) || (unified?.controllers.includes(name) ?? false);
      return there ? undefined : 'neither on a v1 tree nor in cgroup.controllers';
    },
  };
}

/**
 * An unprivileged user namespace in which something can be mounted: found by doing it, because
 * some security modules let the one succeed and the other fail.
 */
export const userns: Requirement = {
  name: 'userns',
  check() {
    const { status, error, stderr } = spawnSync(
      'unshare',
      ['-U', '-r', '-m', 'mount', '-t', 'tmpfs', 'none', '/tmp'],
      { encoding: 'utf8' },
    );
    return status === 0 ? undefined : (error?.message ?? stderr.trim());
  },
};

/**
 * Linux 6.6, since when a tmpfs keeps user.* attributes. An overlay that has its changes in memory
 * cannot do without them what it must remember of a directory: that it hides the one below it.
 */
export const memoryAttributes: Requirement = {
  name: 'user attributes on tmpfs',
  check: () =>
    atLeast(parseKernel(release()), [6, 6]) ? undefined : `Linux ${release()} is older than 6.6`,
};

/** tmpfs can be mounted with other ids (6.3). */
export const memoryIdmaps: Requirement = {
  name: 'id-mapped tmpfs',
  check: () =>
    atLeast(parseKernel(release()), [6, 3]) ? undefined : `Linux ${release()} is older than 6.3`,
};

/** Root of a user namespace may set the bounds of its ipc namespace (6.9). */
export const ipcSysctls: Requirement = {
  name: 'ipc sysctls of a user namespace',
  check: () =>
    atLeast(parseKernel(release()), [6, 9]) ? undefined : `Linux ${release()} is older than 6.9`,
};

export const blockDevice: Requirement = {
  name: 'a block device',
  check: () => (blockDevicePath() === undefined ? 'none of /sys/block is in /dev' : undefined),
};

/** A cgroup with memory and pids limits can be made below our own. */
export const cgroups: Requirement = {
  name: 'cgroups',
  check: () => cgroupReason('memory') ?? cgroupReason('pids'),
};

/** Where pure v1 can be had: by a mount namespace without the v2 tree. */
export const hybrid: Requirement = {
  name: 'a v1 freezer beside a v2 tree',
  check: () => {
    const { mode, v1 } = detectCgroups();
    const unified = existsSync('/sys/fs/cgroup/unified/cgroup.procs');
    return unified && v1.has('freezer') ? undefined : `the cgroups here are ${mode}`;
  },
};

/** Tries it: makes a cgroup, looks for the controller's limit file, removes it. */
function cgroupReason(controller: 'memory' | 'pids'): string | undefined {
  const own = ownCgroup(controller);
  if (own === undefined) return `no cgroup file system has the ${controller} controller`;
  if (canEnable(own, controller)) return undefined;
  const child = join(own, `ringfort-needs-${process.pid}`);
  try {
    mkdirSync(child);
  } catch (error) {
    return (error as Error).message;
  }
  try {
    const limits = { memory: ['memory.max', 'memory.limit_in_bytes'], pids: ['pids.max'] };
    const limited = limits[controller].some((file) => existsSync(join(child, file)));
    return limited ? undefined : `${own} does not give ${controller} to its children`;
  } finally {
    rmdirSync(child);
  }
}

/** cgroup v2: whether the first launch will enable it there. Only the root may have processes too. */
function canEnable(directory: string, controller: string): boolean {
  const text = (file: string) => {
    const path = join(directory, file);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  const free = text('cgroup.type') === '' || text('cgroup.procs') === '';
  return free && text('cgroup.controllers').split(/\s+/).includes(controller);
}

/**
 * Directory of this process's cgroup with the controller: its own v1 hierarchy, else v2, where it
 * may sit in the leaf of `moveToLeafCgroup`.
 */
function ownCgroup(controller: string): string | undefined {
  if (!existsSync('/proc/self/cgroup')) return undefined;
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').split('\n');
  let unified: string | undefined;
  for (const line of readFileSync('/proc/self/cgroup', 'utf8').split('\n')) {
    const [, names = '', path = ''] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (names.split(',').includes(controller)) {
      return cgroupDirectory(mounts, ` - cgroup `, controller, path);
    }
    if (line.startsWith('0::')) {
      const parent = path.replace(/\/ringfort-self$/, '') || '/';
      unified = cgroupDirectory(mounts, ' - cgroup2 ', undefined, parent);
    }
  }
  return unified;
}

function cgroupDirectory(
  mounts: string[],
  type: string,
  option: string | undefined,
  path: string,
): string | undefined {
  const mount = mounts.find(
    (line) =>
      line.includes(type) &&
      (option === undefined || line.split(' ').at(-1)?.split(',').includes(option)),
  );
  const [, , , mountRoot, mountPoint] = mount?.split(' ') ?? [];
  if (mountRoot === undefined || mountPoint === undefined) return undefined;
  return join(mountPoint, relative(mountRoot, path));
}

/** An account whose subordinate ids can be used. */
export interface TestUser {
  name: string;
  uid: number;
  gid: number;
}

/**
 * The ordinary user that tests of id maps run as: ourselves, or for root the first account that
 * has ranges in /etc/subuid and /etc/subgid.
 */
export function subidUser(): TestUser | undefined {
  const subuids = readSubids('/etc/subuid');
  const subgids = readSubids('/etc/subgid');
  const self = process.getuid?.();
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':');
    const user = { name: name ?? '', uid: Number(uid), gid: Number(gid) };
    const usable = self === 0 ? user.uid !== 0 : user.uid === self;
    const owned = [subuids, subgids].every((list) => list.some((entry) => ownedBy(entry, user)));
    if (usable && owned) return user;
  }
  return undefined;
}

/** newuidmap, newgidmap and an ordinary user with subordinate ids: `subidUser()`. */
export const subids: Requirement = {
  name: 'subids',
  check() {
    const helpers = ['newuidmap', 'newgidmap'].map((name) => command(name).check());
    if (helpers.some((reason) => reason !== undefined))
      return 'newuidmap and newgidmap (package uidmap) not in PATH';
    return subidUser() === undefined
      ? 'no ordinary user has ranges in /etc/subuid and /etc/subgid'
      : undefined;
  },
};

/** A container has more ids than one: root's have a range, others' a part of /etc/subuid. */
export const manyIds: Requirement = {
  name: 'more than one id',
  check: () => (process.getuid?.() === 0 ? undefined : subids.check()),
};

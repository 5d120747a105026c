import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import {
  type ContainerError,
  type ErrorFacts,
  invalid,
  NotFoundError,
  StateError,
} from '../errors.js';
import { directoryOf, type Hierarchy, readWords } from './detect.js';
import { forbidden, hint, type Lack, unsupported } from './unavailable.js';

/** Leaf that `moveToLeafCgroup` puts this process in; containers then go beside it. */
export const leafName = 'ringfort-self';

/** A cgroup that a container's own is to be made in. */
export interface Parent {
  /** As in /proc/self/cgroup. */
  path: string;
  dir: string;
}

/** A v2 parent and what is set in it. */
export interface UnifiedParent extends Parent {
  /** The root of the whole tree, which may have processes and controllers at once. */
  isRoot: boolean;
  /** `cgroup.controllers` */
  controllers: readonly string[];
  /** `cgroup.subtree_control` */
  enabled: readonly string[];
}

/** Where a container's cgroups go: below `parent` (default: our own cgroup), by the name `name`. */
export interface Choice {
  parent?: string;
  name: string;
}

/**
 * Where a container's cgroups go.
 * @param cgroupParent path as in /proc/self/cgroup, the same in every hierarchy
 * @param cgroupsPath OCI `linux.cgroupsPath`: absolute, or a single name below our own cgroup
 * @throws InvalidSpecError for an id or path with anything but plain names in it
 */
export function chooseCgroup(
  id: string,
  cgroupParent: string | undefined,
  cgroupsPath: string | undefined,
): Choice {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(id)) {
    throw invalid('id', '1 to 64 letters, digits, _ or -', id);
  }
  if (cgroupParent !== undefined) checkPath('cgroupParent', cgroupParent);
  if (cgroupsPath === undefined) {
    const name = `ringfort-${id}`;
    return cgroupParent === undefined ? { name } : { parent: cgroupParent, name };
  }
  const option = 'linux.cgroupsPath';
  if (cgroupParent !== undefined) throw invalid(option, 'either it or cgroupParent', cgroupsPath);
  if (/^[A-Za-z0-9_.@-]+$/.test(cgroupsPath) && !/^\.\.?$/.test(cgroupsPath)) {
    return { name: cgroupsPath };
  }
  checkPath(option, cgroupsPath);
  if (cgroupsPath === '/') throw invalid(option, 'a path below the root', cgroupsPath);
  return {
    parent: dirname(cgroupsPath),
    name: cgroupsPath.slice(cgroupsPath.lastIndexOf('/') + 1),
  };
}

function checkPath(option: string, path: string): void {
  const names = path === '/' ? [] : path.split('/').slice(1);
  const plain = (name: string) => /^[A-Za-z0-9_.:@-]{1,255}$/.test(name) && !/^\.\.?$/.test(name);
  if (!path.startsWith('/') || !names.every(plain)) {
    throw invalid(option, 'an absolute path of names in [A-Za-z0-9_.:@-], without ..', path);
  }
}

/**
 * The cgroup to make the container's in. Our own, unless one was named; when we sit in the leaf of
 * `moveToLeafCgroup`, the cgroup around it.
 * @returns undefined when this mount does not show it
 */
export function parentIn(hierarchy: Hierarchy, named: string | undefined): Parent | undefined {
  const { own } = hierarchy;
  const path = named ?? (own.endsWith(`/${leafName}`) ? dirname(own) : own);
  const dir = directoryOf(hierarchy, path);
  return dir === undefined ? undefined : { path, dir };
}

/** The v1 parent for a controller's tree, checked for existence and write access. */
export function v1Parent(
  hierarchy: Hierarchy,
  controller: string,
  named: string | undefined,
): Parent {
  const purpose = `controller ${controller} (cgroup v1)`;
  const parent = parentIn(hierarchy, named);
  if (parent === undefined) throw absent(hierarchy, purpose, named);
  if (!mayWrite(parent.dir)) {
    if (!existsSync(parent.dir)) throw absent(hierarchy, purpose, named);
    const path = parent.dir;
    throw forbidden(`${purpose}: no write access to ${path}`, { path, hint: hint('v1') });
  }
  return parent;
}

/**
 * The v2 parent, or the reason why no container can be born below it. For that the kernel asks for
 * write access to the directory and to `cgroup.procs` of the common ancestor of the two cgroups
 * (cgroup-v2.rst, "Delegation Containment"), and for a parent that is not threaded.
 * @param purpose what it is wanted for, as messages begin
 */
export function unifiedParent(
  hierarchy: Hierarchy,
  named: string | undefined,
  purpose = 'cgroup v2',
): UnifiedParent | ContainerError {
  const parent = parentIn(hierarchy, named);
  if (parent === undefined) return absent(hierarchy, purpose, named);
  const ancestor = directoryOf(hierarchy, commonAncestor(hierarchy.own, parent.path));
  const needed = [parent.dir, ...(ancestor === undefined ? [] : [join(ancestor, 'cgroup.procs')])];
  for (const path of needed) {
    if (!mayWrite(path)) {
      if (!existsSync(parent.dir)) return absent(hierarchy, purpose, named);
      return forbidden(`${purpose}: no write access to ${path}`, { path, hint: hint('unified') });
    }
  }
  const [type, ...rest] = readWords(join(parent.dir, 'cgroup.type'));
  if (type === 'threaded' || rest.length > 0) {
    const message = `${purpose}: ${parent.dir} is a threaded cgroup`;
    return unsupported(message, { path: parent.dir, hint: hint('unified') });
  }
  return {
    ...parent,
    isRoot: type === undefined,
    controllers: readWords(join(parent.dir, 'cgroup.controllers')),
    enabled: readWords(join(parent.dir, 'cgroup.subtree_control')),
  };
}

/**
 * The controllers that must be enabled in the parent's `cgroup.subtree_control` first.
 * @throws UnsupportedError, PermissionError (ERR_CGROUP_UNAVAILABLE) when that is not possible
 */
export function controllersToEnable(
  parent: UnifiedParent,
  needed: readonly string[],
  advice: (lack: Lack) => string = hint,
): string[] {
  const missing = needed.filter((name) => !parent.enabled.includes(name));
  const [absentOne] = missing.filter((name) => !parent.controllers.includes(name));
  const path = parent.dir;
  if (absentOne !== undefined) {
    const message = `controller ${absentOne}: not available in ${path}/cgroup.controllers`;
    throw unsupported(message, { path, hint: advice('missing') });
  }
  if (missing.length === 0) return [];
  const words = `controller ${missing.join(', ')}: cannot be enabled in ${path}`;
  if (!parent.isRoot && hasProcesses(path)) {
    throw unsupported(`${words}: it has processes of its own`, { path, hint: advice('busy') });
  }
  if (!mayWrite(join(path, 'cgroup.subtree_control'))) {
    throw forbidden(`${words}: no write access`, { path, hint: advice('unified') });
  }
  return missing;
}

/** The error for a container's cgroup that is there already. */
export function idInUse(path: string, facts: ErrorFacts): StateError {
  const message = `a container of this id already exists: its cgroup is ${path}`;
  return new StateError('ERR_CONTAINER_EXISTS', message, {
    ...facts,
    path,
    option: 'id',
    hint: 'end that one and wait until it is gone, or leave the id to us',
  });
}

/** The directory of the container's cgroup; refuses one that is already there. */
export function freshDirectory(parent: Parent, name: string): string {
  const path = join(parent.dir, name);
  if (existsSync(path)) {
    throw idInUse(path, { phase: 'cgroup' });
  }
  return path;
}

/** Whether access(2) grants this process writing; false for what is missing or read-only. */
function mayWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether a cgroup has processes directly in it; a list that cannot be read counts as yes. */
function hasProcesses(dir: string): boolean {
  try {
    return readFileSync(join(dir, 'cgroup.procs'), 'utf8') !== '';
  } catch {
    return true;
  }
}

function commonAncestor(a: string, b: string): string {
  const left = a.split('/');
  const right = b.split('/');
  const differs = left.findIndex((name, at) => name !== right[at]);
  return left.slice(0, differs < 0 ? left.length : differs).join('/') || '/';
}

function absent(hierarchy: Hierarchy, purpose: string, named: string | undefined) {
  const path = hierarchy.mount;
  if (named === undefined) {
    return unsupported(`${purpose}: our own cgroup ${hierarchy.own} is not to be seen in ${path}`, {
      path,
      hint: 'name one that is there as cgroupParent',
    });
  }
  return new NotFoundError('ERR_CGROUP_NOT_FOUND', `${purpose}: no cgroup ${named} in ${path}`, {
    phase: 'cgroup',
    path,
    option: 'cgroupParent',
    hint: 'make it first, in every hierarchy that the limits need',
  });
}

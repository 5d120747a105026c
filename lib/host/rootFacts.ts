import { readdirSync, readFileSync, realpathSync, statfsSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { NotFoundError } from '../errors.js';
import { atLeast, type KernelVersion, parseKernel } from '../kernelVersion.js';
import type { Facts, RootFacts } from '../policy/facts.js';
import { namespaceMode } from '../spec/namespaces.js';
import { isWithin, overlayLayers, rootKind } from '../spec/rootKind.js';
import { isBind, layersOf } from '../spec/rules/mounts.js';
import type { Spec, SpecMount } from '../spec/types.js';
import { hostEntries } from './hostEntries.js';
import { mountPoints } from './mountPoints.js';
import { walkInRoot } from './walk.js';

/** What the host must be asked about a spec's mounts. */
export type SpecFacts = Pick<
  Facts,
  | 'hostEntries'
  | 'root'
  | 'fileSources'
  | 'expandedMasks'
  | 'notIdmappable'
  | 'unmappedBelow'
  | 'resolvConf'
>;

/**
 * Looks up what the mount policy must know of the host for this spec. Reads only; `checkSources`
 * has found that the sources exist.
 * @throws NotFoundError `ERR_SOURCE_NOT_FOUND` for one that is gone meanwhile
 */
export function rootFacts(spec: Spec): SpecFacts {
  const facts: SpecFacts = {
    hostEntries: rootKind(spec) === 'host' ? hostEntries() : [],
    root: lookUpPlaces(spec),
    fileSources: fileSources(spec),
    expandedMasks: expandMasks(spec.linux.maskedPaths ?? []),
    notIdmappable: new Set(hostPaths(spec).filter(refusesIdmap)),
    unmappedBelow: unmappedBelow(spec),
  };
  const resolvConf = resolvConfOf(spec);
  if (resolvConf !== undefined) facts.resolvConf = resolvConf;
  return facts;
}

/** The host's resolv.conf, if there is one and the container uses the host's network. */
export function resolvConfOf({ linux }: Spec): string | undefined {
  if (namespaceMode(linux.namespaces, 'network') === 'new') return undefined;
  try {
    return readFileSync('/etc/resolv.conf', 'utf8');
  } catch {
    return undefined;
  }
}

/** Which destinations exist already. Inside what only the kernel knows they are taken to. */
function lookUpPlaces(spec: Spec): RootFacts {
  const mounts = spec.mounts ?? [];
  const existing = new Set<string>();
  const missing = new Map<string, string>();
  const layers = rootLayers(spec);
  const shown = rootKind(spec) === 'host' ? hostEntries().map(({ path }) => path) : ['/'];
  for (const [i, { destination }] of mounts.entries()) {
    const cover = mounts.findLast((other, k) => k < i && isWithin(destination, other.destination));
    if (cover !== undefined && cover.type === 'tmpfs') continue;
    if (cover !== undefined && !isBind(cover)) existing.add(destination);
    else if (cover !== undefined) {
      const rest = destination.slice(cover.destination.length);
      if (walkInRoot([cover.source ?? '/'], rest).exists) existing.add(destination);
    } else if (shown.some((path) => isWithin(destination, path))) {
      const { exists, path } = walkInRoot(layers, destination);
      if (exists) existing.add(destination);
      // Links that go round in circles end at '/': left to the kernel to refuse.
      else if (path !== '/') missing.set(destination, path);
    }
  }
  return { existing, missing };
}

/** The directories that the root is made of; the host's own for a host root's entries. */
function rootLayers(spec: Spec): string[] {
  const kind = rootKind(spec);
  if (kind === 'host') return ['/'];
  if (kind === 'directory') return [spec.root?.path ?? '/'];
  const { lower, upper } = overlayLayers(spec);
  return upper === undefined ? [...lower] : [upper, ...lower];
}

function fileSources(spec: Spec): Set<string> {
  const sources = (spec.mounts ?? []).filter(isBind).map(({ source = '' }) => source);
  return new Set(sources.filter((path) => kindOf(path) !== 'directory'));
}

/** Whoever may write to a directory above a source can take it away after `checkSources`. */
function still<T>(path: string, ask: (path: string) => T): T {
  try {
    return ask(path);
  } catch (cause) {
    const message = `'${path}' was there, and cannot be looked at any more`;
    throw new NotFoundError('ERR_SOURCE_NOT_FOUND', message, { phase: 'mount', path, cause });
  }
}

function kindOf(path: string): 'directory' | 'device' | 'file' {
  const stats = still(path, (each) => statSync(each));
  if (stats.isDirectory()) return 'directory';
  return stats.isCharacterDevice() || stats.isBlockDevice() ? 'device' : 'file';
}

/** Host paths that would be idmapped, where that can be. */
function hostPaths(spec: Spec): string[] {
  const kind = rootKind(spec);
  const { lower, upper, work } = kind === 'overlay' ? overlayLayers(spec) : { lower: [] };
  const paths = [...lower, ...[upper, work].filter((path) => path !== undefined)];
  if (kind === 'directory') paths.push(spec.root?.path ?? '/');
  for (const mount of spec.mounts ?? []) paths.push(...pathsOf(mount));
  return paths;
}

function pathsOf(mount: SpecMount): string[] {
  if (isBind(mount)) return [mount.source ?? '/'];
  if (mount.type !== 'overlay') return [];
  return (mount.options ?? []).flatMap((word) => layersOf(word)?.paths ?? []);
}

/**
 * File systems that take idmapped mounts, by the magic number of statfs(2), and since which kernel
 * (the FS_ALLOW_IDMAP flag of each). One that is not listed is not mapped, which shows owners as
 * nobody and is never more than was asked.
 */
const idmappable: Readonly<Record<number, KernelVersion>> = {
  61267: [5, 12], // ext2, ext3, ext4
  1481003842: [5, 12], // xfs
  19780: [5, 12], // vfat
  2435016766: [5, 15], // btrfs
  1936094318: [5, 15], // ntfs3
  4076150800: [5, 18], // f2fs
  3774210530: [5, 19], // erofs
  1936814952: [6, 2], // squashfs
  16914836: [6, 3], // tmpfs
  12805120: [6, 7], // ceph
  3393526350: [6, 7], // bcachefs
};

function refusesIdmap(path: string): boolean {
  // devtmpfs says that it is tmpfs, and refuses; a device's owner does not matter anyway.
  if (kindOf(path) === 'device') return true;
  const since = idmappable[still(path, (each) => statfsSync(each)).type];
  return since === undefined || !atLeast(parseKernel(release()), since);
}

/** Sources of binds that have a mount below them which refuses to be idmapped, or to be asked. */
function unmappedBelow(spec: Spec): Set<string> {
  const sources = (spec.mounts ?? []).filter(isBind).map(({ source = '/' }) => source);
  if (sources.length === 0) return new Set();
  const refuses = (path: string) => {
    try {
      return refusesIdmap(path);
    } catch {
      return true;
    }
  };
  const points = mountPoints();
  return new Set(
    sources.filter((source) => {
      const top = still(source, (each) => realpathSync(each));
      return points.some((path) => path !== top && isWithin(path, top) && refuses(path));
    }),
  );
}

/**
 * Masked paths with `*` expanded, which stands for digits in one name, against this host: its sysfs
 * is the container's. Expansions that do not exist are left out.
 */
export function expandMasks(paths: readonly string[]): string[] {
  return paths.flatMap((path) => {
    const star = path.indexOf('*');
    if (star < 0) return [path];
    const start = path.lastIndexOf('/', star);
    const end = path.indexOf('/', star);
    const name = path.slice(start + 1, end < 0 ? undefined : end);
    const [before = '', after = ''] = name.split('*');
    const matches = namesIn(path.slice(0, start)).filter(
      (each) =>
        each.startsWith(before) &&
        each.endsWith(after) &&
        /^\d+$/.test(each.slice(before.length, each.length - after.length)),
    );
    const rest = end < 0 ? '' : path.slice(end);
    const expanded = matches.map((each) => `${path.slice(0, start)}/${each}${rest}`);
    return expanded.filter((each) => statSync(each, { throwIfNoEntry: false }) !== undefined);
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch {
    return [];
  }
}

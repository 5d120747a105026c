import { type Stats, statSync } from 'node:fs';
import { InvalidSpecError, NotFoundError } from '../errors.js';
import { type DangerousSource, dangerousSources } from '../spec/dangerousSources.js';
import { overlayLayers, rootKind } from '../spec/rootKind.js';
import { isBind, layersOf, mountName } from '../spec/rules/mounts.js';
import type { Spec, SpecMount } from '../spec/types.js';

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

function missing(option: string, path: string, what: string): NotFoundError {
  return new NotFoundError('ERR_SOURCE_NOT_FOUND', `${option}: expected ${what}, got '${path}'`, {
    phase: 'mount',
    option,
    path,
  });
}

function isReadonly({ options = [] }: SpecMount): boolean {
  const word = options.findLast((each) => each === 'ro' || each === 'rro' || each === 'rw');
  return word !== undefined && word !== 'rw';
}

/** The dangerous path that a source is, under whatever name; links and second mounts included. */
function dangerOf(source: Stats, readonly: boolean): DangerousSource | undefined {
  return dangerousSources.find(({ path, when }) => {
    if (when === 'write' && readonly) return false;
    const known = statOf(path);
    return known !== undefined && known.dev === source.dev && known.ino === source.ino;
  });
}

function dangerous(option: string, path: string, danger: DangerousSource, hint: string) {
  return new InvalidSpecError(
    'ERR_DANGEROUS_SOURCE',
    `${option}: '${path}' is '${danger.path}' of the host: ${danger.reason}`,
    { phase: 'mount', option, path, hint },
  );
}

function checkBind(mount: SpecMount): void {
  const option = `${mountName(mount)}.source`;
  const path = mount.source ?? '';
  const stats = statOf(path);
  if (stats === undefined) throw missing(option, path, 'an existing path');
  if (mount.options?.includes('dangerous') === true) return;
  const danger = dangerOf(stats, isReadonly(mount));
  if (danger === undefined) return;
  const hint = "bind something below it, or add the mount option 'dangerous'";
  throw dangerous(option, path, danger, hint);
}

function checkLayer(option: string, path: string, readonly: boolean): void {
  const stats = statOf(path);
  if (stats?.isDirectory() !== true) throw missing(option, path, 'an existing directory');
  const danger = dangerOf(stats, readonly);
  if (danger !== undefined) throw dangerous(option, path, danger, 'use a directory made for it');
}

function checkRoot(spec: Spec): void {
  const kind = rootKind(spec);
  if (kind === 'directory')
    checkLayer('rootfs', spec.root?.path ?? '', spec.root?.readonly === true);
  if (kind !== 'overlay') return;
  const { lower, upper, work } = overlayLayers(spec);
  for (const [i, path] of lower.entries()) checkLayer(`rootfs.lower[${i}]`, path, true);
  if (upper !== undefined) checkLayer('rootfs.upper', upper, false);
  if (work !== undefined) checkLayer('rootfs.work', work, false);
}

/**
 * Looks at every host path that the spec wants to show: it must exist, and must not be one that
 * hands the host over. Both are compared by device and inode, so no other name helps.
 * @throws NotFoundError `ERR_SOURCE_NOT_FOUND`
 * @throws InvalidSpecError `ERR_DANGEROUS_SOURCE`, unless the mount's options say `dangerous`
 */
export function checkSources(spec: Spec): void {
  checkRoot(spec);
  for (const mount of spec.mounts ?? []) {
    if (isBind(mount)) checkBind(mount);
    else if (mount.type === 'overlay') checkLayers(mount);
  }
}

function checkLayers(mount: SpecMount): void {
  const option = `${mountName(mount)}.options`;
  for (const word of mount.options ?? []) {
    const { key, paths } = layersOf(word) ?? { paths: [] };
    for (const path of paths) checkLayer(option, path, key === 'lowerdir');
  }
}

import { posix } from 'node:path';
import { annotation } from './annotations.js';
import { isMapped } from './idMap.js';
import { namespaceMode } from './namespaces.js';
import { type Place, specPlace } from './rules/place.js';
import { specFields } from './rules/spec.js';
import { checkSysctlNamespaces } from './rules/sysctl.js';
import type { IdMapping, NamespaceType, Spec } from './types.js';

type Check = (spec: Spec, at: Place) => void;

const namespacesAreDistinct: Check = ({ linux: { namespaces } }, at) => {
  namespaces.forEach(({ type }, i) => {
    if (namespaces.findIndex((other) => other.type === type) === i) return;
    throw at.key('linux').key('namespaces').index(i).key('type').invalid('each type once', type);
  });
};

const rootFitsMountNamespace: Check = (spec, at) => {
  const mode = namespaceMode(spec.linux.namespaces, 'mount');
  if (mode === 'host') {
    throw at
      .key('linux')
      .key('namespaces')
      .invalid('a mount namespace; a container has its own mounts');
  }
  if (mode === 'new') {
    if (spec.root === undefined)
      throw at.key('root').invalid('a root, as the mount namespace is new');
    return;
  }
  const expected = 'nothing where the mount namespace is joined, root and all';
  if (spec.root !== undefined) throw at.key('root').invalid(expected);
  if ((spec.mounts ?? []).length > 0) throw at.key('mounts').invalid(expected);
  for (const field of ['maskedPaths', 'readonlyPaths'] as const) {
    if ((spec.linux[field] ?? []).length > 0) throw at.key('linux').key(field).invalid(expected);
  }
};

const overlayHasLayers: Check = ({ annotations = {} }, at) => {
  const isOverlay = annotations[annotation.rootfs] === 'overlay';
  if (isOverlay !== (annotations[annotation.overlay] !== undefined)) {
    const place = at.key('annotations').key(annotation.overlay);
    throw place.invalid(`layers with ${annotation.rootfs} 'overlay', and only then`);
  }
};

const hostRootIsReadonly: Check = ({ root, annotations = {} }, at) => {
  if (annotations[annotation.rootfs] === 'host' && root?.readonly !== true) {
    throw at
      .key('root')
      .key('readonly')
      .invalid("true where the root is the host's", root?.readonly);
  }
};

const needsNew = (type: NamespaceType) => `nothing where the ${type} namespace is not new`;

const fieldsFitNamespaces: Check = (spec, at) => {
  const { linux } = spec;
  const isNew = (type: NamespaceType) => namespaceMode(linux.namespaces, type) === 'new';
  for (const field of ['hostname', 'domainname'] as const) {
    if (spec[field] !== undefined && !isNew('uts')) throw at.key(field).invalid(needsNew('uts'));
  }
  for (const field of ['uidMappings', 'gidMappings'] as const) {
    if (linux[field] !== undefined && !isNew('user')) {
      throw at.key('linux').key(field).invalid(needsNew('user'));
    }
  }
  if (linux.timeOffsets !== undefined && !isNew('time')) {
    throw at.key('linux').key('timeOffsets').invalid(needsNew('time'));
  }
  checkSysctlNamespaces(linux.sysctl ?? {}, isNew, at.key('linux').key('sysctl'));
};

const idsAreMapped: Check = ({ process, linux, annotations = {} }, at) => {
  const { uidMappings, gidMappings } = linux;
  if ((uidMappings === undefined) !== (gidMappings === undefined)) {
    throw at.key('linux').invalid('uidMappings and gidMappings together');
  }
  if (uidMappings === undefined || gidMappings === undefined || process === undefined) return;
  const place = at.key('process').key('user');
  const mapped = (maps: readonly IdMapping[], id: number, where: Place): void => {
    if (!isMapped(maps, id)) throw where.invalid('an id within the map', id);
  };
  // Ids that are still to be looked up are checked where they are found.
  if (annotations[annotation.user] === undefined) {
    mapped(uidMappings, process.user.uid, place.key('uid'));
    mapped(gidMappings, process.user.gid, place.key('gid'));
  }
  process.user.additionalGids?.forEach((gid, i) => {
    mapped(gidMappings, gid, place.key('additionalGids').index(i));
  });
};

const swapCoversMemory: Check = ({ linux: { resources } }, at) => {
  const { limit, swap } = resources?.memory ?? {};
  if (swap === undefined || swap === -1) return;
  if (limit === undefined || swap < limit) {
    const place = at.key('linux').key('resources').key('memory').key('swap');
    throw place.invalid('memory and swap together, with and not below `limit`', swap);
  }
};

const limitsAreGivenUpAlone: Check = ({ linux, annotations = {} }, at) => {
  if (annotations[annotation.limits] === 'none' && linux.resources !== undefined) {
    throw at.key('linux').key('resources').invalid(`nothing beside ${annotation.limits} 'none'`);
  }
};

const consoleHasTerminal: Check = ({ process }, at) => {
  if (process?.consoleSize !== undefined && process.terminal !== true) {
    throw at.key('process').key('consoleSize').invalid('nothing without a terminal');
  }
};

const checks: readonly Check[] = [
  namespacesAreDistinct,
  rootFitsMountNamespace,
  overlayHasLayers,
  hostRootIsReadonly,
  fieldsFitNamespaces,
  idsAreMapped,
  swapCoversMemory,
  limitsAreGivenUpAlone,
  consoleHasTerminal,
];

/**
 * Checks a spec that was not made by `specFromOptions` alone: what the `oci` option returned, or a
 * config.json. First each field by itself, then one against another.
 * @throws InvalidSpecError ERR_INVALID_SPEC for a field that is wrong or that OCI does not know;
 * UnsupportedError ERR_UNSUPPORTED_SPEC for one that ringfort does not carry out
 */
export function validateSpec(spec: unknown): asserts spec is Spec {
  specFields(spec, specPlace);
  for (const check of checks) check(spec as Spec, specPlace);
}

/**
 * Gives the `oci` option its say: a copy of the compiled spec goes in, and what comes out is
 * validated. What `oci` itself throws is passed on. Destinations of mounts come out in the one
 * spelling that policy compares and chooses rules of resolution by: `/dev/x` for `//dev/./x/`.
 */
export function applyOciOption(spec: Spec, oci: (spec: Spec) => Spec): Spec {
  const changed: unknown = oci(structuredClone(spec));
  validateSpec(changed);
  const mounts = changed.mounts?.map((mount) => ({
    ...mount,
    destination: posix.resolve('/', mount.destination),
  }));
  return { ...changed, ...(mounts && { mounts }) };
}

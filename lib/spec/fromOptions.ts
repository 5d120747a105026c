import { posix } from 'node:path';
import type { Capabilities, ContainerOptions, OverlayRoot, ProcessOptions } from '../options.js';
import { annotation } from './annotations.js';
import {
  defaultMaskedPaths,
  defaultOomScoreAdj,
  defaultReadonlyPaths,
  imageCapabilities,
  kernelMounts,
  privateMounts,
} from './defaults.js';
import { defined } from './defined.js';
import { type Identity, identityFromOptions } from './identity.js';
import { ioByPath, resourcesFromOptions, rlimitsFromOptions } from './limits.js';
import { mountFromOption } from './mountString.js';
import { namespaceMode, namespacesFromOptions } from './namespaces.js';
import { isWithin } from './rootKind.js';
import { fullCapabilityName } from './rules/process.js';
import { parseSize } from './size.js';
import type {
  Spec,
  SpecCapabilities,
  SpecLinux,
  SpecMount,
  SpecNamespace,
  SpecProcess,
  SpecRoot,
  SpecSeccomp,
} from './types.js';

/** The program and its arguments, as `run` is given them. */
export interface Command {
  /** argv[0]; looked up in PATH when it has no `/`. */
  file: string;
  args: readonly string[];
}

/** What the compilation of options must know beside them. */
export interface SpecContext {
  /** Absolute directory that relative paths in the options are taken from. */
  cwd: string;
  /** The container's id, which is its default host name. */
  id: string;
  /** The score of this process, below which only CAP_SYS_RESOURCE gets (proc_pid_oom_score_adj(5)). */
  ownOomScoreAdj?: number;
  /** Give the program a terminal of this size. */
  interactive?: { cols: number; rows: number };
  /**
   * Compiles what the `seccomp` option asks for (never `'unconfined'`) for a process with these
   * capabilities (full names).
   */
  seccomp: (
    profile: Exclude<NonNullable<ContainerOptions['seccomp']>, 'unconfined'>,
    capabilities: readonly string[],
  ) => SpecSeccomp;
}

/** Size of an overlay's upper layer in memory, unless given. */
const overlaySize = '64MiB';

/**
 * Compiles options to the OCI spec that everything later is made from. Pure; the options must
 * have passed `checkOptions`, and `command` `checkCommand`.
 * @throws InvalidSpecError for a size or mount string that cannot be read
 */
export function specFromOptions(
  command: Command,
  options: ContainerOptions & ProcessOptions,
  context: SpecContext,
): Spec {
  const namespaces = namespacesFromOptions(options);
  const identity = identityFromOptions(options);
  const ownsUts = namespaceMode(namespaces, 'uts') === 'new';
  const ownsMounts = namespaceMode(namespaces, 'mount') === 'new';
  return defined({
    ociVersion: '1.2.0',
    root: ownsMounts ? rootFrom(options, context.cwd) : undefined,
    mounts: ownsMounts ? mountsFrom(options, namespaces, identity, context.cwd) : undefined,
    process: processFrom(command, options, identity, context),
    hostname: ownsUts ? (options.hostname ?? context.id) : undefined,
    domainname: options.domainname,
    annotations: annotationsFrom(options, identity, ownsMounts, context),
    linux: linuxFrom(options, namespaces, ownsMounts, context),
  });
}

function rootFrom({ rootfs = 'host', readonly }: ContainerOptions, cwd: string): SpecRoot {
  if (rootfs === 'host') return { path: '/', readonly: true };
  if (typeof rootfs === 'string') {
    return { path: posix.resolve(cwd, rootfs), readonly: readonly ?? true };
  }
  return { path: posix.resolve(cwd, rootfs.lower[0] ?? ''), readonly: readonly ?? false };
}

/** The defaults, less those that a mount of the options stands in for or covers; then those. */
function mountsFrom(
  options: ContainerOptions,
  namespaces: readonly SpecNamespace[],
  identity: Identity,
  cwd: string,
): SpecMount[] {
  const given = (options.mounts ?? []).map((mount, i) =>
    mountFromOption(`mounts[${i}]`, mount, cwd),
  );
  const defaults = kernelMounts(namespaces);
  if ((options.rootfs ?? 'host') === 'host') defaults.push(...privateMounts(identity.home));
  const kept = defaults.filter(
    ({ destination }) => !given.some((mount) => isWithin(destination, mount.destination)),
  );
  return [...kept, ...given];
}

function processFrom(
  { file, args }: Command,
  options: ContainerOptions & ProcessOptions,
  identity: Identity,
  context: SpecContext,
): SpecProcess {
  const home = identity.home.path;
  const hasHome = (options.rootfs ?? 'host') === 'host' && !joinsMounts(options);
  const env = defined(options.env ?? {});
  const size = context.interactive;
  return defined({
    terminal: size === undefined ? undefined : true,
    consoleSize: size === undefined ? undefined : { height: size.rows, width: size.cols },
    user: identity.user,
    args: [file, ...args],
    env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    cwd: options.cwd ?? (hasHome ? home : '/'),
    capabilities: capabilitySets(options.capabilities),
    rlimits: rlimitsFromOptions(options),
    noNewPrivileges: options.noNewPrivileges ?? true,
    oomScoreAdj: options.oomScoreAdj ?? Math.max(defaultOomScoreAdj, context.ownOomScoreAdj ?? 0),
    apparmorProfile: options.apparmorProfile,
    selinuxLabel: options.selinuxLabel,
  });
}

function joinsMounts(options: ContainerOptions): boolean {
  return typeof options.namespaces?.mount === 'object';
}

function capabilitySets(given: Capabilities | 'image' = []): Required<SpecCapabilities> {
  const list = given === 'image' ? imageCapabilities : given;
  const sets: SpecCapabilities = Array.isArray(list)
    ? { bounding: [...list], effective: [...list], permitted: [...list] }
    : { ...(list as SpecCapabilities) };
  const names = (set: keyof SpecCapabilities) => [...new Set(sets[set]?.map(fullCapabilityName))];
  return {
    bounding: names('bounding'),
    effective: names('effective'),
    permitted: names('permitted'),
    inheritable: names('inheritable'),
    ambient: names('ambient'),
  };
}

function linuxFrom(
  options: ContainerOptions,
  namespaces: SpecNamespace[],
  ownsMounts: boolean,
  context: SpecContext,
): SpecLinux {
  const { seccomp = 'default' } = options;
  const { bounding } = capabilitySets(options.capabilities);
  return defined({
    namespaces,
    uidMappings: options.uidMappings,
    gidMappings: options.gidMappings,
    timeOffsets: timeOffsetsFrom(options.timeOffsets),
    resources: resourcesFromOptions(options),
    sysctl: options.sysctl,
    seccomp: seccomp === 'unconfined' ? undefined : context.seccomp(seccomp, bounding),
    maskedPaths: ownsMounts ? [...(options.maskedPaths ?? defaultMaskedPaths)] : undefined,
    readonlyPaths: ownsMounts ? [...(options.readonlyPaths ?? defaultReadonlyPaths)] : undefined,
  });
}

function timeOffsetsFrom(given: ContainerOptions['timeOffsets']): SpecLinux['timeOffsets'] {
  if (given === undefined) return undefined;
  return defined({ monotonic: offset(given.monotonic), boottime: offset(given.boottime) });
}

/** Nanoseconds are never negative, also where the offset is. @see time_namespaces(7) */
function offset(ms: number | undefined) {
  if (ms === undefined) return undefined;
  const secs = Math.floor(ms / 1000);
  return { secs, nanosecs: (ms - secs * 1000) * 1_000_000 };
}

function annotationsFrom(
  options: ContainerOptions,
  identity: Identity,
  ownsMounts: boolean,
  { cwd }: SpecContext,
): Record<string, string> {
  const { rootfs = 'host', limits } = options;
  const overlay = typeof rootfs === 'string' ? undefined : overlayFrom(rootfs, cwd);
  const cpuTime = limits === 'none' ? undefined : limits?.cpuTime;
  const io = limits === undefined || limits === 'none' ? [] : ioByPath(limits);
  return defined<Record<string, string | undefined>>({
    ...options.annotations,
    [annotation.rootfs]: ownsMounts ? rootKind(rootfs) : undefined,
    [annotation.overlay]: overlay === undefined ? undefined : JSON.stringify(overlay),
    [annotation.limits]: limits === 'none' ? 'none' : undefined,
    [annotation.cpuTime]: cpuTime?.toString(),
    [annotation.init]: options.init === false ? 'false' : undefined,
    [annotation.landlock]: options.landlock ?? 'auto',
    [annotation.cgroupParent]: options.cgroupParent,
    [annotation.idPool]: options.idPool && JSON.stringify(options.idPool),
    [annotation.io]: io.length === 0 ? undefined : JSON.stringify(io),
    [annotation.user]: identity.lookup,
  }) as Record<string, string>;
}

function rootKind(rootfs: NonNullable<ContainerOptions['rootfs']>): string | undefined {
  if (typeof rootfs !== 'string') return 'overlay';
  return rootfs === 'host' ? 'host' : undefined;
}

/** Absolute layers; `size` in bytes, and only where the upper layer is in memory. */
function overlayFrom(root: OverlayRoot, cwd: string): OverlayRoot {
  const absolute = (path: string) => posix.resolve(cwd, path);
  const lower = root.lower.map(absolute);
  if (root.upper === undefined || root.work === undefined) {
    return { lower, size: parseSize(root.size ?? overlaySize, 'rootfs.size') };
  }
  return { lower, upper: absolute(root.upper), work: absolute(root.work) };
}

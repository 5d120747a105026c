import type { KernelVersion } from '../kernelVersion.js';
import type { IdMapping } from '../spec/types.js';

/** One entry of the host's root that a `rootfs: 'host'` container is shown. */
export interface HostEntry {
  /** Absolute path, the same inside and outside. */
  path: string;
  kind: 'directory' | 'file' | 'symlink';
  /** Where a symlink points, as written. */
  target?: string;
}

/** What the mount policy needs to know of a root file system that is a directory. */
export interface RootFacts {
  /** Of the paths that something is to be mounted on, those that exist (resolved in the root). */
  existing: ReadonlySet<string>;
  /** Where those would be that do not exist, when it is behind a symbolic link of the root. */
  missing?: ReadonlyMap<string, string>;
}

/**
 * What policy must know of this host, handed to it as data so that it stays a pure function: the
 * same facts and the same spec give the same plan, byte for byte.
 */
export interface Facts {
  /** The launcher has CAP_SYS_ADMIN over the host's mounts: idmapped mounts, any bind source. */
  privileged: boolean;
  kernel: KernelVersion;
  /** Architecture of this process, as Node calls it. */
  arch: 'x64' | 'arm64';
  /** 0 when the kernel has no Landlock. */
  landlockAbi: number;
  /** Id maps of the new user namespace, chosen by host/ids; in the launcher's own ids. */
  uidMappings: readonly IdMapping[];
  gidMappings: readonly IdMapping[];
  /** `setgroups` must be denied before the gid map can be written (single-id fallback). */
  denySetgroups: boolean;
  /** Host paths of the spec whose file system refuses idmapped mounts. */
  notIdmappable?: ReadonlySet<string>;
  /** Host paths of the spec with something mounted below them that refuses it. */
  unmappedBelow?: ReadonlySet<string>;
  /** The host's resolv.conf, where the container uses the host's network. */
  resolvConf?: string;
  /** Hard resource limits of this process by OCI name; a limit cannot be raised above them. */
  hardLimits: Readonly<Record<string, number>>;
  /** The host pipes core files to a program (core(5)). */
  coreHandler: boolean;
  hostEntries: readonly HostEntry[];
  root?: RootFacts;
  /** Bind sources that are not directories: their mount point must be a file. */
  fileSources: ReadonlySet<string>;
  /** Masked paths whose glob (`cpu*`) was expanded against this host. */
  expandedMasks?: readonly string[];
  /** The kernel bounds inotify per user namespace (/proc/sys/user). */
  inotifyLimits?: boolean;
  /** LSMs of the host (/sys/kernel/security/lsm), for exec labels. */
  lsms: readonly string[];
}

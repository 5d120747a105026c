import type { CgroupPaths } from '../cgroups/index.js';
import type { Isolation } from '../isolation.js';
import type { Spec } from '../spec/types.js';
import type { ContainerExit } from './exit.js';

/** OCI's states; `paused` is between two `running`s. */
export type ContainerState = 'created' | 'running' | 'paused' | 'stopped';

/** A program that runs in a container beside its first one. */
export interface ProgramInfo {
  execId: string;
  /** Host pid. */
  pid: number;
  /** argv */
  command: string[];
}

/** What `container.inspect()` says. */
export interface ContainerInfo {
  id: string;
  state: ContainerState;
  /** Host pid of its first process; undefined once it has ended. */
  pid: number | undefined;
  /** ms since the epoch. */
  createdAt: number;
  labels: Readonly<Record<string, string>>;
  annotations: Readonly<Record<string, string>>;
  /** argv of its command; undefined without one. */
  command: string[] | undefined;
  /** Programs that run in it, started from here. */
  programs: ProgramInfo[];
  /** Directories of its cgroups, v1 by controller. */
  cgroup: CgroupPaths | undefined;
  /** Which walls stand; undefined until it has been started. */
  isolation: Isolation | undefined;
  spec: Spec;
  /** How it ended, once it has. */
  exit: ContainerExit | undefined;
}

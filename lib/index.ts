export type {
  CgroupPaths,
  ContainerStats,
  MemoryBreakdown,
  Pressure,
  Stall,
  Usage,
} from './cgroups/index.js';
export { moveToLeafCgroup } from './cgroups/index.js';
export { Container } from './container/container.js';
export { createContainer } from './container/create.js';
export type {
  ContainerEvent,
  ContainerEventFacts,
  ContainerEventType,
} from './container/events.js';
export type { ContainerExit } from './container/exit.js';
export type { ContainerInfo, ContainerState, ProgramInfo } from './container/info.js';
export type { OutputChunk } from './container/output.js';
export { ContainerProcess, type ProcessEvents } from './container/process.js';
export type { ForkOptions, SnapshotOptions } from './container/snapshot.js';
export type { PipedOptions, PipedProcess } from './container/spawnCall.js';
export type { ProcessInfo } from './container/top.js';
export type { Attachment, AttachOptions } from './detached/attach.js';
export type { LogEntry, LogOptions } from './detached/logs.js';
export type { ContainerSummary, ListOptions } from './detached/open.js';
export type {
  DiagnosticEvent,
  DiagnosticMessage,
  DiagnosticNoun,
  DiagnosticResult,
  LauncherMessage,
  PoolMessage,
} from './diagnostics.js';
export {
  ContainerError,
  ContainerGoneError,
  type ErrorFacts,
  InvalidSpecError,
  NotFoundError,
  PermissionError,
  type Phase,
  StateError,
  UnsupportedError,
} from './errors.js';
export { explain } from './explain.js';
export type {
  CopyOptions,
  CopyResult,
  FileData,
  FileHandle,
  FileSystem,
  GuestPath,
  WatchEvent,
} from './files/index.js';
export { formatDoctor } from './host/doctor.js';
export type { ProbeItem, ProbeReport, ProbeStatus } from './host/probe.js';
export type { Isolation } from './isolation.js';
export type { Change, ChangedType } from './layers/changes.js';
export { removeSnapshot } from './layers/directories.js';
export { loadSnapshot, type Snapshot, snapshotRoot } from './layers/snapshot.js';
export { metrics } from './metrics.js';
export type * from './options.js';
export { Lease } from './pool/lease.js';
export type {
  AcquireOptions,
  PoolContainerOptions,
  PoolOptions,
  PoolRunOptions,
  PoolStats,
} from './pool/options.js';
export { Pool } from './pool/pool.js';
export { probe } from './probe.js';
export { ExitError, type ExitReason, type RunResult } from './result.js';
export { run } from './run.js';
export { defaultPath } from './spec/defaults.js';
export { parseSize } from './spec/size.js';
export type * from './spec/types.js';
export { SyscallError } from './sys/error.js';

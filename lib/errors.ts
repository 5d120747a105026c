import { constants } from 'node:os';

/** Where in a launch an error arose. */
export type Phase =
  | 'options'
  | 'spec'
  | 'launcher'
  | 'prepare'
  | 'idmap'
  | 'cgroup'
  | 'mount'
  | 'net'
  | 'process'
  | 'exec'
  | 'teardown';

/** The facts an error carries beside its message; each field only where it is known. */
export interface ErrorFacts {
  /** Where in the launch it happened. */
  phase?: Phase;
  /** The plan's own words for the failed step, as `explain()` prints it. */
  step?: string;
  /** The system call that failed. */
  syscall?: string;
  /** The negative errno, as Node's own system errors carry it. */
  errno?: number;
  /** The path the failed operation was about. */
  path?: string;
  /** The option that was wrong, dotted: `limits.memory`. */
  option?: string;
  /** What to do about it, in one sentence. */
  hint?: string;
  cause?: unknown;
}

/**
 * Everything that ringfort's own machinery throws. A guest that fails is data (a result), never an
 * error. Branch on `code`, not on the class or the text:
 *
 * - what you wrote: `ERR_INVALID_OPTION`, `ERR_UNKNOWN_SIGNAL`, `ERR_INVALID_SPEC`,
 *   `ERR_UNSUPPORTED_SPEC`, `ERR_UNSUPPORTED_MOUNT_TYPE`, `ERR_DANGEROUS_SOURCE`,
 *   `ERR_TOO_MANY_LAYERS`, `ERR_PLAN_TOO_LARGE`, `ERR_ID_NOT_OWNED`, `ERR_RLIMIT_TOO_HIGH`
 * - what is not there: `ERR_PROGRAM_NOT_FOUND`, `ERR_PROGRAM_NOT_EXECUTABLE`, `ERR_CWD`,
 *   `ERR_USER_NOT_FOUND`, `ERR_SOURCE_NOT_FOUND`, `ERR_SOURCE_UNREACHABLE`, `ERR_MOUNT_NOT_FOUND`, `ERR_MOUNT_POINT_MISSING`,
 *   `ERR_NAMESPACE_NOT_FOUND`, `ERR_CGROUP_NOT_FOUND`
 * - what this host or user cannot do: `ERR_UNSUPPORTED_PLATFORM`, `ERR_UNSUPPORTED_KERNEL`,
 *   `ERR_ADDON_NOT_FOUND`, `ERR_USERNS_RESTRICTED`, `ERR_CGROUP_UNAVAILABLE`, `ERR_CGROUP_BUSY`,
 *   `ERR_IDMAP_UNAVAILABLE`, `ERR_IDMAP_FAILED`, `ERR_IDMAP_MISMATCH`,
 *   `ERR_NEWUIDMAP_MISSING`, `ERR_NEWUIDMAP_FAILED`, `ERR_NO_IDS`, `ERR_ID_POOL_EXHAUSTED`,
 *   `ERR_ID_LOCK`, `ERR_STATE_DIR`, `ERR_JOURNAL`, `ERR_HOST_ROOT`, `ERR_LANDLOCK_UNAVAILABLE`, `ERR_LSM_UNAVAILABLE`
 * - a launch that was refused or broke: `ERR_UNSAFE_PATH`, `ERR_READONLY_NOT_ENFORCED`,
 *   `ERR_WALL_MISSING`, `ERR_LAUNCH_DENIED`, `ERR_LAUNCH_FAILED`, `ERR_LAUNCH_DIED`,
 *   `ERR_LAUNCHER_GONE`, `ERR_START_TIMEOUT`
 * - new limits that the kernel refused: `ERR_LIMIT_BUSY` (more is in use), `ERR_LIMIT_REFUSED`
 * - an id that is in use: `ERR_CONTAINER_EXISTS`
 * - a detached container: `ERR_CONTAINER_NOT_FOUND`, `ERR_CONTAINER_STATE`,
 *   `ERR_CONTAINER_RUNNING`, `ERR_CONTAINER_BUSY`, `ERR_MONITOR_BUSY`, `ERR_DETACH_FAILED`,
 *   `ERR_DISCONNECTED`, `ERR_NOT_DETACHED`, `ERR_NO_STDIN`, `ERR_NO_RUNTIME_DIR`
 * - a call that the container's state does not allow: `ERR_CONTAINER_NOT_RUNNING`,
 *   `ERR_CONTAINER_PAUSED`, `ERR_CONTAINER_STARTED`, `ERR_NOT_JOINABLE`
 * - a pool: `ERR_POOL_CLOSED`, `ERR_POOL_FULL`
 * - a container that ended under a call: `ERR_CONTAINER_GONE`; one whose file agent answers what it
 *   cannot: `ERR_FILE_AGENT`
 * - snapshots: `ERR_NO_LAYER`, `ERR_CONTAINER_REPLACED`, `ERR_CONTAINER_DETACHED`,
 *   `ERR_SNAPSHOT_NOT_FOUND`, `ERR_SNAPSHOT_INVALID`
 * - an `input` stream that failed: `ERR_INPUT`
 * - what you asked to be thrown: `ERR_EXIT`, `ERR_MAX_BUFFER`
 *
 * Beside these: an AbortError (`ABORT_ERR`) after a `signal`; and where files are the matter
 * (`box.fs`, copies, snapshots) a `SyscallError` (`ENOENT`, …) and Node's own codes for arguments
 * (`ERR_INVALID_ARG_TYPE`, …), as node:fs has them.
 */
export class ContainerError extends Error implements ErrorFacts {
  override readonly name: string = 'ContainerError';
  /** `ERR_…`, stable between versions. */
  readonly code: string;
  declare readonly phase?: Phase;
  declare readonly step?: string;
  declare readonly syscall?: string;
  declare readonly errno?: number;
  declare readonly path?: string;
  declare readonly option?: string;
  declare readonly hint?: string;

  constructor(code: string, message: string, facts: ErrorFacts = {}) {
    const { cause, ...rest } = facts;
    super(
      facts.hint === undefined ? message : `${message} (${facts.hint})`,
      cause === undefined ? undefined : { cause },
    );
    this.code = code;
    for (const [key, value] of Object.entries(rest)) {
      if (value !== undefined) Object.defineProperty(this, key, { value, enumerable: true });
    }
  }
}

/** An option or spec field is wrong: misspelt, contradictory, out of range. Nothing was created. */
export class InvalidSpecError extends ContainerError {
  override readonly name = 'InvalidSpecError';
}

/** This kernel, machine or build cannot do what was asked, whoever asks. */
export class UnsupportedError extends ContainerError {
  override readonly name = 'UnsupportedError';
}

/** The kernel can do it, but not for this user here. */
export class PermissionError extends ContainerError {
  override readonly name = 'PermissionError';
}

/** A program, root, mount source, user or namespace that was named does not exist. */
export class NotFoundError extends ContainerError {
  override readonly name = 'NotFoundError';
}

/** The call does not fit the state of the container. */
export class StateError extends ContainerError {
  override readonly name = 'StateError';
}

/** The launcher died or its socket closed under a pending call. */
export class ContainerGoneError extends ContainerError {
  override readonly name = 'ContainerGoneError';
}

/**
 * An option was wrong.
 * @param option dotted name of the option
 * @param expected what would have been right
 * @param got the offending value; shown shortened
 */
export function invalid(
  option: string,
  expected: string,
  ...got: [value?: unknown]
): InvalidSpecError {
  const shown = got.length === 0 ? '' : `, got ${show(got[0])}`;
  return new InvalidSpecError('ERR_INVALID_OPTION', `${option}: expected ${expected}${shown}`, {
    option,
    phase: 'options',
  });
}

/** A value as it appears in a message: JSON-like, at most 80 characters. */
export function show(value: unknown): string {
  const text = typeof value === 'bigint' ? `${value}n` : (toJson(value) ?? toText(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

function toJson(value: unknown): string | undefined {
  // Infinity and NaN, which JSON calls null.
  if (typeof value === 'number' && !Number.isFinite(value)) return undefined;
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

function toText(value: unknown): string {
  try {
    return String(value);
  } catch {
    // Without a prototype, or with one that throws.
    return `a value of type ${typeof value}`;
  }
}

/** Errors of the kernel that mean that this process, or the machine, has no more of something. */
const scarcities = new Set(['EMFILE', 'ENFILE', 'ENOMEM']);

/**
 * What a launch, and a look at detached containers, rejects with: a lack of descriptors or memory,
 * wherever in Node it shows, is `ERR_LAUNCH_FAILED`; everything else stays what it is.
 */
export function orScarcity(error: unknown): unknown {
  if (error instanceof ContainerError || !(error instanceof Error)) return error;
  const { code = '', errno, syscall, message } = error as NodeJS.ErrnoException;
  if (!scarcities.has(code)) return error;
  return new ContainerError('ERR_LAUNCH_FAILED', `resources are lacking: ${message}`, {
    phase: 'launcher',
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    hint: code === 'EMFILE' ? 'raise the limit of open files (ulimit -n)' : 'free some',
    cause: error,
  });
}

const errnoNames = new Map<number, string>([
  ...Object.entries(constants.errno)
    // EAGAIN by its other name, of which no manual page speaks here.
    .filter(([name]) => name !== 'EWOULDBLOCK')
    .map(([name, number]) => [number, name] as const),
  // Node has no name for what a socket that carries too many descriptors says (unix(7)).
  [109, 'ETOOMANYREFS'],
]);

/** `ENOENT` for 2; `E<number>` for one that Node has no name for. Takes either sign. */
export function errnoName(errno: number): string {
  return errnoNames.get(Math.abs(errno)) ?? `E${Math.abs(errno)}`;
}

/** The `code` of whatever was thrown; empty when it has none. */
export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

import { type ErrorFacts, PermissionError, UnsupportedError } from '../errors.js';

/** What to do about a controller that is not at hand. */
const ways = {
  /** No tree has the controller. */
  missing: 'mount it, or have it delegated (systemd-run --user --scope -p Delegate=yes …)',
  /** v2: the parent has processes, so the kernel refuses to enable controllers in it. */
  busy: `call moveToLeafCgroup() at start (in a service of systemd's: with Delegate=yes), name a cgroup without processes (root: '/') as cgroupParent`,
  /** v2: no write access. */
  unified:
    'start under systemd-run --user --scope -p Delegate=yes and call moveToLeafCgroup() first, name a cgroup of yours as cgroupParent',
  /** v1: no write access. */
  v1: 'have root make a cgroup in each hierarchy, chown it to you, and name it as cgroupParent',
} as const;

/** How something is missing. */
export type Lack = keyof typeof ways;

/** What to do about a limit that cannot be enforced for a new container. */
export function hint(lack: Lack): string {
  return `${ways[lack]}, or give the limits up with limits: 'none'`;
}

/** The same for one that is there already, and for good has the cgroups that it has. */
export const laterHints = {
  limit: 'create the container anew with a limit of that kind',
  pause:
    "create the container where it gets a cgroup, which limits: 'none' may give up; for a snapshot, end it first",
} as const;

const code = 'ERR_CGROUP_UNAVAILABLE';

/** This host has no means for what was asked, whoever asks. */
export function unsupported(message: string, facts: ErrorFacts): UnsupportedError {
  return new UnsupportedError(code, message, { phase: 'cgroup', ...facts });
}

/** The host has the means, but not for this process. */
export function forbidden(message: string, facts: ErrorFacts): PermissionError {
  return new PermissionError(code, message, { phase: 'cgroup', ...facts });
}

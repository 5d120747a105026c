import { type ErrorFacts, PermissionError, UnsupportedError } from '../errors.js';

const giveUp = "or give the limits up with limits: 'none'";

/** What to do about a limit that cannot be enforced here. */
export const hints = {
  /** No tree has the controller. */
  missing: `mount it, or have it delegated (systemd-run --user --scope -p Delegate=yes …), ${giveUp}`,
  /** v2: the parent has processes, so the kernel refuses to enable controllers in it. */
  busy: `call moveToLeafCgroup() at start, name a cgroup without processes (root: '/') as cgroupParent, ${giveUp}`,
  /** v2: no write access. */
  unified: `start under systemd-run --user --scope -p Delegate=yes and call moveToLeafCgroup() first, name a cgroup of yours as cgroupParent, ${giveUp}`,
  /** v1: no write access. */
  v1: `have root make a cgroup in each hierarchy, chown it to you, and name it as cgroupParent, ${giveUp}`,
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

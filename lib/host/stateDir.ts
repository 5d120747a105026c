import { chmodSync, lstatSync, mkdirSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { codeOf, PermissionError } from '../errors.js';

/**
 * Where this user's processes keep what they share and what outlives them: `/run/ringfort`; for an
 * ordinary user `ringfort` below `XDG_RUNTIME_DIR`, or `undefined` where that is no absolute path.
 * Nothing is created.
 */
export function stateDirectory(privileged: boolean): string | undefined {
  if (privileged) return '/run/ringfort';
  const runtime = process.env['XDG_RUNTIME_DIR'] ?? '';
  return isAbsolute(runtime) ? join(runtime, 'ringfort') : undefined;
}

/**
 * Makes a directory (0700) where there is none; its parent must be there.
 * @throws PermissionError `ERR_STATE_DIR` when it is another user's or others may write to it, or
 *   when it may not be made; `ERR_NO_RUNTIME_DIR` when its parent is not there
 * @throws Error of Node's own when it cannot be made, as on a full disk
 */
export function makePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, 0o700);
    chmodSync(path, 0o700); // whatever the umask was
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw notMade(path, error);
  }
  const stats = lstatSync(path);
  const othersWrite = (stats.mode & 0o022) !== 0;
  if (stats.isDirectory() && stats.uid === process.geteuid?.() && !othersWrite) {
    // As a unit's RuntimeDirectory= makes it, others may look into it.
    if ((stats.mode & 0o077) !== 0) chmodSync(path, 0o700);
    return;
  }
  throw new PermissionError(
    'ERR_STATE_DIR',
    `${path}: expected a directory of this user that nobody else may write to`,
    { phase: 'launcher', path, hint: 'remove it, or give it to the user and mode 0700' },
  );
}

const noParent = ['ENOENT', 'ENOTDIR'];
const notAllowed = ['EACCES', 'EPERM', 'EROFS'];

/** What to say of a directory that could not be made. */
function notMade(path: string, cause: unknown): unknown {
  const code = codeOf(cause);
  const parent = dirname(path);
  const facts = { phase: 'launcher', path, cause } as const;
  const hint =
    'set XDG_RUNTIME_DIR to a directory of your own that is there (loginctl enable-linger keeps /run/user/$(id -u))';
  if (noParent.includes(code))
    return new PermissionError('ERR_NO_RUNTIME_DIR', `${parent}: is no directory (any more)`, {
      ...facts,
      hint: parent === '/run' ? 'mount a tmpfs there' : hint,
    });
  if (!notAllowed.includes(code)) return cause;
  return new PermissionError('ERR_STATE_DIR', `${path}: cannot be made: ${code}`, {
    ...facts,
    hint: parent === '/run' ? 'mount a tmpfs on /run' : hint,
  });
}

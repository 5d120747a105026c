import { chmodSync, lstatSync, mkdirSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { PermissionError } from '../errors.js';

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
 * @throws PermissionError `ERR_STATE_DIR` when it is another user's or others may write to it;
 *   Node's own error when it cannot be made
 */
export function makePrivateDirectory(path: string): void {
  try {
    mkdirSync(path, 0o700);
    chmodSync(path, 0o700); // whatever the umask was
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const stats = lstatSync(path);
  const othersWrite = (stats.mode & 0o022) !== 0;
  if (stats.isDirectory() && stats.uid === process.geteuid?.() && !othersWrite) return;
  throw new PermissionError(
    'ERR_STATE_DIR',
    `${path}: expected a directory of this user that nobody else may write to`,
    { phase: 'launcher', path, hint: 'remove it, or give it to the user and mode 0700' },
  );
}

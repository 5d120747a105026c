import { codeOf } from '../errors.js';
import type { CallOptions, FileAgent } from './agent.js';
import { Directory } from './directory.js';
import { type About, callError, type GuestPath, pathBytes } from './paths.js';
import { fileProtocol } from './protocol.js';
import { walk } from './walk.js';

/** How often a tree is gone through again that a guest goes on filling. */
const maxPasses = 20;
/**
 * After so many directories that were not empty any more a pass gives up: where the way down is
 * long it comes back to those that are left, again and again.
 */
const maxFilled = 200;

/** Somebody else was faster, or has put something new there: the next pass sees. */
const changed = new Set(['ENOENT', 'ENOTEMPTY', 'EEXIST', 'EISDIR', 'ENOTDIR']);

/** Awaits it. @returns the error's code when the tree has changed under it */
async function change(done: Promise<unknown>): Promise<string | undefined> {
  try {
    await done;
    return undefined;
  } catch (error) {
    const code = codeOf(error);
    if (changed.has(code)) return code;
    throw error;
  }
}

/**
 * Removes a directory of the guest and everything in it, however deep. No symbolic link is
 * followed: a directory that turns into one meanwhile loses only its own name.
 * @throws SyscallError ENOTEMPTY when a guest fills it faster
 */
export async function removeTree(
  agent: FileAgent,
  path: GuestPath,
  options: Pick<CallOptions, 'signal' | 'begun' | 'unheard'> = {},
): Promise<void> {
  const about: About = { syscall: 'rm', path };
  const bytes = pathBytes(path, 'rm');
  const going = { ...options, begun: true };
  for (let pass = 1; ; pass++) {
    const flags = fileProtocol.noFollow;
    const context = { agent, about, ...(pass === 1 ? options : going) };
    const top = await Directory.open(context, { path: bytes, flags });
    let filled = 0;
    for await (const visit of walk(top, true)) {
      if (visit.kind === 'enter') continue;
      const op = visit.kind === 'leave' ? 'rmdir' : 'unlink';
      const request = { dir: visit.parent.handle, path: visit.name };
      const code = await change(agent.call(op, request, about, going));
      if (op === 'rmdir' && code === 'ENOTEMPTY' && ++filled === maxFilled) break;
    }
    const removed = agent.call('rmdir', { path: bytes }, { ...about, syscall: 'rmdir' }, going);
    if (pass === maxPasses) await removed;
    else if ((await change(removed)) === undefined) return;
    else if (!(await exists(agent, bytes, going))) return;
  }
}

async function exists(agent: FileAgent, path: Uint8Array, options: CallOptions): Promise<boolean> {
  try {
    const request = { path, flags: fileProtocol.noFollow };
    await agent.call('stat', request, { syscall: 'lstat' }, options);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/** A directory where `rm` was not told to be recursive, in the shape of node:fs' error. */
export function isDirectoryError(path: GuestPath): Error {
  const { errno, message } = callError(21, { syscall: 'rm', path });
  const error = new Error(`Path is a directory: ${message.replace('EISDIR: ', '')}`);
  return Object.assign(error, { code: 'ERR_FS_EISDIR', errno, syscall: 'rm' });
}

import { fileURLToPath } from 'node:url';
import { SyscallError } from '../sys/error.js';
import { fileProtocol } from './protocol.js';

/**
 * A path inside the container, as node:fs takes one. A relative one starts at the container's
 * working directory. Bytes (`Buffer`) name what is not UTF-8.
 */
export type GuestPath = string | Uint8Array | URL;

/** What a call was about, for its error. */
export interface About {
  /** Node's name for the call: `'open'`. */
  syscall: string;
  path?: GuestPath | undefined;
  /** The second path of a call that takes two. */
  dest?: GuestPath | undefined;
}

const ENAMETOOLONG = 36;

/** A path as it appears in an error. */
export function pathText(path: GuestPath): string {
  if (typeof path === 'string') return path;
  return path instanceof URL ? fileURLToPath(path) : Buffer.from(path).toString();
}

/**
 * A path as bytes.
 * @throws TypeError `ERR_INVALID_ARG_TYPE`, `ERR_INVALID_ARG_VALUE` as node:fs
 * @throws SyscallError ENAMETOOLONG
 */
export function pathBytes(path: GuestPath, syscall: string): Uint8Array {
  if (typeof path !== 'string' && !(path instanceof Uint8Array) && !(path instanceof URL)) {
    throw invalidArgument('ERR_INVALID_ARG_TYPE', 'path: expected a string, Buffer or URL');
  }
  const bytes = path instanceof Uint8Array ? path : Buffer.from(pathText(path));
  if (bytes.includes(0))
    throw invalidArgument('ERR_INVALID_ARG_VALUE', 'path: expected no null bytes');
  if (bytes.length > fileProtocol.maxPath)
    throw new SyscallError(ENAMETOOLONG, syscall, { path: pathText(path) });
  return bytes;
}

/** An argument of the wrong kind, in the shape of Node's own errors. */
export function invalidArgument(code: string, message: string): TypeError {
  return Object.assign(new TypeError(message), { code });
}

/** Guest paths below a directory: `a` and `b` as `a/b`. */
export function joinPath(parent: Uint8Array, name: Uint8Array): Buffer {
  if (parent.length === 0) return Buffer.from(name);
  const slash = parent.at(-1) === 0x2f ? '' : '/';
  return Buffer.concat([parent, Buffer.from(slash), name]);
}

/** The error of a failed call, in the shape and words of node:fs. */
export function callError(errno: number, { syscall, path, dest }: About): SyscallError {
  return new SyscallError(errno, syscall, {
    path: path === undefined ? undefined : pathText(path),
    dest: dest === undefined ? undefined : pathText(dest),
  });
}

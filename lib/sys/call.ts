import { loadBinding } from '../native/load.js';
import type { SysBinding } from './binding.js';
import { type CallFacts, SyscallError } from './error.js';

/**
 * The native calls, loaded at the first use: importing `ringfort/sys` works on every system.
 * @throws UnsupportedError, ContainerError as `loadBinding()`
 */
export function native(): SysBinding {
  return loadBinding().sys;
}

/**
 * What a native call returned.
 * @throws SyscallError when that is a negative errno
 */
export function returned(rc: number, syscall: string, facts?: CallFacts): number {
  if (rc < 0) throw new SyscallError(rc, syscall, facts);
  return rc;
}

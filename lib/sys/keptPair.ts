import { loadBinding } from '../native/load.js';
import { SyscallError } from './error.js';

/**
 * A pipe, or with a type a pair of sockets (socketpair(2)), close-on-exec. In a worker they are kept
 * (`keep`) from their first moment: it may be told to end between any two calls.
 * @throws SyscallError
 */
export function keptPair(type = 0): [number, number] {
  const pair = loadBinding().keepPair(type);
  if (typeof pair === 'number') throw new SyscallError(pair, type === 0 ? 'pipe2' : 'socketpair');
  return pair;
}

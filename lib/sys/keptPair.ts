import { loadBinding } from '../native/load.js';
import { returned } from './call.js';

/**
 * A pipe, or with a type a pair of sockets (socketpair(2)), close-on-exec. In a worker they are kept
 * (`keep`) from their first moment: it may be told to end between any two calls.
 * @throws SyscallError
 */
export function keptPair(type = 0): [number, number] {
  const pair = loadBinding().keepPair(type);
  if (typeof pair === 'object') return pair;
  returned(pair, type === 0 ? 'pipe2' : 'socketpair');
  throw new Error('keepPair made nothing');
}

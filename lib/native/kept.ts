import { isMainThread } from 'node:worker_threads';
import { loadBinding } from './load.js';

/**
 * Makes a handle of Node's that closes a pipe, a socket or a terminal from then on, also at the end of a
 * worker. The addon goes on to keep it until the handle is made: a worker that is terminated meanwhile
 * closes it in one of the two ways.
 */
export function handOver<T>(fd: number, make: () => T): T {
  const handle = make();
  if (!isMainThread) loadBinding().release(fd);
  return handle;
}

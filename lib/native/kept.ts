import { isMainThread } from 'node:worker_threads';
import { loadBinding } from './load.js';

/**
 * Has a descriptor of ours closed at the end of a worker that is terminated: Node closes there what
 * its own node:fs has opened, and nothing else. Those that come in messages are kept already.
 */
export function keep(fd: number): void {
  if (!isMainThread && fd >= 0) loadBinding().keep(fd);
}

/** It is closed now, or somebody else's. */
export function release(fd: number): void {
  if (!isMainThread) loadBinding().release(fd);
}

/**
 * Makes a handle of Node's that closes a pipe, a socket or a terminal from then on, also at the end of a
 * worker. Kept until it is made: a worker that is terminated meanwhile closes it in one of the two ways.
 */
export function handOver<T>(fd: number, make: () => T): T {
  const handle = make();
  release(fd);
  return handle;
}

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

import { closeSync } from 'node:fs';
import { native } from '../../lib/sys/call.js';

/**
 * Runs `body` with descriptors that a child process inherits, as a careless addon would leave them:
 * by the raw call, because everything in Node and in ringfort/sys sets O_CLOEXEC.
 * @returns what `body` returns; the descriptors are closed then
 */
export async function withInheritable<T>(
  count: number,
  body: (fds: readonly number[]) => Promise<T>,
): Promise<T> {
  const fds: number[] = [];
  try {
    while (fds.length < count) {
      const ends = new Int32Array(2);
      native().pipe2(0, ends);
      fds.push(...ends);
    }
    return await body(fds);
  } finally {
    for (const fd of fds) closeSync(fd);
  }
}

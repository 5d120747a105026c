/**
 * Does something with a timeout that its first output must come before: twice the time where it did
 * not. How long a start takes is not what such a test is about.
 * @param first what it must print before its time is over
 * @param ms first timeout
 */
export async function inTime<T extends { stdout: string }>(
  first: string,
  ms: number,
  work: (timeout: number) => Promise<T>,
): Promise<T> {
  for (let timeout = ms; ; timeout *= 2) {
    const result = await work(timeout);
    if (result.stdout.startsWith(first)) return result;
  }
}

import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { codeOfSignal } from './exitCode.js';

/** Prints text, and waits where the reader is slow. */
export async function print(text: string | Uint8Array, to: Writable = process.stdout) {
  if (!to.write(text)) await once(to, 'drain');
}

/** A value as a line of JSON. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value, plainNumbers)}\n`;
}

/** For `JSON.stringify`: a bigint is a number where that loses nothing, else its digits. */
export function plainNumbers(_key: string, value: unknown): unknown {
  if (typeof value !== 'bigint') return value;
  return Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
}

/** When nobody reads our output any more (`| head`), ends as what SIGPIPE ends: saying nothing. */
export function endWithReader(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(codeOfSignal('SIGPIPE'));
    });
  }
}

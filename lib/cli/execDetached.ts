import { spawn } from 'node:child_process';
import { closeSync, writeSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Container, ExecOptions } from '../index.js';
import { printError } from './errors.js';
import { codeOfError, failure } from './exitCode.js';
import { defaultWindow } from './options.js';

/*
 * A program that was started in a container ends with the process that started it. So `exec -d`
 * starts a second ringfort, out of reach of our terminal, which stays with the program.
 */

/** Where the one that stays says that the program runs. */
const reportFd = 3;

/**
 * Has the same command line carried out by a process that stays.
 * @returns the exit code once the program runs, or could not be started
 */
export async function handOver(): Promise<number> {
  const [, main = '', name = 'exec', ...rest] = process.argv;
  const holder = spawn(process.execPath, ['--', main, name, '--held', ...rest], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  const code = new Promise<number>((resolve, reject) => {
    holder.once('error', reject);
    holder.once('exit', (exitCode) => resolve(exitCode ?? failure));
  });
  const stderr = holder.stderr as Readable;
  const problem = text(stderr).catch(() => '');
  const started = (await text(holder.stdio[reportFd] as Readable)) !== '';
  if (started) {
    stderr.destroy();
    holder.unref();
    return 0;
  }
  process.stderr.write(await problem);
  return code;
}

/** Starts the program, says so, and stays until it has ended. @returns the exit code */
export function hold(
  box: Container,
  [program = '', ...args]: readonly string[],
  options: ExecOptions,
  tty: boolean,
): Promise<number> {
  const child = box.spawn(program, args, {
    ...options,
    ...(tty ? { pty: defaultWindow } : { stdio: 'ignore' }),
  });
  child.stdout?.resume();
  return new Promise((resolve) => {
    child.once('spawn', () => {
      writeSync(reportFd, 'started');
      closeSync(reportFd);
      child.once('close', () => resolve(0));
    });
    child.once('error', (error) => {
      // `spawn` has child_process's words; the library's own say more.
      const { cause = error } = error;
      printError(cause);
      resolve(codeOfError(cause, failure));
    });
  });
}

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';

/** What people start. */
export const ringfortBin = fileURLToPath(new URL('../../../bin/ringfort.mjs', import.meta.url));

/** How a command ended, and what it printed. */
export interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

const running = new Set<Child>();

/** Ends what a test that failed has left. */
export function killStarted(): void {
  for (const child of running) child.kill('SIGKILL');
}

/** A command that runs; `stdout` and `stderr` grow. */
export class Started {
  readonly child: Child;
  stdout = '';
  stderr = '';
  readonly finished: Promise<Finished>;

  constructor(args: readonly string[], env: NodeJS.ProcessEnv = process.env) {
    this.child = spawn(ringfortBin, args, { env, stdio: 'pipe' });
    running.add(this.child);
    this.child.once('exit', () => running.delete(this.child));
    this.child.stdin.on('error', () => {});
    this.child.stdout.on('data', (chunk) => {
      this.stdout += chunk;
    });
    this.child.stderr.on('data', (chunk) => {
      this.stderr += chunk;
    });
    this.finished = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code) =>
        resolve({ code, stdout: this.stdout, stderr: this.stderr }),
      );
    });
  }
}

/** Runs a command to its end. */
export function ringfort(
  args: readonly string[],
  { input = '', env = process.env }: { input?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<Finished> {
  const started = new Started(args, env);
  started.child.stdin.end(input);
  return started.finished;
}

/** The same for one that must succeed in silence. @returns what it printed */
export async function succeed(args: readonly string[], input = ''): Promise<string> {
  const { code, stdout, stderr } = await ringfort(args, { input });
  if (code !== 0 || stderr !== '')
    throw new Error(`ringfort ${args.join(' ')}: exit code ${code}: ${stderr}`);
  return stdout;
}

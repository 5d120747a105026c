import { type ChildProcessByStdio, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { writeLimitFacts } from './limitFacts.js';

const sources = fileURLToPath(new URL('../../bench/limit', import.meta.url));

/** Compiles bench/limit. @throws with the compiler's words */
function compile(): string {
  const out = join(mkdtempSync(join(tmpdir(), 'ringfort-limit-')), 'limit');
  const files = readdirSync(sources).filter((name) => name.endsWith('.c'));
  const flags = ['-D_GNU_SOURCE', '-O2', '-static', '-Wall', '-o', out];
  const { error, status, stderr } = spawnSync('cc', [...flags, ...files], {
    cwd: sources,
    encoding: 'utf8',
  });
  if (error !== undefined || status !== 0) throw new Error(`cc: ${error?.message ?? stderr}`);
  return out;
}

/** The parts of a container of the limit's, as bench/limit/limit.h has them. */
export const limitParts = [
  'cgroups',
  'clone',
  'ids mapped',
  'child: root and mounts, to pivot_root',
  'child: Landlock, last walls, to execve',
  'execve, program, its end, namespaces, reaped',
  'accounts read',
  '**all**',
] as const;

const last = (values: readonly number[]) => values.at(-1) ?? Number.NaN;

/** The C program of bench/limit, resident: what the kernel charges for the same walls. */
export class Limit {
  readonly #child: ChildProcessByStdio<Writable, Readable, null>;
  readonly #lines: Interface;
  readonly #paths: readonly string[];

  private constructor(binary: string, facts: string, pooled: boolean) {
    this.#paths = [dirname(binary), dirname(facts)];
    const stdio: ['pipe', 'pipe', 'inherit'] = ['pipe', 'pipe', 'inherit'];
    this.#child = spawn(binary, [facts, ...(pooled ? ['pooled'] : [])], { stdio });
    this.#lines = createInterface({ input: this.#child.stdout });
  }

  /**
   * Compiles and starts it.
   * @param pooled its containers get net namespaces that are there already
   * @returns the program, or why there is none
   */
  static async start({ pooled = false } = {}): Promise<Limit | string> {
    if (process.getuid?.() !== 0) return 'limit (needs root)';
    let limit: Limit | undefined;
    try {
      limit = new Limit(compile(), await writeLimitFacts('/usr/bin/true'), pooled);
      await limit.one();
      return limit;
    } catch (error) {
      limit?.close();
      return `limit (${(error as Error).message.split('\n')[0]})`;
    }
  }

  /** One container; ms. */
  async one(): Promise<number> {
    return last(await this.#ask('one'));
  }

  /** One container: ms of each of `limitParts`, and of all. */
  trace(): Promise<number[]> {
    return this.#ask('trace');
  }

  /** So many, a number of them at a time; ms. */
  async many(count: number, flight: number): Promise<number> {
    return last(await this.#ask(`many ${count} ${flight}`));
  }

  /** One program in the container with this first process; ms. */
  async exec(pid: number): Promise<number> {
    return last(await this.#ask(`exec ${pid}`));
  }

  close(): void {
    this.#child.stdin.end();
    for (const path of this.#paths) rmSync(path, { recursive: true, force: true });
  }

  #ask(what: string): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const ended = () => reject(new Error(`the limit program ended at: ${what}`));
      this.#child.once('close', ended);
      this.#lines.once('line', (line) => {
        this.#child.off('close', ended);
        resolve(line.split(' ').map((ns) => Number(ns) / 1e6));
      });
      this.#child.stdin.write(`${what}\n`);
    });
  }
}

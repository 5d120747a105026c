// Run as a program of its own: what concerns the whole process of whoever calls `spawn`.
//   node childProgram.js node|ringfort <scenario>
import { spawn as nodeSpawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { createContainer } from '../../lib/index.js';
import type { Spawn } from './childScenarios.js';

const [, , whose, scenario = ''] = process.argv;
const box = whose === 'ringfort' ? await createContainer() : undefined;
const env = { PATH: '/usr/bin:/bin' };
const spawn: Spawn = (file, args, options) => {
  const given = { ...options, env } as object;
  return box?.spawn(file, args, given) ?? nodeSpawn(file, args, given);
};

/** Resolves when a process has been found asleep many times in a row: it waits for somebody. */
async function blocked(pid: number): Promise<void> {
  const asleep = () => / S /.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  for (let seen = 0; seen < 1000; seen = asleep() ? seen + 1 : 0) await turn();
}

const mebibyte = 1 << 20;

const scenarios: Record<string, () => Promise<void>> = {
  /** Of ours only: Node's children cannot be iterated. */
  async leaving() {
    const child = box?.spawn('yes');
    for await (const { kind } of child ?? []) {
      console.log(kind);
      break;
    }
    console.log(await once(child ?? process, 'close'));
  },

  async inherit() {
    const child = spawn('/bin/sh', ['-c', 'cat; echo err >&2'], { stdio: 'inherit' });
    const [code] = await once(child, 'close');
    console.log(child.stdin, child.stdout, code);
  },

  async throwing() {
    process.on('uncaughtException', ({ message }) => console.log(`uncaught: ${message}`));
    const child = spawn('true', []);
    const closed = once(child, 'close');
    child.on('spawn', () => {
      throw new Error('in spawn');
    });
    child.on('exit', (code) => console.log('exit', code));
    child.on('close', () => {
      throw new Error('in close');
    });
    await closed;
    // Nobody listens for this one's error.
    spawn('no-such-program', []);
    await once(process, 'uncaughtException');
  },

  async unref() {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    child.unref();
    box?.unref();
    console.log(child.pid ?? 'not known yet');
  },

  async backpressure() {
    const size = 64 * mebibyte;
    const child = spawn('head', ['-c', String(size), '/dev/zero']);
    await once(child, 'spawn');
    const before = process.memoryUsage.rss();
    await blocked(child.pid as number);
    const grown = process.memoryUsage.rss() - before;
    // Others go on meanwhile.
    const [other] = await once(spawn('true', []), 'close');
    const { bytesRead } = child.stdout as Socket;
    console.log(child.exitCode, other, grown < 16 * mebibyte, bytesRead < mebibyte);
    let total = 0;
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) total += chunk.length;
    console.log(total === size, process.memoryUsage.rss() - before < 48 * mebibyte);
  },
};

await scenarios[scenario]?.();
if (scenario !== 'unref') await box?.[Symbol.asyncDispose]();

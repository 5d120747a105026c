// What programs do with child_process, as functions of the `spawn` that they call: the same lines
// run with Node's and with a container's. Each gives back what it saw.
import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import getStream from 'get-stream';
import split2 from 'split2';

/** What code written for child_process calls. */
export type Spawn = (file: string, args: readonly string[], options?: SpawnOptions) => ChildProcess;

/** What one program was seen to do. */
export interface Transcript {
  /** `spawn`, `error <code>`, `exit <code> <signal>`, `close <code> <signal>`, in their order. */
  events: string[];
  stdout: string;
  stderr: string;
}

/** An error as far as callers of child_process look at one. */
function errorFacts(error: unknown): object {
  const { name, code, errno, syscall, path, spawnargs } = error as Record<string, unknown>;
  return { name, message: (error as Error).message, code, errno, syscall, path, spawnargs };
}

/** Listens to everything, and says at 'close' what it heard. */
export async function transcript(child: ChildProcess): Promise<Transcript> {
  const events: string[] = [];
  child.on('spawn', () => events.push('spawn'));
  child.on('error', (error: NodeJS.ErrnoException) => events.push(`error ${error.code}`));
  child.on('exit', (code, signal) => events.push(`exit ${code} ${signal}`));
  const closed = new Promise<void>((resolve) => {
    child.on('close', (code, signal) => {
      events.push(`close ${code} ${signal}`);
      resolve();
    });
  });
  const text = (stream: Readable | null) => (stream === null ? '' : getStream(stream));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { events, stdout, stderr };
}

const sh = (spawn: Spawn, script: string, options?: SpawnOptions) =>
  spawn('/bin/sh', ['-c', script], options);

/** The kinds of events in their order, with the streams' first. */
async function order(child: ChildProcess): Promise<string[]> {
  const seen: string[] = [];
  child.on('spawn', () => seen.push('spawn'));
  child.stdout?.once('data', () => seen.push('data'));
  child.stdout?.on('end', () => seen.push('end'));
  await once(child, 'close');
  return seen;
}

/** Until the program says its first word, so that it has done what it was to do before that. */
async function ready(child: ChildProcess): Promise<void> {
  await once(child.stdout as Readable, 'data');
}

export const lives = {
  'an end with a code, and both outputs': async (spawn: Spawn) => {
    const child = sh(spawn, 'echo out; echo err >&2; exit 7');
    const facts = [child.spawnfile, child.spawnargs, child.exitCode, child.connected, child.killed];
    const seen = await transcript(child);
    return [facts, seen, child.exitCode, child.signalCode, child.killed, child.kill()];
  },
  'an end by a signal of its own': async (spawn: Spawn) => {
    const child = sh(spawn, 'kill -SEGV $$');
    return [await transcript(child), child.exitCode, child.signalCode, child.killed];
  },
  'kill with the default signal': async (spawn: Spawn) => {
    const child = sh(spawn, 'echo up; exec sleep 600');
    const seen = transcript(child);
    await ready(child);
    const sent = child.kill();
    return [sent, child.killed, await seen, child.signalCode];
  },
  'kill with a signal that is handled': async (spawn: Spawn) => {
    const child = sh(
      spawn,
      'trap "echo caught; exit 3" USR1; echo up; while :; do sleep 0.01; done',
    );
    const seen = transcript(child);
    await ready(child);
    return [child.kill('SIGUSR1'), await seen, child.killed];
  },
  'kill by number, and in lower case': async (spawn: Spawn) => {
    const one = spawn('sleep', ['600']);
    const other = spawn('sleep', ['600']);
    one.kill(9);
    other.kill('sigint' as NodeJS.Signals);
    return Promise.all([transcript(one), transcript(other)]);
  },
  'kill before it runs': async (spawn: Spawn) => {
    const child = spawn('sleep', ['600']);
    const sent = child.kill('SIGKILL');
    return [sent, child.killed, await transcript(child), child.exitCode, child.signalCode];
  },
  'a signal that nobody knows': async (spawn: Spawn) => {
    const child = spawn('cat', []);
    let code: unknown;
    try {
      child.kill('SIGNOPE' as NodeJS.Signals);
    } catch (error) {
      code = (error as NodeJS.ErrnoException).code;
    }
    child.stdin?.end();
    return [code, child.killed, await transcript(child)];
  },
  'a timeout': async (spawn: Spawn) =>
    transcript(spawn('sleep', ['600'], { timeout: 50, killSignal: 'SIGINT' })),
  'an abort while it runs': async (spawn: Spawn) => {
    const controller = new AbortController();
    const child = sh(spawn, 'echo up; exec sleep 600', { signal: controller.signal });
    const errors: object[] = [];
    child.on('error', (error) => errors.push(errorFacts(error)));
    const seen = transcript(child);
    await ready(child);
    controller.abort('enough');
    // Said within the call, not some time later.
    const atOnce = errors.length;
    return [atOnce, child.killed, await seen, errors, controller.signal.reason];
  },
  'an abort before it runs': async (spawn: Spawn) => {
    const controller = new AbortController();
    const child = spawn('sleep', ['600'], { signal: controller.signal });
    const seen = transcript(child);
    controller.abort();
    return [child.killed, await seen];
  },
  'a signal that was aborted already': async (spawn: Spawn) =>
    transcript(spawn('sleep', ['600'], { signal: AbortSignal.abort(), killSignal: 'SIGKILL' })),
  'an abort after its end': async (spawn: Spawn) => {
    const controller = new AbortController();
    const seen = await transcript(spawn('true', [], { signal: controller.signal }));
    controller.abort();
    return seen;
  },
  'a program that is not there': async (spawn: Spawn) => {
    const child = spawn('no-such-program', ['a', 'b']);
    const errors: object[] = [];
    child.on('error', (error) => errors.push(errorFacts(error)));
    const seen = await transcript(child);
    return [seen, errors, child.exitCode, child.signalCode, child.kill(), child.pid];
  },
  'a cwd that is not there': async (spawn: Spawn) => {
    const child = spawn('true', [], { cwd: '/no-such-directory' });
    const errors: object[] = [];
    child.on('error', (error) => errors.push(errorFacts(error)));
    return [await transcript(child), errors, child.exitCode];
  },
  'a cwd as a URL': async (spawn: Spawn) =>
    transcript(spawn('pwd', [], { cwd: new URL('file:///usr/bin/') })),
  'a file that is no program': async (spawn: Spawn) => {
    const child = spawn('/etc/passwd', []);
    const errors: object[] = [];
    child.on('error', (error) => errors.push(errorFacts(error)));
    return [await transcript(child), errors, child.exitCode];
  },
};

export const streams = {
  'lines in and out, by readline': async (spawn: Spawn) => {
    const child = spawn('sed', ['-u', 's/^/> /']);
    const seen: string[] = [];
    const lines = createInterface({ input: child.stdout as Readable });
    child.stdin?.write('one\n');
    for await (const line of lines) {
      seen.push(line);
      if (seen.length === 3) child.stdin?.end();
      else child.stdin?.write(`after ${line}\n`);
    }
    return seen;
  },
  'lines, by split2': async (spawn: Spawn) => {
    const child = sh(spawn, "printf '%s\\n' '{\"a\":1}' '{\"b\":2}'");
    const rows: unknown[] = [];
    for await (const row of (child.stdout as Readable).pipe(split2(JSON.parse))) rows.push(row);
    return rows;
  },
  'spawn before any data': async (spawn: Spawn) => {
    const all = Array.from({ length: 20 }, () => order(sh(spawn, 'echo at once')));
    return Promise.all(all);
  },
  'text, by setEncoding': async (spawn: Spawn) => {
    const child = sh(spawn, "printf '\\303'; sleep 0.05; printf '\\251'");
    child.stdout?.setEncoding('utf8');
    let text = '';
    child.stdout?.on('data', (chunk: string) => {
      text += chunk;
    });
    await once(child, 'close');
    return text;
  },
  'a pipe from one to another': async (spawn: Spawn) => {
    const from = sh(spawn, 'for i in 3 1 2; do echo $i; done');
    const to = spawn('sort', []);
    from.stdout?.pipe(to.stdin as NonNullable<typeof to.stdin>);
    return transcript(to);
  },
  'stdout of one as stdin of another': async (spawn: Spawn) => {
    const from = sh(spawn, 'head -c 200000 /dev/zero');
    const to = spawn('wc', ['-c'], { stdio: [from.stdout as Readable, 'pipe', 'pipe'] });
    return transcript(to);
  },
  'what it has left running still prints after its exit': async (spawn: Spawn) =>
    transcript(sh(spawn, '(sleep 0.1; echo late) & echo early')),
  'more than a guest reads for now': async (spawn: Spawn) => {
    const child = sh(spawn, 'read go; wc -c');
    const seen = transcript(child);
    const piece = Buffer.alloc(1 << 20);
    child.stdin?.write('go\n');
    const ready: unknown[] = [];
    for (let i = 0; i < 8; i++) ready.push(child.stdin?.write(piece));
    await once(child.stdin as NodeJS.EventEmitter, 'drain');
    child.stdin?.end();
    return [ready, await seen];
  },
  'a guest that does not read its stdin': async (spawn: Spawn) => {
    const child = sh(spawn, 'exec 0<&-; echo shut; read x <&1; exec sleep 600');
    const failed = once(child.stdin as NodeJS.EventEmitter, 'error');
    const seen = transcript(child);
    await ready(child);
    child.stdin?.write('to nobody');
    const [error] = await failed;
    child.kill();
    const { code, errno, syscall } = error as NodeJS.ErrnoException;
    return [{ code, errno, syscall }, (await seen).events];
  },
  'output that nobody reads': async (spawn: Spawn) => {
    const child = sh(spawn, 'echo unread; echo unread >&2; exit 4');
    return once(child, 'close');
  },
  'ignored streams': async (spawn: Spawn) => {
    const child = sh(spawn, 'cat; echo lost; echo lost >&2; exit 5', { stdio: 'ignore' });
    return [child.stdin, child.stdout, child.stderr, child.stdio, (await transcript(child)).events];
  },
  'streams that are not named': async (spawn: Spawn) => {
    const child = sh(spawn, 'cat; echo heard', { stdio: ['ignore', undefined] });
    return [child.stdin, child.stdio.length, await transcript(child)];
  },
  'a file as stdout, by its descriptor': async (spawn: Spawn) => {
    const dir = mkdtempSync(join(tmpdir(), 'ringfort-child-'));
    const file = join(dir, 'out');
    const fd = openSync(file, 'w');
    try {
      const child = sh(spawn, 'echo to the file; echo piped >&2', {
        stdio: ['ignore', fd, 'pipe'],
      });
      closeSync(fd);
      const seen = await transcript(child);
      return [child.stdout, seen, readFileSync(file, 'utf8')];
    } finally {
      rmSync(dir, { recursive: true });
    }
  },
  'the streams of a program that is not there': async (spawn: Spawn) => {
    const child = spawn('no-such-program', []);
    child.on('error', () => {});
    const closed = new Promise((resolve) => {
      child.on('close', (...end) => resolve(end));
    });
    const ended = [getStream(child.stdout as Readable), getStream(child.stderr as Readable)];
    return [await Promise.all(ended), await closed, child.stdin?.destroyed];
  },
};

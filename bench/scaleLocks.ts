import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Network, timeRun } from './scaleBoxes.js';
import { fixed, print } from './scaleTable.js';

const seconds = 6;
/** Of the kernel's locks themselves, not of who wants one. */
const machinery =
  /lock|mutex|rwsem|down_(read|write)|contention|schedule|percpu|perf_|bpf_|trace|rcu_|semaphore|_once/i;
const ours = /^(ringfort|true)/;

/** One line of `perf script`: an event's head, or a frame of its stack. */
interface Event {
  tid: string;
  ns: number;
  name: string;
  frames: string[];
}

function* events(text: string): Generator<Event> {
  for (const block of text.split('\n\n')) {
    const [head = '', ...frames] = block.trim().split('\n');
    const found = /^(.+?)\s+(\d+)\s+([\d.]+):\s+lock:(\w+):/.exec(head);
    if (found === null || !ours.test(found[1] ?? '')) continue;
    const [, , tid = '', time, name = ''] = found;
    const symbols = frames.map((line) => line.trim().split(/\s+/)[1] ?? '');
    yield { tid, ns: Number(time) * 1e9, name, frames: symbols };
  }
}

/** Who wanted the lock: the innermost function that is none of the locks' own. */
function wanter(frames: string[]): string {
  const own = frames.filter((name) => name !== '' && !machinery.test(name));
  const call = own.find((name) => /^(__x64_sys_|__se_sys_|__do_sys_)/.test(name)) ?? own.at(-1);
  const path = call === undefined ? own : own.slice(0, own.indexOf(call) + 1);
  const outer = (call ?? 'unknown').replace(/^__(x64|se|do)_sys_/, '');
  return `${path[0]?.replace(/\..*/, '') ?? 'unknown'} (${outer})`;
}

interface Waited {
  times: number;
  ns: number;
}

function sum(text: string): Map<string, Waited> {
  const waits = new Map<string, Waited>();
  const since = new Map<string, Event>();
  for (const event of events(text)) {
    const begun = since.get(event.tid);
    if (event.name === 'contention_begin') since.set(event.tid, event);
    if (event.name !== 'contention_end' || begun === undefined) continue;
    since.delete(event.tid);
    const key = wanter(begun.frames);
    const waited = waits.get(key) ?? { times: 0, ns: 0 };
    waits.set(key, { times: waited.times + 1, ns: waited.ns + event.ns - begun.ns });
  }
  return waits;
}

async function record(network: Network, file: string): Promise<number> {
  // perf wants tracefs at its place: mounted where only it sees it.
  const script =
    'mountpoint -q /sys/kernel/tracing || mount -t tracefs none /sys/kernel/tracing; exec "$@"';
  const what = ['-e', 'lock:contention_begin', '-e', 'lock:contention_end', '-a', '-g'];
  const perf = ['perf', 'record', '-q', '-o', file, ...what, '--', 'sleep', String(seconds)];
  const own = ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', ...perf];
  const recording = spawn('unshare', own, { stdio: 'ignore' });
  const over = once(recording, 'exit');
  let going = true;
  over.then(() => {
    going = false;
  });
  let launches = 0;
  const worker = async () => {
    while (going) {
      await timeRun(network);
      launches++;
    }
  };
  await Promise.all(Array.from({ length: 64 }, worker));
  return launches;
}

/** Where launches wait for locks of the kernel, 64 in flight, from its contention tracepoints. */
export async function locks(): Promise<void> {
  if (spawnSync('perf', ['--version']).status !== 0) return console.log('\nlocks: perf is absent');
  const directory = mkdtempSync(join(tmpdir(), 'ringfort-locks-'));
  const file = join(directory, 'perf.data');
  try {
    for (const network of ['host', 'none'] as const) {
      const launches = await record(network, file);
      const args = ['script', '-i', file, '-F', 'comm,tid,time,event,ip,sym'];
      const { stdout } = spawnSync('perf', args, { encoding: 'utf8', maxBuffer: 1 << 30 });
      const waits = [...sum(stdout)].toSorted(([, a], [, b]) => b.ns - a.ns).slice(0, 10);
      print(
        `Waits for the kernel’s locks, 64 in flight, ${network === 'none' ? 'own net' : "host's net"} (${launches} launches in ${seconds} s)`,
        ['who waits (system call)', 'times a launch', 'µs a launch'],
        waits.map(([key, { times, ns }]) => [
          key,
          fixed(times / launches, 2),
          fixed(ns / 1000 / launches, 0),
        ]),
      );
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
}

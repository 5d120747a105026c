// One submission: a fresh container, its output as it comes, what it uses meanwhile, and its end.
import { StringDecoder } from 'node:string_decoder';
import { type Container, type ContainerProcess, createContainer, defaultPath } from 'ringfort';

/** Command lines that the code is put behind, as one argument: no shell sees it. */
export const languages: Readonly<Record<string, readonly [string, ...string[]]>> = {
  python: ['python3', '-u', '-c'],
  shell: ['sh', '-c'],
  javascript: ['node', '-e'],
};

/** What one run may have. */
export const limits = {
  memoryBytes: 128 << 20,
  pids: 64,
  cpus: 1,
  /** ms */
  timeout: 20_000,
  outputBytes: 64 << 10,
};

/** What the page is told, one JSON a line. */
export type RunEvent =
  | { type: 'start'; id: string; limits: typeof limits }
  | { type: 'stdout' | 'stderr'; text: string }
  | { type: 'stats'; atMs: number; memoryBytes: number; cpuMs: number }
  | {
      type: 'end';
      reason: string;
      exitCode?: number | null;
      durationMs: number;
      cpuMs?: number;
      peakMemoryBytes?: number | undefined;
      message?: string;
    };

/** Takes an event to the client; resolves when the client is ready for more. */
export type Send = (event: RunEvent) => Promise<void>;

/** Samples while the container lives; nothing where no cgroup counts. */
async function reportUsage(box: Container, since: number, send: Send): Promise<void> {
  for await (const { cpu, memory } of box.stats({ interval: 100 })) {
    if (cpu.usageMs === undefined || memory.currentBytes === undefined) return;
    await send({
      type: 'stats',
      atMs: performance.now() - since,
      memoryBytes: memory.currentBytes,
      cpuMs: cpu.usageMs,
    });
  }
}

/** Hands on what it prints. @returns whether it was all */
async function reportOutput(child: ContainerProcess, send: Send): Promise<boolean> {
  const decoders = { stdout: new StringDecoder(), stderr: new StringDecoder() };
  let left = limits.outputBytes;
  for await (const { kind, data } of child) {
    const text = decoders[kind].write(data.subarray(0, left));
    // The program waits while the client does not read.
    if (text !== '') await send({ type: kind, text });
    left -= data.length;
    if (left < 0) return false;
  }
  return true;
}

/**
 * Runs code that nobody has looked at.
 * @param signal stops it
 */
export async function runCode(
  { language, code }: { language: string; code: string },
  send: Send,
  signal: AbortSignal,
): Promise<void> {
  const since = performance.now();
  const durationMs = () => performance.now() - since;
  const [file, ...args] = languages[language] ?? ['false'];
  try {
    await using box = await createContainer({
      limits: { memory: limits.memoryBytes, pids: limits.pids, cpus: limits.cpus },
      env: { PATH: defaultPath, HOME: '/tmp', LANG: 'C.UTF-8' },
      cwd: '/tmp',
      signal,
    });
    const child = box.spawn(file, [...args, code], {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limits.timeout,
      killSignal: 'SIGKILL',
      signal,
    });
    let failure: Error | undefined;
    child.on('error', (error) => {
      failure = error;
    });
    const closed = new Promise<void>((resolve) => child.on('close', () => resolve()));
    // What it has left in the background ends with it, and with that its output.
    child.on('exit', () => box.kill());
    const reported = reportUsage(box, since, send);
    const complete = await reportOutput(child, send).catch((error) => {
      // Stopped: what it has used is told all the same.
      if (!signal.aborted) throw error;
      return true;
    });
    if (!complete) box.kill();
    const [{ usage }] = await Promise.all([box.wait(), closed, reported]);
    if (child.reason === undefined) throw failure;
    await send({
      type: 'end',
      reason: complete ? child.reason : 'output',
      exitCode: child.exitCode,
      durationMs: durationMs(),
      cpuMs: usage.cpuTimeMs,
      peakMemoryBytes: usage.peakMemoryBytes,
    });
  } catch (error) {
    const { code: name, message } = error as NodeJS.ErrnoException;
    const reason = name === 'ABORT_ERR' ? 'abort' : 'error';
    await send({ type: 'end', reason, durationMs: durationMs(), message: name ?? message });
  }
}

// Checked by tsc, never run: the public types, used right and wrong.
import type { ChildProcess, ChildProcessWithoutNullStreams } from 'node:child_process';
import {
  type Container,
  ContainerError,
  type ContainerOptions,
  createContainer,
  explain,
  type Lease,
  Pool,
  type RunOptions,
  type RunResult,
  run,
  type Snapshot,
  SyscallError,
  snapshotRoot,
} from 'ringfort';
import { type Plan, PlanBuilder, type Step, slot } from 'ringfort/sys';

/** Equal types, or a compile error. */
type Same<A, B> = [A, B] extends [B, A] ? true : never;

export async function results(): Promise<void> {
  const text = await run('true');
  const isText: Same<typeof text, RunResult<string>> = true;
  const bytes = await run('true', [], { encoding: 'buffer' });
  const isBytes: Same<typeof bytes.stdout, Buffer> = true;
  const plan: string = await explain('true', [], { rootfs: { lower: ['/a'] } });
  const peak: number | undefined = text.usage.peakMemoryBytes;
  const built: RunOptions = { timeout: 1000 };
  const either = await run('true', [], built);
  const isEither: Same<typeof either, RunResult<string | Buffer>> = true;
  void [isText, isBytes, isEither, plan, peak];

  // @ts-expect-error misspelt
  await run('true', [], { timout: 1 });
  // @ts-expect-error a string where a number belongs
  await run('true', [], { timeout: '5s' });
  // @ts-expect-error no such limit
  await run('true', [], { limits: { ram: 1 } });
  // @ts-expect-error not a shell line
  await run('ls -l', 'x');
  // @ts-expect-error no such reason
  if (text.reason === 'killed') throw new Error();
}

export async function pooled(): Promise<void> {
  const pool = new Pool({ limits: { pids: 8 } }, { min: 1, max: 2, maxUses: 1 });
  const text = await pool.run('true', [], { limits: { memory: 1 } });
  const isText: Same<typeof text, RunResult<string>> = true;
  const bytes = await pool.run('true', [], { encoding: 'buffer' });
  const isBytes: Same<typeof bytes.stdout, Buffer> = true;
  await using lease: Lease = await pool.acquire({ signal: AbortSignal.abort() });
  const program: ChildProcessWithoutNullStreams = lease.spawn('cat');
  void [isText, isBytes, program];

  // @ts-expect-error what has been used is not used again
  new Pool({}, { maxUses: 2 });
  // @ts-expect-error each has an id of its own
  new Pool({ id: 'one' });
  // @ts-expect-error not of one use
  await pool.run('true', [], { rootfs: 'host' });
}

/** Where all streams are pipes, none of them is null. */
export function piped(box: Container): ChildProcessWithoutNullStreams[] {
  return [
    box.spawn('cat'),
    box.spawn('cat', ['a'], { timeout: 1 }),
    box.spawn('cat', { stdio: 'pipe' }),
    // @ts-expect-error its stdout may be null
    box.spawn('cat', { stdio: 'ignore' }),
    // @ts-expect-error a terminal has no stderr of its own
    box.spawn('cat', [], { pty: { cols: 80, rows: 24 } }),
  ];
}

/** With exactOptionalPropertyTypes, too, a signal may be one that there is not. */
export async function perhapsAborted(box: Container, signal?: AbortSignal): Promise<void> {
  await run('true', [], { signal });
  await createContainer({ signal });
  await box.exec('true', [], { signal });
  box.spawn('true', [], { signal });
  await box.pause({ signal });
  await box.resume({ signal });
  box.stats({ signal });
  box.events({ signal });
  box.logs({ signal });
  await box.copyIn('a', 'b', { signal });
  await box.fs.readFile('a', { signal });
  box.fs.watch('a', { signal });
  const taken = await box.snapshot({ path: 's', signal });
  await box.fork({ path: 'f', signal });
  box.diff({ signal });
  await box.rollback(taken, { signal });
  await new Pool().acquire({ signal });
}

/** The same of every other option; argv may be one that nobody changes. */
export async function perhapsSaid(box: Container, more: { timeout?: number; cwd?: string }) {
  const { timeout, cwd } = more;
  const command: readonly string[] = ['true'];
  const text: RunResult = await run('true', command, { timeout, cwd, encoding: undefined });
  const made = await createContainer({
    command,
    cwd,
    stdio: undefined,
    limits: { memory: undefined },
  });
  const piped: ChildProcessWithoutNullStreams = box.spawn('cat', { cwd, stdio: undefined });
  const result: RunResult = await box.exec('true', command, { timeout, encoding: undefined });
  await box.stop({ timeout, signal: undefined });
  await box.update({ limits: { memory: undefined, pids: 8 } });
  void [text, made, piped, result];
}

/** Whatever takes a ChildProcess takes a program in a container. */
export function spawned(box: Container): ChildProcess[] {
  return [
    box.spawn('cat'),
    box.spawn('cat', { stdio: ['pipe', 'pipe'], windowsHide: true }),
    box.spawn('cat', null, { stdio: 'inherit', cwd: '/', env: {}, signal: AbortSignal.abort() }),
    // @ts-expect-error no channel of that kind
    box.spawn('cat', [], { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] }),
    // @ts-expect-error never a shell
    box.spawn('cat', [], { shell: true }),
  ];
}

export const options: ContainerOptions[] = [
  { rootfs: 'host', limits: 'none' },
  { rootfs: '/srv/root', readonly: false, mounts: ['./a:/b:ro'] },
  { namespaces: { net: { pid: 1 }, ipc: 'host', uts: { path: '/run/ns' } } },
  { capabilities: 'image' },
  { capabilities: { ambient: ['CAP_NET_BIND_SERVICE'] } },
  // @ts-expect-error neither a choice nor a path
  { namespaces: { net: 'mine' } },
];

export function steps(): Plan {
  const builder = new PlanBuilder([0, 1, 2]);
  builder.add('child', { op: 'mkdir', dir: slot.home, path: 'a', mode: 0o755, existOk: 0 });
  // @ts-expect-error an argument is missing
  const missing: Step = { op: 'mkdir', dir: slot.home, path: 'a', mode: 0o755 };
  // @ts-expect-error no such step
  const unknown: Step = { op: 'format', path: '/' };
  void [missing, unknown];
  return builder.build();
}

export function errors(error: unknown): string | undefined {
  if (error instanceof SyscallError) return error.path ?? error.syscall;
  if (!(error instanceof ContainerError)) return undefined;
  const facts: (string | number | undefined)[] = [error.phase, error.step, error.errno, error.path];
  void facts;
  return error.code;
}

export async function snapshots(box: Container): Promise<void> {
  const taken: Snapshot = await box.snapshot({ path: 's' });
  const options: ContainerOptions = { rootfs: snapshotRoot(taken, { upper: 'u', work: 'w' }) };
  const forked: Container = await box.fork({ path: 'f', labels: { a: 'b' } });
  for await (const { kind, path } of forked.diff()) void `${kind} ${path}`;
  // @ts-expect-error its root is a copy
  await box.fork({ path: 'f', rootfs: 'host' });
  // @ts-expect-error both or neither
  snapshotRoot(taken, { upper: 'u' });
  void options;
}

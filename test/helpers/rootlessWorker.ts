// What works for an ordinary user. Argument: `none` where no cgroup is delegated, else
// `own`. Prints a line of JSON: by what was tried, `'ok'` or the code of an error of ours, with `hint`
// where it says what to do.
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { currentCgroups } from '../../lib/cgroups/index.js';
import {
  Container,
  ContainerError,
  createContainer,
  moveToLeafCgroup,
  run,
} from '../../lib/index.js';
import { until } from './launches.js';
import { say } from './useLauncher.js';

const own = process.argv[2] === 'own';
if (own && currentCgroups().mode === 'v2') moveToLeafCgroup();
const limits = own ? { memory: '64MiB', pids: 32 } : ('none' as const);
const said: Record<string, string> = {};

async function attempt(what: string, body: () => Promise<boolean>): Promise<void> {
  try {
    said[what] = (await body()) ? 'ok' : 'wrong';
  } catch (error) {
    if (!(error instanceof ContainerError)) throw error;
    said[what] = `${error.code}${error.hint === undefined ? '' : ' hint'}`;
  }
}

const directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
const kept = join(directory, 'kept');
const lower = join(directory, 'lower');
for (const path of [kept, lower]) mkdirSync(path);
for (const name of ['usr', 'proc', 'sys', 'dev', 'tmp', 'etc']) mkdirSync(join(lower, name));
for (const name of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(lower, name));
writeFileSync(join(directory, 'in'), 'text');

await attempt('default limits', async () => (await run('true')).exitCode === 0);
const box = await createContainer({ limits });
const echo = { exitCode: 0, stdout: 'x\n' };
const matches = (found: object) =>
  Object.entries(echo).every(([key, value]) => (found as Record<string, unknown>)[key] === value);
await attempt('exec', async () => matches(await box.exec('echo', ['x'])));
await attempt('terminal', async () => {
  const program = box.spawn('tty', [], { pty: { cols: 80, rows: 24 } });
  let text = '';
  for await (const chunk of program.stdout ?? []) text += chunk;
  return text.includes('/dev/pts/');
});
await attempt('files', async () => {
  await box.fs.writeFile('/tmp/x', 'text');
  return (await box.fs.readFile('/tmp/x', 'utf8')) === 'text';
});
await attempt('watch', async () => {
  const events = box.fs.watch('/tmp');
  let seen = false;
  const first = events.next().finally(() => {
    seen = true;
  });
  while (!seen) await box.exec('touch', ['/tmp/watched']);
  await events.return();
  return (await first).value?.filename === 'watched';
});
await attempt('events', async () => {
  await using events = box.events();
  const next = events.next();
  await box.exec('true');
  return (await next).value?.type === 'exec';
});
await attempt('copyIn, copyOut', async () => {
  await box.copyIn(join(directory, 'in'), '/tmp/in');
  await box.copyOut('/tmp/in', join(directory, 'out'));
  return readFileSync(join(directory, 'out'), 'utf8') === 'text';
});
await attempt(
  'another user',
  async () => (await box.exec('true', [], { uid: 1000 })).exitCode === 0,
);
await attempt('limits of a program', async () => {
  return (await box.exec('true', [], { limits: { pids: 5 } })).exitCode === 0;
});
await attempt('update', async () => {
  await box.update({ limits: { memory: '32MiB' } });
  return true;
});
await attempt('pause', async () => {
  await box.pause();
  await box.resume();
  return true;
});
await attempt('end of a tree', async () => {
  const program = box.spawn('sh', ['-c', 'setsid sleep 600 >/dev/null & echo up; exec sleep 600'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  await once(program.stdout ?? program, 'data');
  const closed = once(program, 'close');
  program.killTree();
  await closed;
  const sleeps = async () =>
    (await box.exec('sh', ['-c', 'cat /proc/[0-9]*/comm'])).stdout.includes('sleep');
  // Without a cgroup it is the program alone.
  if (!own) return sleeps();
  await until(async () => !(await sleeps()));
  return true;
});
await attempt('stats', async () => {
  const { value } = await box.stats().next();
  return (value?.pids.current !== undefined) === own;
});
await box[Symbol.asyncDispose]();

await attempt('joining program', async () => {
  await using started = await createContainer({ limits, command: ['sleep', '600'] });
  return matches(await started.exec('echo', ['x']));
});
await attempt('detached', async () => {
  const { id } = await createContainer({ limits, detached: true });
  const opened = await Container.open(id);
  const good = matches(await opened.exec('echo', ['x']));
  const { id: reader } = await createContainer({
    limits,
    detached: true,
    stdio: 'pipe',
    command: ['sh', '-c', 'read x; echo "<$x>"'],
  });
  const command = await Container.open(reader);
  const { stdin } = await command.attach({ stdin: true });
  stdin?.write('word\n');
  await command.wait();
  let text = '';
  for await (const { data } of command.logs()) text += data;
  await command.remove();
  if (text !== '<word>\n') return false;
  await Container.remove(id, { force: true });
  return good && !(await Container.list({ all: true })).some((each) => each.id === id);
});
await attempt('changes of a kept layer', async () => {
  const rootfs = { lower: [lower], upper: join(kept, 'upper'), work: join(kept, 'work') };
  for (const path of [rootfs.upper, rootfs.work]) mkdirSync(path);
  const layered = await createContainer({ limits, rootfs, mounts: ['/usr:/usr:ro'] });
  await layered.exec('sh', ['-c', 'echo x > /tmp/x']);
  await layered[Symbol.asyncDispose]();
  const paths: string[] = [];
  for await (const { path } of layered.diff()) paths.push(path);
  const taken = await layered.snapshot({ path: join(kept, 'taken') });
  await using forked = await layered.fork({ path: join(kept, 'forked') });
  const inFork = (await forked.shell('cat /tmp/x; rm /tmp/x')).stdout;
  await using again = await layered.rollback(taken);
  return paths.includes('/tmp/x') && inFork + (await again.shell('cat /tmp/x')).stdout === 'x\nx\n';
});
await attempt('snapshot while it runs', async () => {
  const rootfs = { lower: [lower], upper: join(kept, 'upper2'), work: join(kept, 'work2') };
  for (const path of [rootfs.upper, rootfs.work]) mkdirSync(path);
  await using layered = await createContainer({ limits, rootfs, mounts: ['/usr:/usr:ro'] });
  await layered.exec('sh', ['-c', 'echo x > /tmp/x']);
  const { path } = await layered.snapshot({ path: join(kept, 'taken2') });
  return path === join(kept, 'taken2');
});
rmSync(directory, { recursive: true, force: true });
say(said);
process.exit(0);

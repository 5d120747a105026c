import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pss } from './scaleProc.js';

const count = 20;
// crun refuses to run where cgroups are hybrid.
const runtime = 'runc';

function called(file: string, args: string[], cwd?: string): string | undefined {
  const { status, stderr, error } = spawnSync(file, args, {
    cwd,
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  return status === 0 ? undefined : `${file}: ${error?.message ?? stderr.trim()}`;
}

/** A bundle of `sleep` on the host's /usr. */
function bundle(directory: string): void {
  for (const name of ['usr', 'proc', 'sys', 'dev', 'etc', 'tmp'])
    mkdirSync(join(directory, 'rootfs', name), { recursive: true });
  for (const name of ['bin', 'lib', 'lib64'])
    symlinkSync(readlinkSync(`/${name}`), join(directory, 'rootfs', name));
  const failed = called(runtime, ['spec'], directory);
  if (failed !== undefined) throw new Error(failed);
  const file = join(directory, 'config.json');
  const spec = JSON.parse(readFileSync(file, 'utf8'));
  spec.process.terminal = false;
  spec.process.args = ['/usr/bin/sleep', '600'];
  const options = ['rbind', 'ro'];
  spec.mounts.push({ destination: '/usr', type: 'bind', source: '/usr', options });
  writeFileSync(file, JSON.stringify(spec));
}

/** Starts one, as podman does, and says the pid of its conmon. */
async function start(directory: string, id: string): Promise<number> {
  const at = (name: string) => join(directory, name);
  const names = ['--cid', id, '--cuuid', id, '--name', id];
  const places = ['--bundle', directory, '--persist-dir', directory, '--exit-dir', directory];
  const files = ['--conmon-pidfile', at(`${id}.conmon`), '--container-pidfile', at(`${id}.pid`)];
  const log = ['--log-path', `k8s-file:${at(`${id}.log`)}`, '--socket-dir-path', directory];
  const program = ['/usr/bin/runc', '/usr/sbin/runc'].find(existsSync) ?? runtime;
  let failed = called('conmon', [...names, '--runtime', program, ...places, ...files, ...log]);
  // It has gone into the background, where it creates the container.
  for (let looks = 0; looks < 50 && !existsSync(at(`${id}.pid`)); looks++) await sleep(100);
  failed ??= called(runtime, ['start', id]);
  if (failed !== undefined) throw new Error(failed);
  return Number(readFileSync(at(`${id}.conmon`), 'utf8'));
}

/** Mean memory of one of many conmons, each with a container that runs, KiB; or why not. */
export async function conmonPss(): Promise<number | string> {
  const directory = mkdtempSync(join(tmpdir(), 'ringfort-conmon-'));
  const ids = Array.from({ length: count }, (_, i) => `ringfort-scale-${process.pid}-${i}`);
  try {
    bundle(directory);
    const pids: number[] = [];
    for (const id of ids) pids.push(await start(directory, id));
    return pids.reduce((sum, pid) => sum + pss(pid), 0) / count;
  } catch (error) {
    return (error as Error).message.split('\n')[0] ?? 'absent';
  } finally {
    for (const id of ids) called(runtime, ['delete', '--force', id]);
    rmSync(directory, { recursive: true, maxRetries: 20 });
  }
}

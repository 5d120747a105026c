import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** A root file system that shows the host's /usr once it is bound: directories and links. */
export function makeRoot(directory: string): string {
  const root = join(directory, 'rootfs');
  for (const name of ['usr', 'proc', 'sys', 'dev', 'etc', 'tmp', 'run'])
    mkdirSync(join(root, name), { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64'])
    if (existsSync(`/${name}`)) symlinkSync(readlinkSync(`/${name}`), join(root, name));
  return root;
}

/**
 * An OCI bundle of `true`: what `runc spec` writes, with the host's /usr and the limits that our
 * default has.
 */
export function makeBundle(directory: string, runtime: string, cgroup: string): string {
  makeRoot(directory);
  const { status, stderr } = spawnSync(runtime, ['spec'], { cwd: directory, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${runtime} spec: ${stderr.trim()}`);
  const file = join(directory, 'config.json');
  const spec = JSON.parse(readFileSync(file, 'utf8'));
  spec.process.terminal = false;
  spec.process.args = ['/usr/bin/true'];
  spec.linux.cgroupsPath = cgroup;
  spec.linux.resources = {
    ...spec.linux.resources,
    memory: { limit: 512 << 20 },
    pids: { limit: 256 },
  };
  const options = ['rbind', 'ro'];
  spec.mounts.push({ destination: '/usr', type: 'bind', source: '/usr', options });
  writeFileSync(file, JSON.stringify(spec));
  return directory;
}

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeBundle, makeRoot } from './bundle.js';
import { DockerDaemon } from './docker.js';
import { Elsewhere } from './elsewhere.js';
import { plainSpawn } from './plain.js';
import type { Row } from './rounds.js';

/** The command, another one each time where it must. */
type Command = () => [string, ...string[]];
type Prepared = Command | { command: Command; close(): Promise<void> };

/** What somebody would use instead, as a command that runs `true`. */
interface Peer {
  name: string;
  /** Makes what it needs below the directory. */
  prepare(directory: string): Prepared | Promise<Prepared>;
  /** It is to be spawned where a hybrid host's cgroup v2 is not. */
  v1Only?: true;
}

let count = 0;
/** A name that nothing else has: peers keep containers by name. */
const fresh = () => `ringfort-bench-${process.pid}-${count++}`;

function bwrap(): Command {
  const links = ['bin', 'lib', 'lib64'].flatMap((name) => ['--symlink', `usr/${name}`, `/${name}`]);
  const mounts = ['--ro-bind', '/usr', '/usr', ...links, '--proc', '/proc', '--dev', '/dev'];
  return () => ['bwrap', '--unshare-all', '--die-with-parent', ...mounts, '/usr/bin/true'];
}

function oci(runtime: string, directory: string): Command {
  const bundle = makeBundle(directory, runtime, `/ringfort-bench-${process.pid}-${runtime}`);
  const root = join(directory, 'state');
  return () => [runtime, '--root', root, 'run', '--bundle', bundle, fresh()];
}

function podman(directory: string): Command {
  const root = makeRoot(directory);
  const storage = ['--root', join(directory, 'storage'), '--runroot', join(directory, 'run')];
  const drivers = ['--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs', '--runtime', 'runc'];
  const limits = [
    '--memory',
    '512m',
    '--pids-limit',
    '256',
    '--ulimit',
    'nofile=1024:1024',
    '--ulimit',
    'nproc=1024:1024',
  ];
  const run = [
    'run',
    '--rm',
    '--network',
    'none',
    '--log-driver',
    'none',
    ...limits,
    '-v',
    '/usr:/usr:ro',
  ];
  return () => ['podman', ...storage, ...drivers, ...run, '--rootfs', root, '/usr/bin/true'];
}

async function docker(directory: string): Promise<Prepared> {
  const daemon = await DockerDaemon.start(directory);
  const command: Command = () => daemon.command(['--rm'], ['/usr/bin/true']);
  return { command, close: () => daemon.close() };
}

function lxc(directory: string): Command {
  const file = join(directory, 'config');
  const lines = [
    `lxc.rootfs.path = dir:${makeRoot(directory)}`,
    'lxc.mount.auto = proc:mixed sys:ro',
    'lxc.mount.entry = /usr usr none rbind,ro 0 0',
    'lxc.net.0.type = empty',
    'lxc.uts.name = bench',
  ];
  writeFileSync(file, `${lines.join('\n')}\n`);
  return () => ['lxc-execute', '-n', fresh(), '-P', directory, '-f', file, '--', '/usr/bin/true'];
}

const peers: readonly Peer[] = [
  { name: 'bwrap', prepare: bwrap },
  { name: 'crun run', prepare: (directory) => oci('crun', directory), v1Only: true },
  { name: 'runc run', prepare: (directory) => oci('runc', directory) },
  { name: 'lxc-execute', prepare: lxc },
  { name: 'podman run', prepare: podman },
  { name: 'docker run', prepare: docker },
];

/** The peers that work here as rows of cold runs, and why the others do not. */
export interface Peers {
  rows: Row[];
  absent: string[];
  /** Removes what was made for them. */
  close(): Promise<void>;
}

const lastLine = (text: string) => text.trim().split('\n').at(-1);

/** Prepares all peers and tries each once. */
export async function preparePeers(): Promise<Peers> {
  const base = mkdtempSync(join(tmpdir(), 'ringfort-peers-'));
  const rows: Row[] = [];
  const absent: string[] = [];
  const closes: (() => Promise<void>)[] = [];
  const hybrid = existsSync('/sys/fs/cgroup/unified') && process.getuid?.() === 0;
  const elsewhere = hybrid ? new Elsewhere() : undefined;
  for (const { name, prepare, v1Only } of peers) {
    const directory = join(base, name.replace(' ', '-'));
    mkdirSync(directory);
    try {
      const prepared = await prepare(directory);
      const command = typeof prepared === 'function' ? prepared : prepared.command;
      if (typeof prepared !== 'function') closes.push(prepared.close);
      const other = v1Only ? elsewhere : undefined;
      const run = () => {
        const [file, ...args] = command();
        return other?.spawn([file, ...args]) ?? plainSpawn(file, args);
      };
      await run();
      rows.push({ name, run });
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      absent.push(`${name} (${code === 'ENOENT' ? 'not installed' : lastLine(message)})`);
    }
  }
  const close = async () => {
    elsewhere?.close();
    try {
      for (const each of closes) await each();
    } finally {
      rmSync(base, { recursive: true, force: true });
    }
  };
  return { rows, absent, close };
}

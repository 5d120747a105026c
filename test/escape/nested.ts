import { readFileSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RunOptions } from '../../lib/options.js';
import { run } from '../../lib/run.js';
import { defaultPath } from '../../lib/spec/defaults.js';
import type { SpecMount } from '../../lib/spec/types.js';
import { cgroups, memoryIdmaps } from '../helpers/requirements.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const main = fileURLToPath(new URL('main.js', import.meta.url));

/** Whatever makes containers: the rights that a host's root has over its own. */
const powers = [
  ...['CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID'],
  ...[
    'SETPCAP',
    'NET_ADMIN',
    'NET_RAW',
    'NET_BIND_SERVICE',
    'SYS_CHROOT',
    'SYS_PTRACE',
    'SYS_ADMIN',
  ],
  ...['SYS_BOOT', 'MKNOD', 'SETFCAP'],
].map((name) => `CAP_${name}`);

function bind(path: string): SpecMount {
  return { destination: path, type: 'bind', source: path, options: ['rbind', 'ro', 'dangerous'] };
}

/** Limits that this process has, so that those of the containers inside are the ones that bite. */
function rlimits(): Record<string, [number, number]> {
  const names = { msgqueue: 'MSGQUEUE', pending: 'SIGPENDING', locked: 'MEMLOCK', core: 'CORE' };
  const text = readFileSync('/proc/self/limits', 'utf8');
  const found = Object.entries(names).map(([word, name]) => {
    const line = new RegExp(`^Max ${word}.*? (\\d+|unlimited) +(\\d+|unlimited)`, 'm').exec(text);
    const value = line?.[2] === 'unlimited' ? Number.POSITIVE_INFINITY : Number(line?.[2] ?? 0);
    return [`RLIMIT_${name}`, [value, value] as [number, number]];
  });
  return Object.fromEntries(found);
}

/** Three ranges of 65,536 ids: one for those inside, two for what they give to containers. */
function maps(): Pick<RunOptions, 'uidMappings' | 'gidMappings'> {
  const map = [{ containerID: 0, hostID: 1 << 29, size: 3 * 65_536 }];
  return { uidMappings: map, gidMappings: map };
}

/** Whether the host's /usr, which root's containers see through an overlay, is one already. */
function usrIsOverlay(): boolean {
  return statfsSync('/usr').type === 0x794c7630;
}

/**
 * The corpus inside a container of ours that has given up what stands in the way of making others:
 * filter, Landlock, masks. For root as its root, where tmpfs can be idmapped and there is room for two
 * more overlays (the kernel stacks two); else as an ordinary user in it.
 */
const node = dirname(dirname(process.execPath));
const asRoot = process.getuid?.() === 0 && memoryIdmaps.check() === undefined && !usrIsOverlay();
const base = { limits: 'none', ...(asRoot && { idPool: { hostID: 65_536, size: 131_072 } }) };
const { stdout, stderr, exitCode, reason } = await run(
  process.execPath,
  [main, ...process.argv.slice(2)],
  {
    ...(asRoot && { ...maps(), capabilities: powers }),
    mounts: [
      bind(root),
      ...(node.startsWith('/usr/') ? [] : [bind(node)]),
      { destination: '/scratch', type: 'tmpfs', options: ['mode=1777', 'size=512m'] },
    ],
    rlimits: rlimits(),
    env: {
      PATH: defaultPath,
      TMPDIR: '/scratch',
      XDG_RUNTIME_DIR: '/scratch',
      RINGFORT_ESCAPE_BASE: JSON.stringify(base),
    },
    seccomp: 'unconfined',
    landlock: 'off',
    maskedPaths: [],
    readonlyPaths: [],
    limits: cgroups.check() === undefined ? { memory: '1GiB', pids: 2000 } : 'none',
    ...(!asRoot && { uid: 1000, gid: 1000 }),
  },
);
process.stdout.write(stdout);
process.stderr.write(stderr);
if (reason !== 'exit') console.error(reason);
process.exitCode = exitCode ?? 1;

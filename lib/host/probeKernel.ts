import { spawnSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { arch } from 'node:os';
import { atLeast, kernelFloor, parseKernel } from '../kernelVersion.js';
import {
  AT_EMPTY_PATH,
  AT_FDCWD,
  close,
  FsConfig,
  fsconfig,
  fsmount,
  fsopen,
  landlockAbi,
  MemfdFlags,
  memfdCreate,
  mountSetattr,
  OpenFlags,
  openat2,
  pidfdOpen,
  pidfdSendSignal,
  Resolve,
} from '../sys/index.js';
import type { ProbeItem } from './probe.js';
import { attempt, type Finding } from './probeItem.js';

/** Landlock ABI that has every right ringfort uses: scopes for signals and abstract sockets. */
const wholeLandlock = 6;

const newer = `Linux ${kernelFloor.join('.')} or newer is needed`;

/** What the kernel itself has, tried from this process by calls that leave nothing behind. */
export function probeKernel(release: string): ProbeItem[] {
  return [
    attempt('kernel', 'kernel', undefined, () => kernelVersion(release)),
    attempt('mount-api', 'mount API', newer, mountApi),
    attempt('openat2', 'openat2', newer, inRoot),
    attempt('pidfd', 'pidfd', newer, pidfd),
    attempt('memfd-exec', 'memfd exec', 'set vm.memfd_noexec to 0 or 1', memfdExec),
    attempt('seccomp', 'seccomp', 'boot a kernel with CONFIG_SECCOMP_FILTER', seccomp),
    attempt('landlock', 'Landlock', undefined, landlock),
  ];
}

/** The version against the floor, of a release such as `6.18.44-generic`. */
export function kernelVersion(release: string): Finding {
  const detail = `${release} (${arch()})`;
  return atLeast(parseKernel(release), kernelFloor)
    ? { detail }
    : { status: 'missing', detail, mend: newer };
}

function mountApi(): Finding {
  try {
    const context = fsopen('tmpfs');
    try {
      fsconfig(context, FsConfig.FSCONFIG_CMD_CREATE);
      close(fsmount(context));
    } finally {
      close(context);
    }
    // with nothing to change this only asks whether the call is there
    mountSetattr(AT_FDCWD, '', AT_EMPTY_PATH, {});
    return { detail: 'a detached tmpfs was made' };
  } catch (error) {
    // an ordinary user may make one in a user namespace only, which the container probe does
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') throw error;
    return { detail: 'there, for use in a user namespace' };
  }
}

function inRoot(): Finding {
  const resolve = Resolve.RESOLVE_IN_ROOT | Resolve.RESOLVE_NO_MAGICLINKS;
  close(openat2(AT_FDCWD, '/', { flags: OpenFlags.O_PATH, resolve }));
  return { detail: 'paths are resolved within a root' };
}

function pidfd(): Finding {
  const fd = pidfdOpen(process.pid);
  try {
    pidfdSendSignal(fd, 0);
  } finally {
    close(fd);
  }
  return { detail: 'processes are held by descriptor' };
}

/** Executes a two-line script out of a memfd, as the launcher is started. */
function memfdExec(): Finding {
  const writable = memfdCreate('ringfort-probe', MemfdFlags.MFD_EXEC);
  let readable: number;
  try {
    writeSync(writable, '#!/bin/sh\nexit 7\n');
    readable = openSync(`/proc/self/fd/${writable}`, 'r');
  } finally {
    close(writable); // a file that is open for writing does not execute: ETXTBSY
  }
  try {
    const { error, status } = spawnSync(`/proc/${process.pid}/fd/${readable}`, {
      stdio: 'ignore',
      env: {},
      timeout: 10_000,
    });
    if (error !== undefined) throw error;
    if (status !== 7) throw new Error(`a script in a memfd ended with ${status}, expected 7`);
  } finally {
    closeSync(readable);
  }
  return { detail: 'programs run from memory' };
}

function seccomp(): Finding {
  const actions = readFileSync('/proc/sys/kernel/seccomp/actions_avail', 'utf8').trim().split(' ');
  const lacking = ['kill_process', 'errno', 'allow'].filter((action) => !actions.includes(action));
  if (lacking.length > 0) return { status: 'missing', detail: `no action ${lacking.join(', ')}` };
  return { detail: actions.join(' ') };
}

function landlock(): Finding {
  const abi = landlockAbi();
  if (abi === 0) {
    return {
      status: 'missing',
      detail: 'not in this kernel or not switched on; the other walls stand without it',
      mend: 'boot with landlock in the lsm= list (CONFIG_SECURITY_LANDLOCK)',
    };
  }
  if (abi >= wholeLandlock) return { detail: `ABI ${abi}` };
  return { status: 'limited', detail: `ABI ${abi}: no scopes for signals and abstract sockets` };
}

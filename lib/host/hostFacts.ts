import { readFileSync, statSync } from 'node:fs';
import { release } from 'node:os';
import { UnsupportedError } from '../errors.js';
import { atLeast, type KernelVersion, kernelFloor, parseKernel } from '../kernelVersion.js';
import { landlockAbi } from '../sys/privileges.js';
import { isPrivileged } from './probeUser.js';

/** What does not change while this process lives. */
export interface HostFacts {
  kernel: KernelVersion;
  arch: 'x64' | 'arm64';
  /** The launcher may mount and map ids on the host itself. */
  privileged: boolean;
  landlockAbi: number;
  lsms: readonly string[];
  hardLimits: Readonly<Record<string, number>>;
  /** The host pipes core files to a program (core(5)). */
  coreHandler: boolean;
  /** inotify can be bounded for one user namespace. */
  inotifyLimits: boolean;
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const limitNames: readonly (readonly [string, string])[] = [
  ['Max cpu time', 'RLIMIT_CPU'],
  ['Max file size', 'RLIMIT_FSIZE'],
  ['Max data size', 'RLIMIT_DATA'],
  ['Max stack size', 'RLIMIT_STACK'],
  ['Max core file size', 'RLIMIT_CORE'],
  ['Max resident set', 'RLIMIT_RSS'],
  ['Max processes', 'RLIMIT_NPROC'],
  ['Max open files', 'RLIMIT_NOFILE'],
  ['Max locked memory', 'RLIMIT_MEMLOCK'],
  ['Max address space', 'RLIMIT_AS'],
  ['Max file locks', 'RLIMIT_LOCKS'],
  ['Max pending signals', 'RLIMIT_SIGPENDING'],
  ['Max msgqueue size', 'RLIMIT_MSGQUEUE'],
  ['Max nice priority', 'RLIMIT_NICE'],
  ['Max realtime priority', 'RLIMIT_RTPRIO'],
  ['Max realtime timeout', 'RLIMIT_RTTIME'],
];

/** Hard limits by OCI name, from the text of /proc/self/limits (proc_pid_limits(5)). */
function parseHardLimits(text: string): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const [title, name] of limitNames) {
    const line = text.split('\n').find((each) => each.startsWith(title));
    const hard = line?.slice(title.length).trim().split(/\s+/)[1];
    if (hard !== undefined)
      limits[name] = hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
  }
  return limits;
}

let known: HostFacts | undefined;

/**
 * This kernel, architecture and user.
 * @throws UnsupportedError `ERR_UNSUPPORTED_KERNEL` below Linux 5.14, `ERR_UNSUPPORTED_PLATFORM`
 * on another architecture than x86_64 and aarch64
 */
export function hostFacts(): HostFacts {
  if (known !== undefined) return known;
  const kernel = parseKernel(release());
  const { arch } = process;
  if (arch !== 'x64' && arch !== 'arm64') {
    throw new UnsupportedError(
      'ERR_UNSUPPORTED_PLATFORM',
      `ringfort needs x86_64 or aarch64, this is ${arch}`,
    );
  }
  if (!atLeast(kernel, kernelFloor)) {
    throw new UnsupportedError(
      'ERR_UNSUPPORTED_KERNEL',
      `ringfort needs Linux ${kernelFloor.join('.')} or newer, this is ${release()}`,
    );
  }
  known = {
    kernel,
    arch,
    privileged: isPrivileged(),
    landlockAbi: landlockAbi(),
    lsms: hostLsms(),
    hardLimits: parseHardLimits(read('/proc/self/limits')),
    coreHandler: read('/proc/sys/kernel/core_pattern').startsWith('|'),
    inotifyLimits: exists('/proc/sys/user/max_inotify_instances'),
  };
  return known;
}

function hostLsms(): string[] {
  const listed = read('/sys/kernel/security/lsm').trim();
  if (listed !== '') return listed.split(',');
  // securityfs is often not mounted in containers: other files of an LSM tell as well.
  return [
    ...(exists('/proc/self/attr/apparmor') ? ['apparmor'] : []),
    ...(exists('/sys/fs/selinux/enforce') ? ['selinux'] : []),
  ];
}

function exists(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

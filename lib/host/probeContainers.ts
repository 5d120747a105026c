import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ContainerError } from '../errors.js';
import type { RunOptions } from '../options.js';
import type { ProbeItem, ProbeRunner } from './probe.js';
import { type Finding, failure } from './probeItem.js';
import { readText } from './probeUser.js';

/** For a container that has nothing to do but to start. */
const quick: RunOptions = { timeout: 10_000, limits: 'none' };

/** What throw-away containers show: namespaces, mounts, walls and limits. */
export async function probeContainers(
  runner: ProbeRunner,
  privileged: boolean,
): Promise<ProbeItem[]> {
  const status = await attemptRun('container', 'container', () => plain(runner, privileged));
  const more = [
    ['limits', 'limits', () => started(runner, { timeout: 10_000 }, 'the default limits hold')],
    ['overlay', 'overlay root', () => overlay(runner)],
    ['bind', 'shared directory', () => bind(runner, privileged)],
    ['time', 'time namespace', () => timeNamespace(runner)],
  ] as const;
  const items = [status];
  for (const [id, title, find] of more) {
    items.push(
      status.status === 'missing'
        ? { id, title, status: 'missing', detail: 'not tried: no container starts' }
        : await attemptRun(id, title, find),
    );
  }
  return items;
}

async function attemptRun(
  id: string,
  title: string,
  find: () => Promise<Finding>,
): Promise<ProbeItem> {
  try {
    return { id, title, status: 'ok', ...(await find()) };
  } catch (error) {
    return { id, title, ...failure(error) };
  }
}

/** A container with all default walls; it shows its own /proc, and so that they stand. */
async function plain(runner: ProbeRunner, privileged: boolean): Promise<Finding> {
  let text: string;
  try {
    text = await output(runner, 'cat', ['/proc/self/status'], quick);
  } catch (error) {
    const mend = whyNoNamespaces(privileged, restrictions());
    return { ...failure(error), ...(mend === undefined ? {} : { mend }) };
  }
  const fallen = fallenWalls(text);
  if (fallen.length === 0) return { detail: 'own namespaces, no capabilities, seccomp filter' };
  return { status: 'missing', detail: `ran, but without: ${fallen.join(', ')}` };
}

/** Walls that do not stand, by the text of /proc/self/status from inside. */
export function fallenWalls(status: string): string[] {
  const walls = [
    ['no_new_privs', /^NoNewPrivs:\t1$/m],
    ['seccomp', /^Seccomp:\t2$/m],
    ['empty capabilities', /^CapEff:\t0+$/m],
    ['empty bounding set', /^CapBnd:\t0+$/m],
  ] as const;
  return walls.filter(([, line]) => !line.test(status)).map(([name]) => name);
}

/** Settings that keep ordinary users from user namespaces; only read to explain a failure. */
export interface Restrictions {
  /** kernel.apparmor_restrict_unprivileged_userns: clone works, mounts then fail. */
  apparmor: string | undefined;
  /** kernel.unprivileged_userns_clone of Debian's kernels. */
  clone: string | undefined;
  /** user.max_user_namespaces */
  most: string | undefined;
}

function restrictions(): Restrictions {
  return {
    apparmor: readText('/proc/sys/kernel/apparmor_restrict_unprivileged_userns'),
    clone: readText('/proc/sys/kernel/unprivileged_userns_clone'),
    most: readText('/proc/sys/user/max_user_namespaces'),
  };
}

/** What to do when no container starts, as far as a setting explains it. */
export function whyNoNamespaces(privileged: boolean, found: Restrictions): string | undefined {
  if (found.most === '0') return 'as root: sysctl -w user.max_user_namespaces=15000';
  if (privileged) return undefined;
  if (found.clone === '0') return 'as root: sysctl -w kernel.unprivileged_userns_clone=1';
  if (found.apparmor === '1') {
    return (
      'AppArmor restricts user namespaces: give node or the launcher a profile that allows userns, ' +
      'or as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0'
    );
  }
  return undefined;
}

async function overlay(runner: ProbeRunner): Promise<Finding> {
  try {
    return await started(
      runner,
      { ...quick, rootfs: { lower: ['/usr'] } },
      'layers can be stacked',
    );
  } catch (error) {
    // where /usr alone is not a system nothing in it executes, but then the overlay stood
    if ((error as ContainerError).phase !== 'exec') throw error;
    return { detail: 'layers can be stacked' };
  }
}

/** A private file of this user, read through a bind: its owner must look right inside. */
async function bind(runner: ProbeRunner, privileged: boolean): Promise<Finding> {
  const directory = mkdtempSync(join(tmpdir(), 'ringfort-probe-'));
  try {
    writeFileSync(join(directory, 'file'), 'seen', { mode: 0o600 });
    const options = { ...quick, mounts: [`${directory}:/mnt:ro`] };
    const seen = await output(runner, 'cat', ['/mnt/file'], options);
    if (seen !== 'seen') throw new Error('a file in it could not be read');
  } finally {
    rmSync(directory, { recursive: true });
  }
  return { detail: privileged ? 'owners look right (idmapped mount)' : 'owners look right' };
}

async function timeNamespace(runner: ProbeRunner): Promise<Finding> {
  const options: RunOptions = { ...quick, namespaces: { time: 'new' } };
  return started(runner, options, 'clocks can be shifted');
}

async function started(runner: ProbeRunner, options: RunOptions, detail: string): Promise<Finding> {
  await output(runner, 'true', [], options);
  return { detail };
}

async function output(
  runner: ProbeRunner,
  file: string,
  args: string[],
  options: RunOptions,
): Promise<string> {
  const { exitCode, stdout } = await runner.run(file, args, options);
  if (exitCode !== 0) throw new Error(`${[file, ...args].join(' ')} ended with ${exitCode}`);
  return stdout.toString();
}

import { mkdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { type CgroupHost, detectCgroups } from '../cgroups/detect.js';
import { controllersToEnable, unifiedParent, v1Parent } from '../cgroups/place.js';
import { capabilityNames } from '../spec/names.js';
import { capget } from '../sys/index.js';
import { type LauncherFacts, launcherFacts, launcherMap, ownIds } from './idmaps.js';
import { IdRanges } from './idRanges.js';
import { journalDirectory } from './journal.js';
import type { ProbeItem } from './probe.js';
import { attempt, type Finding, failure } from './probeItem.js';

/** What root needs, and what fails without it. */
const needed = [
  ['CAP_SYS_ADMIN', 'mounts and namespaces on the host'],
  ['CAP_SETUID', 'mapping ids'],
  ['CAP_SETGID', 'mapping ids'],
  ['CAP_SYS_CHROOT', 'entering mount namespaces'],
  ['CAP_CHOWN', 'directories of a container’s own'],
  ['CAP_SYS_RESOURCE', 'raising resource limits, lowering oom_score_adj'],
] as const;

/** Controllers that default limits need. */
const controllers = ['memory', 'pids', 'cpu'] as const;

/** Whether this process can map ids and mount on the host itself, or needs a user namespace. */
export function isPrivileged(effective: bigint = capget().effective): boolean {
  return ['CAP_SYS_ADMIN', 'CAP_SETUID', 'CAP_SETGID'].every((name) => has(effective, name));
}

/** What this user may do: capabilities, ids, cgroups, and what security modules there are. */
export function probeUser(privileged: boolean): ProbeItem[] {
  return [
    attempt('capabilities', 'capabilities', undefined, () =>
      capabilities(capget().effective, process.geteuid?.() === 0),
    ),
    privileged
      ? attempt('ids', 'id ranges', undefined, idPool)
      : attempt('ids', 'id ranges', undefined, () => subordinateIds(launcherFacts())),
    attempt('journal', 'journal', undefined, () => journal(journalDirectory(privileged))),
    attempt('cgroups', 'cgroups', undefined, () => cgroups(detectCgroups())),
    attempt('lsm', 'security modules', undefined, securityModules),
  ];
}

function has(set: bigint, capability: string): boolean {
  return ((set >> BigInt(capabilityNames.indexOf(capability))) & 1n) === 1n;
}

/** Which capabilities a process lacks that it could use. */
export function capabilities(effective: bigint, root: boolean): Finding {
  const privileged = isPrivileged(effective);
  if (!privileged && !root) return { detail: 'none: containers are made in a user namespace' };
  const lacking = needed.filter(([name]) => !has(effective, name));
  if (lacking.length === 0) return { detail: 'all that are used' };
  return {
    status: privileged ? 'limited' : 'missing',
    detail: `lacks ${lacking.map(([name, use]) => `${name} (${use})`).join(', ')}`,
    mend: `start it with ${lacking.map(([name]) => name).join(', ')}, or as an ordinary user`,
  };
}

function idPool(): Finding {
  // without the lock: no range is taken from anybody
  const facts = { uids: ownIds('uid_map'), gids: ownIds('gid_map'), reserved: [] };
  const lease = new IdRanges(facts).acquire({ shareHostDirs: false });
  const { hostID = 0, size = 0 } = lease.uidMappings[0] ?? {};
  const detail = `${size} ids for each container, from host id ${hostID}`;
  if (size === 65536) return { detail };
  return {
    status: 'limited',
    detail: `${detail}; there are no more, so a second container needs uidMappings and gidMappings`,
    mend: 'give the container around it a larger map (LXC: lxc.idmap; for n containers n + 1 times 65536 ids)',
  };
}

/** How many ids an ordinary user's containers have. */
export function subordinateIds(facts: LauncherFacts): Finding {
  const { fallback, uidMappings } = launcherMap(facts);
  const count = uidMappings.reduce((sum, mapping) => sum + mapping.size, -1);
  if (fallback === undefined) return { detail: `${count} subordinate ids, by newuidmap` };
  const name = facts.name ?? `#${facts.uid}`;
  return {
    status: 'limited',
    detail: `a single id: ${fallback}`,
    mend: fallback.includes('not installed')
      ? 'install newuidmap and newgidmap (Debian: apt install uidmap; Fedora: shadow-utils)'
      : fallback.includes('/etc/sub')
        ? `as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 ${name}`
        : 'run as a user of /etc/passwd, without no_new_privs',
  };
}

/** Where launchers note what they make. */
export function journal(directory: string | undefined): Finding {
  if (directory !== undefined) return { detail: directory };
  return {
    status: 'limited',
    detail: 'none: cgroups stay if the launcher is killed with -9',
    mend: 'set XDG_RUNTIME_DIR to a directory of this user that nobody else may write to',
  };
}

/** Which limits can be set, tried with a cgroup that is removed at once. */
function cgroups(host: CgroupHost): Finding {
  if (host.mode === 'none') {
    return { status: 'missing', detail: 'no cgroup tree is mounted', mend: 'mount cgroup2' };
  }
  const failures = controllers.flatMap((controller) => {
    try {
      const directory = join(parentFor(host, controller), `ringfort-probe-${process.pid}`);
      mkdirSync(directory);
      rmdirSync(directory);
      return [];
    } catch (error) {
      return [{ controller, ...failure(error) }];
    }
  });
  const [first] = failures;
  if (first === undefined) {
    return { detail: `${host.mode}: ${controllers.join(', ')} can be limited` };
  }
  const { controller: _, ...finding } = first;
  const names = failures.map(({ controller }) => controller).join(', ');
  return { ...finding, detail: `${host.mode}: no limits of ${names}: ${first.detail}` };
}

/** The cgroup that a container's own would be made in. */
function parentFor(host: CgroupHost, controller: string): string {
  const v1 = host.v1.get(controller);
  if (v1 !== undefined) return v1Parent(v1, controller, undefined).dir;
  if (host.unified === undefined) throw new Error(`controller ${controller}: not mounted`);
  const parent = unifiedParent(host.unified, undefined);
  if (parent instanceof Error) throw parent;
  controllersToEnable(parent, [controller]);
  return parent.dir;
}

function securityModules(): Finding {
  const modules = readText('/sys/kernel/security/lsm');
  const ptrace = readText('/proc/sys/kernel/yama/ptrace_scope');
  const yama = ptrace === undefined ? '' : `, ptrace_scope ${ptrace}`;
  return { detail: (modules?.split(',').join(' ') ?? 'unknown: securityfs is not mounted') + yama };
}

/** Trimmed text of a file, `undefined` when it cannot be read. */
export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return undefined;
  }
}

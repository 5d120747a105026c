import { readFileSync } from 'node:fs';
import { hostFacts } from '../../lib/host/hostFacts.js';
import { wall } from '../../lib/plan/steps.js';
import { capabilityNames } from '../../lib/spec/names.js';
import { MountAttr, Prctl } from '../../lib/sys/constants.js';
import { type Requirement, root } from '../helpers/requirements.js';
import type { Wall } from './alone.js';
import type { Opening } from './check.js';
import { alter, drop, edits, waive } from './planEdit.js';

/** Root of the host, and not of a user namespace: what only it may do, a check can be given. */
export const hostRoot: Requirement = {
  name: "the host's root",
  check() {
    const reason = root.check();
    if (reason !== undefined) return reason;
    const [, map = ''] = /^(.*)$/m.exec(readFileSync('/proc/self/uid_map', 'utf8')) ?? [];
    return /^\s*0\s+0\s+4294967295$/.test(map) ? undefined : 'this is root of a user namespace';
  },
};

/** Root may have been left without it, as in some containers. */
const sysResource: Requirement = {
  name: 'CAP_SYS_RESOURCE',
  check() {
    const [, set = '0'] = /^CapEff:\t(\w+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
    return (BigInt(`0x${set}`) >> 24n) & 1n ? undefined : 'this process has it not';
  },
};

/** Scopes of abstract sockets and signals: ABI 6, since Linux 6.12. */
export const landlockScopes: Requirement = {
  name: 'Landlock ABI 6',
  check() {
    const { landlockAbi } = hostFacts();
    return landlockAbi >= 6 ? undefined : `this kernel has ${landlockAbi}`;
  },
};

/** What checks of one machine's calls need. */
export const x86: Requirement = {
  name: 'x86_64',
  check: () => (process.arch === 'x64' ? undefined : `this is ${process.arch}`),
};

/** Nobody looks at calls. */
export const noFilter: Opening = { what: 'seccomp', options: { seccomp: 'unconfined' } };

/** Capabilities over what the container owns, where the filter and Landlock do not forbid their use. */
export function powers(...capabilities: string[]): Opening {
  return {
    what: `capabilities, seccomp, Landlock`,
    options: { capabilities, seccomp: 'unconfined', landlock: 'off' },
  };
}

/** Power over its own mounts and names. */
export const admin = powers('CAP_SYS_ADMIN', 'CAP_SYS_CHROOT');

/** The same as the host's own root. */
export function hostPowers(...capabilities: string[]): Opening {
  const { what, options } = powers(...capabilities);
  return {
    what: `user namespace, ${what}`,
    options: { ...options, namespaces: { user: 'host' } },
    needs: [hostRoot],
  };
}

/** The limits of the host's own root. */
export const hostResources: Opening = {
  ...hostPowers('CAP_SYS_RESOURCE'),
  needs: [hostRoot, sysResource],
};

/** Walls that stop more than one attack. */
export const seccompWall: Wall = {
  id: 'seccomp',
  wall: 'seccomp',
  open: { options: { seccomp: 'unconfined' } },
};
export const landlockWall: Wall = {
  id: 'landlock',
  wall: 'Landlock',
  open: { options: { landlock: 'off' } },
  held: /^(EACCES|EPERM)$/,
};
export const idsWall: Wall = {
  id: 'ids',
  wall: 'user namespace',
  open: { options: { namespaces: { user: 'host' } } },
};
/** Where the root of a container of an ordinary user is that user, there is nothing to give up. */
export const rootIdsWall: Wall = {
  ...idsWall,
  open: hostRoot.check() === undefined ? idsWall.open : {},
  needs: [hostRoot],
};
const readonly = BigInt(MountAttr.MOUNT_ATTR_RDONLY);
/** What is bound is as writable as what it shows. */
export const writable = alter('mountSetattr', (step) => ({ ...step, set: step.set & ~readonly }));
export const readonlyWall: Wall = {
  id: 'mount',
  wall: 'a read-only mount',
  open: { edit: writable },
  held: /^EROFS$/,
};
export const pidWall: Wall = {
  id: 'pid',
  wall: 'a pid namespace',
  open: { options: { namespaces: { pid: 'host' } } },
  held: /^ESRCH$/,
};

/** What the assertion at the end would find missing. */
export const noAssert = edits(drop('assert'), waive(wall.assert));

/**
 * Not to have a capability is one, too. An edit gives it, because the option gives the calls it is for
 * with it: they are denied to who has not got it.
 */
export function capabilityWall(...capabilities: string[]): Wall {
  const mask = capabilities.reduce(
    (all, name) => all | (1n << BigInt(capabilityNames.indexOf(name))),
    0n,
  );
  const edit = edits(
    alter('capBounding', (step) => ({ ...step, keep: step.keep | mask })),
    alter('capset', (step) => ({
      ...step,
      effective: step.effective | mask,
      permitted: step.permitted | mask,
    })),
    noAssert,
  );
  return { id: 'capability', wall: 'no capability', open: { edit } };
}

/** What stands before a call that needs a capability over what the container owns. */
export function callWalls(...capabilities: string[]): Wall[] {
  return [capabilityWall(...capabilities), seccompWall];
}
export const adminWalls: readonly Wall[] = callWalls('CAP_SYS_ADMIN', 'CAP_SYS_CHROOT');

/** The processes of ours inside may be looked into. */
export const dumpable: Opening = {
  what: 'PR_SET_DUMPABLE 0',
  edit: alter('prctl', (step) =>
    step.option === Prctl.PR_SET_DUMPABLE ? { ...step, arg2: 1n } : step,
  ),
};

import { UnsupportedError } from '../errors.js';
import type { PlanBuilder } from '../plan/builder.js';
import { bytes, type Slot, slot, wall } from '../plan/steps.js';
import type { IdMapping, Spec, SpecProcess } from '../spec/types.js';
import { Prctl } from '../sys/constants.js';
import { capabilityMask } from './capabilities.js';
import type { Facts } from './facts.js';

/** The five sets as masks. */
export interface CapabilityMasks {
  bounding: bigint;
  effective: bigint;
  permitted: bigint;
  inheritable: bigint;
  ambient: bigint;
}

/** The five sets of the spec as masks. */
export function capabilityMasks(process: SpecProcess): CapabilityMasks {
  const sets = process.capabilities ?? {};
  const of = (name: keyof CapabilityMasks) => capabilityMask(sets[name], `capabilities.${name}`);
  return {
    bounding: of('bounding'),
    effective: of('effective'),
    permitted: of('permitted'),
    inheritable: of('inheritable'),
    ambient: of('ambient'),
  };
}

function groupBytes(ids: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(ids).buffer);
}

/**
 * Groups, ids, capabilities and no_new_privs, in the one order that works.
 * @param keep capabilities held until `planFilter` gives them up
 */
export function planIdentity(
  builder: PlanBuilder,
  process: SpecProcess,
  facts: Facts,
  keep: bigint,
): void {
  const masks = capabilityMasks(process);
  const { uid, gid, additionalGids = [] } = process.user;
  // Needs CAP_SETPCAP, so before the others go.
  builder.add('child', { op: 'capBounding', keep: masks.bounding });
  if (!facts.denySetgroups)
    builder.add('child', { op: 'setgroups', ids: groupBytes(additionalGids) });
  builder.add(
    'child',
    { op: 'setgid', gid },
    // Else leaving uid 0 would empty the permitted set before capset fills it (capabilities(7)).
    { op: 'prctl', option: Prctl.PR_SET_KEEPCAPS, arg2: 1n, arg3: 0n },
    { op: 'setuid', uid },
  );
  planCapabilities(builder, masks, keep);
  if (process.noNewPrivileges === false) builder.waived |= wall.noNewPrivs;
  else builder.add('child', { op: 'noNewPrivs' });
  // The uid change has cleared both (prctl(2)).
  planUnseen(builder);
}

/** Not to be traced or looked into by processes of the same user, and to end with its parent. */
export function planUnseen(builder: PlanBuilder): void {
  builder.add(
    'child',
    { op: 'prctl', option: Prctl.PR_SET_DUMPABLE, arg2: 0n, arg3: 0n },
    { op: 'prctl', option: Prctl.PR_SET_PDEATHSIG, arg2: 9n, arg3: 0n },
  );
}

/** The sets of a spec, and `keep` on top of the effective and permitted ones. */
export function planCapabilities(builder: PlanBuilder, masks: CapabilityMasks, keep: bigint): void {
  const { effective, permitted, inheritable, ambient } = masks;
  builder.add('child', {
    op: 'capset',
    effective: effective | keep,
    permitted: permitted | keep,
    inheritable,
  });
  if (ambient !== 0n) builder.add('child', { op: 'capAmbient', mask: ambient });
}

/**
 * What it takes to load a filter: nothing with no_new_privs, else CAP_SYS_ADMIN (seccomp(2)). It is
 * given up under the filter, which must then allow capset.
 */
export function filterCapabilities(process: SpecProcess, hasFilter: boolean): bigint {
  return hasFilter && process.noNewPrivileges === false
    ? capabilityMask(['CAP_SYS_ADMIN'], 'capabilities')
    : 0n;
}

function hex(mask: bigint): string {
  return mask.toString(16).padStart(16, '0');
}

function hostId(map: readonly IdMapping[], id: number): number {
  const extent = map.find((e) => id >= e.containerID && id < e.containerID + e.size);
  return extent === undefined ? id : extent.hostID + (id - extent.containerID);
}

/** What /proc/self/status must say just before exec (proc_pid_status(5)). */
function statusLines(spec: Spec, process: SpecProcess, facts: Facts): string[] {
  const masks = capabilityMasks(process);
  const { uid, gid, additionalGids = [] } = process.user;
  const lines = [
    `Uid:\t${Array(4).fill(uid).join('\t')}`,
    `Gid:\t${Array(4).fill(gid).join('\t')}`,
    `CapInh:\t${hex(masks.inheritable)}`,
    `CapPrm:\t${hex(masks.permitted)}`,
    `CapEff:\t${hex(masks.effective)}`,
    `CapBnd:\t${hex(masks.bounding)}`,
    `CapAmb:\t${hex(masks.ambient)}`,
    `NoNewPrivs:\t${process.noNewPrivileges === false ? 0 : 1}`,
    `Seccomp:\t${spec.linux.seccomp === undefined ? 0 : 2}`,
  ];
  if (!facts.denySetgroups) {
    // The kernel keeps the list sorted by host id and ends it with a space.
    const sorted = [...additionalGids].sort(
      (a, b) => hostId(facts.gidMappings, a) - hostId(facts.gidMappings, b),
    );
    lines.push(`Groups:\t${sorted.join(' ')} `);
  }
  return lines;
}

/**
 * Exec label of the host's LSM, written through the launcher's own proc.
 * @throws UnsupportedError `ERR_LSM_UNAVAILABLE` where the host has no such LSM
 */
export function planLabel(builder: PlanBuilder, process: SpecProcess, facts: Facts): void {
  const { apparmorProfile = '', selinuxLabel = '' } = process;
  if (apparmorProfile !== '') {
    checkLsm(facts, 'apparmor', 'apparmorProfile');
    const data = bytes(`exec ${apparmorProfile}`);
    builder.add('child', {
      op: 'procWrite',
      file: 'self/attr/apparmor/exec',
      data,
      readBack: 0,
    });
  }
  if (selinuxLabel !== '') {
    checkLsm(facts, 'selinux', 'selinuxLabel');
    const data = bytes(selinuxLabel);
    builder.add('child', { op: 'procWrite', file: 'self/attr/exec', data, readBack: 1 });
  }
}

function checkLsm(facts: Facts, lsm: string, option: string): void {
  if (facts.lsms.includes(lsm)) return;
  throw new UnsupportedError('ERR_LSM_UNAVAILABLE', `${option}: expected a host with ${lsm}`, {
    phase: 'process',
    option,
  });
}

/**
 * The last walls: descriptors (a link to one of ours that is still open, `/proc/self/fd/…`, would
 * lead an `exec` out of the root), seccomp, and the assertion that everything stands. `status` was
 * opened before, because the filter may forbid openat.
 */
export function planFilter(
  builder: PlanBuilder,
  spec: Spec,
  process: SpecProcess,
  facts: Facts,
  filter: { program: Uint8Array; flags: number } | undefined,
  status: Slot,
): void {
  builder.add('child', { op: 'closeAll', keep: status, also: slot.none });
  if (filter === undefined) builder.waived |= wall.seccomp;
  else builder.add('child', { op: 'seccomp', flags: filter.flags, filter: filter.program });
  if (filterCapabilities(process, filter !== undefined) !== 0n)
    planCapabilities(builder, capabilityMasks(process), 0n);
  builder.add('child', { op: 'assert', status, lines: statusLines(spec, process, facts) });
}

/** Opens the file that the assertion reads. */
export function planStatus(builder: PlanBuilder): Slot {
  const status = builder.newSlot();
  builder.add('child', {
    op: 'open',
    slot: status,
    dir: slot.proc,
    path: 'self/status',
    flags: 0,
    resolve: 0n,
    mode: 0,
  });
  return status;
}

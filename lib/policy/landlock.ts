import { UnsupportedError } from '../errors.js';
import type { PlanBuilder } from '../plan/builder.js';
import { LandlockFs, LandlockScope } from '../plan/flags.js';
import type { Slot } from '../plan/steps.js';
import { annotation } from '../spec/annotations.js';
import { namespaceMode } from '../spec/namespaces.js';
import { rootKind } from '../spec/rootKind.js';
import { mountName, mountType } from '../spec/rules/mounts.js';
import type { NamespaceType, Spec, SpecMount } from '../spec/types.js';
import { MountAttr } from '../sys/constants.js';
import type { Facts } from './facts.js';
import { readWords } from './mounts/words.js';

const { EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, TRUNCATE, IOCTL_DEV } = LandlockFs;

/** The rights that may be given on a file; the others are about what a directory holds. */
const fileRights = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

const look = EXECUTE | READ_FILE | READ_DIR;
const use = READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE;

/** Everything but new devices, and ioctls on devices, which only /dev is for. */
const change = ((1n << 16n) - 1n) & ~(LandlockFs.MAKE_CHAR | LandlockFs.MAKE_BLOCK | IOCTL_DEV);

/** Every right that a kernel's ABI knows (landlock(7), "VERSIONS"). */
export function handledRights(abi: number): bigint {
  let rights = LandlockFs.REFER - 1n;
  if (abi >= 2) rights |= LandlockFs.REFER;
  if (abi >= 3) rights |= TRUNCATE;
  if (abi >= 5) rights |= IOCTL_DEV;
  return rights;
}

/** A path and what may be done below it. */
interface Rule {
  path: string;
  rights: bigint;
}

/**
 * Whether the plan will have Landlock. `'auto'` leaves it out below ABI 2, where every rename into
 * another directory would fail, and without no_new_privs, which it stands on (landlock(7)).
 * @throws UnsupportedError `ERR_LANDLOCK_UNAVAILABLE` when it is required and cannot be
 */
export function hasLandlock(spec: Spec, abi: number): boolean {
  const choice = spec.annotations?.[annotation.landlock] ?? 'auto';
  const privileged = spec.process?.noNewPrivileges === false;
  if (choice !== 'require') return choice === 'auto' && abi >= 2 && !privileged;
  if (abi >= 1 && !privileged) return true;
  throw new UnsupportedError(
    'ERR_LANDLOCK_UNAVAILABLE',
    `landlock: expected ${privileged ? 'noNewPrivileges' : 'a kernel with Landlock'} for 'require'`,
    {
      phase: 'process',
      option: 'landlock',
      hint: privileged
        ? 'leave noNewPrivileges on'
        : "enable CONFIG_SECURITY_LANDLOCK and add landlock to the kernel's lsm= list",
    },
  );
}

/**
 * Landlock as a second wall behind the mounts: what the container may do with a file is said once
 * more, by path, and holds where a mount would fail to. The whole root may be read and executed;
 * only what is mounted writable may be changed.
 * @param lives each of its programs gets a domain of its own
 * @returns slot of the ruleset; undefined where there is none
 * @throws UnsupportedError as `hasLandlock`
 */
export function planLandlockRules(
  builder: PlanBuilder,
  spec: Spec,
  facts: Facts,
  lives: boolean,
): Slot | undefined {
  const abi = facts.landlockAbi;
  if (!hasLandlock(spec, abi)) return undefined;
  const handled = handledRights(abi);
  const ruleset = builder.newSlot();
  const scoped = abi >= 6 ? scopes(spec, lives) : 0n;
  builder.add('child', { op: 'landlockRuleset', slot: ruleset, fs: handled, net: 0n, scoped });
  for (const { path, rights } of rules(spec, facts)) {
    const access = rights & handled;
    // Optional: a later mount may hide the place of an earlier one.
    const optional = path === '/' ? 0 : 1;
    builder.add('child', { op: 'landlockPath', ruleset, path, access, optional });
  }
  return ruleset;
}

/**
 * What may not leave the domain. The programs of a container that lives are in domains beside each
 * other, and must reach each other: there the namespaces are the only wall, where they are its own.
 */
function scopes(spec: Spec, lives: boolean): bigint {
  const own = (type: NamespaceType) => namespaceMode(spec.linux.namespaces, type) === 'new';
  const sockets = lives && own('network') ? 0n : LandlockScope.ABSTRACT_UNIX_SOCKET;
  const signals = lives && own('pid') ? 0n : LandlockScope.SIGNAL;
  return sockets | signals;
}

/** From here on the process and its descendants are bound; needs no_new_privs. */
export function planLandlockRestrict(builder: PlanBuilder, ruleset: Slot): void {
  builder.add('child', { op: 'landlockRestrict', ruleset });
}

function rules(spec: Spec, facts: Facts): Rule[] {
  const kind = rootKind(spec);
  const writable = kind === 'joined' || (kind !== 'host' && spec.root?.readonly !== true);
  const list: Rule[] = [{ path: '/', rights: writable ? look | change : look }];
  if (kind === 'joined') list.push({ path: '/dev', rights: use | IOCTL_DEV });
  for (const mount of spec.mounts ?? []) {
    const rights = rightsOn(mount, facts);
    if (rights !== 0n) list.push({ path: mount.destination, rights });
  }
  return list;
}

/** What a mount allows beyond looking; 0 for one that is read-only. */
function rightsOn(mount: SpecMount, facts: Facts): bigint {
  const type = mountType(mount);
  const { set } = readWords(mount, `${mountName(mount)}.options`, type);
  const readonly = (set & MountAttr.MOUNT_ATTR_RDONLY) !== 0;
  if (mount.destination === '/dev') return (readonly ? use : change | use) | IOCTL_DEV;
  if (readonly || type === 'sysfs' || type === 'cgroup' || type === 'cgroup2') return 0n;
  if (type === 'proc') return use;
  if (type === 'devpts') return use | IOCTL_DEV;
  const all = look | change;
  if (type !== 'bind') return all;
  // A device that was bound on purpose, or a directory of them, is there to be used.
  const device = (set & MountAttr.MOUNT_ATTR_NODEV) === 0 ? IOCTL_DEV : 0n;
  return facts.fileSources.has(mount.source ?? '') ? (all | device) & fileRights : all | device;
}

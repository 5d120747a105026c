import { posix } from 'node:path';
import { invalid, UnsupportedError } from '../../errors.js';
import { atLeast } from '../../kernelVersion.js';
import type { PlanBuilder } from '../../plan/builder.js';
import { inRootStrict } from '../../plan/flags.js';
import { type Slot, slot } from '../../plan/steps.js';
import { namespaceMode } from '../../spec/namespaces.js';
import type { OverlayLayers } from '../../spec/rootKind.js';
import type { Spec } from '../../spec/types.js';
import { MountAttr } from '../../sys/constants.js';
import type { Facts } from '../facts.js';
import { canIdmap, cloneFromHost, type PolicyInput, requireIdmap } from './fromHost.js';
import type { MountPlace } from './places.js';
import { TmpfsTree } from './tmpfsTree.js';

/** An overlay to be made. */
export interface OverlayRequest {
  layers: OverlayLayers;
  /** Without an upper layer. */
  readonly: boolean;
  /** Mount points that no layer has. */
  missing: readonly MountPlace[];
  /** Dotted name of the option that asked for it. */
  option: string;
  /** `MOUNT_ATTR_*` beside nosuid and nodev. */
  attributes?: number;
  /** The lower layers keep their owners on disk, over whose files the container has no power. */
  unmapped?: boolean;
}

/** Where the child sees the scratch tmpfs while it builds. */
const scratchPath = '/empty';

/** Longest string that fsconfig(2) takes, its NUL not counted. */
const maxValue = 255;

const safe = MountAttr.MOUNT_ATTR_NOSUID | MountAttr.MOUNT_ATTR_NODEV;

/** A tmpfs on the child's `empty` directory; the pivot takes it out of sight, and an overlay keeps it. */
export function scratchTmpfs(builder: PlanBuilder): TmpfsTree {
  const scratch = builder.newSlot();
  const options = ['size=1m', 'nr_inodes=8k', 'mode=755'];
  builder.add(
    'child',
    { op: 'fsMount', slot: scratch, type: 'tmpfs', options, attributes: safe },
    { op: 'attach', mount: scratch, root: slot.home, path: 'empty', resolve: inRootStrict },
  );
  return new TmpfsTree(builder, scratch);
}

/**
 * Makes an overlay of host directories. The layers are opened by the launcher and attached in the
 * child on a scratch tmpfs, so that the overlay is mounted by the container's own root: what it
 * may read and write in a layer is what that root may, never what the launcher may.
 * @returns slot of the detached overlay
 * @throws UnsupportedError for too many layers, or a kept upper layer whose owners cannot be mapped
 */
export function planOverlay(
  builder: PlanBuilder,
  spec: Spec,
  facts: Facts,
  request: OverlayRequest,
): Slot {
  const scratch = scratchTmpfs(builder);
  const lower = request.layers.lower.map((path, i) => {
    const set = MountAttr.MOUNT_ATTR_RDONLY | safe;
    const idmap =
      !request.unmapped && atLeast(facts.kernel, [5, 19]) && canIdmap({ spec, facts }, path);
    const layer = cloneFromHost(builder, { path, recursive: false, set, idmap });
    return place(scratch, layer, String(i));
  });
  // Lowest, so that a directory that the layers do have keeps its owner and mode. It also makes a
  // second layer, without which the kernel makes no read-only overlay.
  if (request.missing.length > 0 || (request.readonly && lower.length === 1))
    lower.push(stubs(scratch, facts, request.missing));
  const options = lowerOptions(lower, facts, request.option);
  if (!request.readonly) options.push(...upperOptions(scratch, { spec, facts }, request));
  // In a user namespace the marks of deleted and replaced files must be user.* attributes.
  if (namespaceMode(spec.linux.namespaces, 'user') !== 'host') options.push('userxattr');
  const attributes =
    safe | (request.attributes ?? 0) | (request.readonly ? MountAttr.MOUNT_ATTR_RDONLY : 0);
  const overlay = builder.newSlot();
  builder.add('child', { op: 'fsMount', slot: overlay, type: 'overlay', options, attributes });
  return overlay;
}

/** Attaches a mount on a new directory of the scratch tmpfs; the path that the child sees it at. */
function place(scratch: TmpfsTree, mount: Slot, path: string): string {
  scratch.directory(`/${path}`);
  const root = scratch.slot;
  scratch.builder.add('child', { op: 'attach', mount, root, path, resolve: inRootStrict });
  return `${scratchPath}/${path}`;
}

function stubs(scratch: TmpfsTree, facts: Facts, missing: readonly MountPlace[]): string {
  scratch.directory('/stubs');
  for (const { mount, needs } of missing) {
    const path = `/stubs${facts.root?.missing?.get(mount.destination) ?? mount.destination}`;
    if (needs === 'file') scratch.file(path);
    else scratch.directory(path);
  }
  return `${scratchPath}/stubs`;
}

function lowerOptions(lower: readonly string[], facts: Facts, option: string): string[] {
  const all = lower.join(':');
  if (all.length <= maxValue) return [`lowerdir=${all}`];
  if (atLeast(facts.kernel, [6, 8])) return lower.map((path) => `lowerdir+=${path}`);
  throw new UnsupportedError(
    'ERR_TOO_MANY_LAYERS',
    `${option}: expected at most 28 layers on a kernel older than 6.8, got ${lower.length}`,
    { phase: 'mount', option },
  );
}

function upperOptions(scratch: TmpfsTree, input: PolicyInput, request: OverlayRequest): string[] {
  const { upper, work, size = 64 << 20 } = request.layers;
  if (upper !== undefined && work !== undefined) {
    return keptOptions(scratch, input, upper, work, request.option);
  }
  const { builder } = scratch;
  const memory = builder.newSlot();
  const options = [`size=${size}`, `nr_inodes=${Math.max(1024, Math.ceil(size / 4096))}`];
  options.push('mode=755');
  builder.add('child', { op: 'fsMount', slot: memory, type: 'tmpfs', options, attributes: safe });
  const path = place(scratch, memory, 'memory');
  const tree = new TmpfsTree(builder, memory);
  tree.directory('/upper');
  tree.directory('/work');
  // Nothing outlives the container, so nothing has to reach a disk: volatile omits every sync.
  return [`upperdir=${path}/upper`, `workdir=${path}/work`, 'volatile'];
}

/** The kernel wants both directories under one mount: that of the nearest directory above them. */
function keptOptions(
  scratch: TmpfsTree,
  input: PolicyInput,
  upper: string,
  work: string,
  option: string,
): string[] {
  const parent = commonParent(upper, work);
  const { facts } = input;
  const idmap = facts.privileged && requireIdmap(input, upper, `${option}.upper`);
  if (idmap && !atLeast(facts.kernel, [5, 19])) {
    throw new UnsupportedError(
      'ERR_IDMAP_UNAVAILABLE',
      `${option}.upper: expected Linux 5.19 for a kept upper layer with mapped owners`,
      { phase: 'mount', option: `${option}.upper`, path: upper },
    );
  }
  const kept = cloneFromHost(scratch.builder, {
    path: parent,
    recursive: false,
    set: safe,
    idmap,
  });
  const at = place(scratch, kept, 'kept');
  return [
    `upperdir=${at}${below(upper, parent, `${option}.upper`)}`,
    `workdir=${at}${below(work, parent, `${option}.work`)}`,
  ];
}

/** The nearest directory above two others; one inside the other has that one's parent. */
function commonParent(a: string, b: string): string {
  const [partsA, partsB] = [a, b].map((path) => posix.dirname(path).split('/')) as [
    string[],
    string[],
  ];
  const differ = partsA.findIndex((part, i) => part !== partsB[i]);
  return (differ === -1 ? partsA : partsA.slice(0, differ)).join('/') || '/';
}

function below(path: string, parent: string, option: string): string {
  const rest = path.slice(parent === '/' ? 0 : parent.length);
  // fsconfig(2) and overlayfs read these characters as their own.
  if (/[:\\,]/.test(rest) || Buffer.byteLength(rest) > 200) {
    throw invalid(option, `at most 200 bytes below ${parent}, without ':', ',' and '\\'`, path);
  }
  return rest;
}

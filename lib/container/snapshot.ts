import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { throwIfAborted } from '../abort.js';
import { invalid, StateError } from '../errors.js';
import { type Change, changes } from '../layers/changes.js';
import { makeLayers, removeDirectory } from '../layers/directories.js';
import { type LayerOptions, type LayersOf, Maintenance } from '../layers/maintenance.js';
import { Restore } from '../layers/restore.js';
import { checkSnapshot, layerOf, type Snapshot, writeSnapshot } from '../layers/snapshot.js';
import { leavable } from '../leavable.js';
import type { CreateOptions } from '../options.js';
import { defined } from '../spec/defined.js';
import { type OverlayLayers, overlayLayers } from '../spec/rootKind.js';
import { checkCall } from '../spec/rules/callOptions.js';
import type { Container } from './container.js';

/** How a container came to be, so that one like it can be made. */
export interface Origin {
  options: CreateOptions;
  create(options: CreateOptions): Promise<Container>;
}

/** A container and what its file system is handled by. */
export interface Layered {
  container: Container;
  /** Absent of one that outlives its creator. */
  origin: Origin | undefined;
  /** Of its options those that its layers need. */
  layerOptions: LayerOptions | undefined;
  /** Runs `body` while nothing runs in the container; afterwards it is as it was. */
  atRest<T>(body: () => Promise<T>, signal: AbortSignal | undefined): Promise<T>;
}

/** Options of `container.snapshot`. */
export interface SnapshotOptions {
  /** Directory to make, for the snapshot alone. Its parent must be there. */
  path: string;
  /** Gives up with an AbortError; nothing is left, the container runs on. */
  signal?: AbortSignal | undefined;
}

/** Options of `container.fork`: what is not said is as the original was created, but for the id. */
export interface ForkOptions extends Omit<CreateOptions, 'rootfs'> {
  /** Directory to make, in which the new container's `upper` and `work` lie. */
  path: string;
}

/** Containers whose layer belongs to another object since a rollback. */
const replaced = new WeakSet<Container>();

/** What the four need of a container. */
interface Kept {
  of: LayersOf;
  layers: OverlayLayers & { upper: string; work: string };
}

/** @throws StateError `ERR_NO_LAYER`, `ERR_CONTAINER_REPLACED` */
function keptOf({ container, layerOptions }: Layered): Kept {
  const { id, spec } = container;
  const layers = overlayLayers(spec);
  const { upper, work } = layers;
  if (upper === undefined || work === undefined) {
    throw new StateError('ERR_NO_LAYER', `container ${id}: its changes are not in a layer`, {
      phase: 'options',
      option: 'rootfs',
      hint: 'create it with rootfs: { lower, upper, work }',
    });
  }
  if (replaced.has(container)) {
    throw new StateError('ERR_CONTAINER_REPLACED', `container ${id} has been rolled back`, {
      hint: 'use the container that rollback returned',
    });
  }
  return { of: { spec, options: layerOptions }, layers: { ...layers, upper, work } };
}

/** @throws StateError `ERR_CONTAINER_DETACHED` */
function originOf({ container, origin }: Layered): Origin {
  if (origin !== undefined) return origin;
  const message = `container ${container.id}: one that is detached is not created anew by this`;
  throw new StateError('ERR_CONTAINER_DETACHED', message, {
    hint: 'take a snapshot, and create one with rootfs: snapshotRoot(snapshot)',
  });
}

/** Every directory of an overlay. */
function directoriesOf({ lower, upper, work }: Kept['layers']): string[] {
  return [upper, work, ...lower];
}

/** @returns the path */
function checkPath(options: { path: string } | undefined): string {
  const path: unknown = options?.path;
  if (typeof path !== 'string' || path === '') throw invalid('path', 'a path', path);
  return path;
}

/** `container.snapshot` */
export async function snapshot(layered: Layered, options: SnapshotOptions): Promise<Snapshot> {
  const { of, layers } = keptOf(layered);
  const path = checkPath(options);
  checkCall('snapshot', options);
  const { signal } = options;
  const { upper, lower } = layers;
  let taken: Snapshot | undefined;
  await layered.atRest(() => {
    const request = { of, upper, path, layers: directoriesOf(layers), signal };
    return makeLayers(request, async (made) => {
      const { id } = layered.container;
      taken = { path: made, lower: [...lower], createdAt: Date.now(), from: id };
      await writeSnapshot(taken);
    });
  }, signal);
  return taken as Snapshot;
}

/** `container.fork` */
export async function fork(layered: Layered, forkOptions: ForkOptions): Promise<Container> {
  const { of, layers } = keptOf(layered);
  const origin = originOf(layered);
  const path = checkPath(forkOptions);
  const { path: _path, ...overrides } = forkOptions;
  const { signal } = overrides;
  const { id: _id, ...options } = origin.options;
  let made = '';
  await layered.atRest(() => {
    const request = { of, upper: layers.upper, path, layers: directoriesOf(layers), signal };
    return makeLayers(request, async (at) => {
      await mkdir(join(at, 'work'), 0o700);
      made = at;
    });
  }, signal);
  const [upper, work] = [layerOf({ path: made }), join(made, 'work')];
  const rootfs = { lower: [...layers.lower], upper, work };
  try {
    return await origin.create({ ...options, ...defined(overrides), rootfs });
  } catch (error) {
    await removeDirectory(of, made).catch(() => {});
    throw error;
  }
}

/** `container.rollback` */
export async function rollback(
  layered: Layered,
  snapshot: Snapshot,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<Container> {
  checkCall('abortable', options);
  const { signal } = options;
  const { container } = layered;
  const { of, layers } = keptOf(layered);
  const origin = originOf(layered);
  checkSnapshot(snapshot);
  if (snapshot.lower.join('\0') !== layers.lower.join('\0'))
    throw invalid('snapshot.lower', 'the layers that the container has', snapshot.lower);
  throwIfAborted(signal);
  // A second one must not begin while this one does.
  replaced.add(container);
  let restore: Restore;
  try {
    const { upper } = layers;
    restore = await Restore.prepare(of, { layer: layerOf(snapshot), upper, signal });
  } catch (error) {
    replaced.delete(container);
    throw error;
  }
  try {
    try {
      // No file of a mounted overlay may change behind it. A snapshot that is under way goes first.
      await container[Symbol.asyncDispose]();
      await layered.atRest(() => restore.commit(), undefined);
    } catch (error) {
      replaced.delete(container);
      throw error;
    }
    // By the names that it had: relative ones could mean something else by now.
    const { lower, upper, work } = layers;
    const rootfs = { lower: [...lower], upper, work };
    return await origin.create({ ...origin.options, rootfs, id: container.id });
  } finally {
    // Nobody would hold the new container if this failed it; the next rollback tries again.
    await restore[Symbol.asyncDispose]().catch(() => {});
  }
}

/** `container.diff` */
export function diff(
  layered: Layered,
  options: { signal?: AbortSignal | undefined } = {},
): AsyncGenerator<Change, void, undefined> {
  checkCall('abortable', options);
  return leavable(options.signal, (signal) => found(layered, signal));
}

async function* found(
  layered: Layered,
  signal: AbortSignal,
): AsyncGenerator<Change, void, undefined> {
  const { of, layers } = keptOf(layered);
  throwIfAborted(signal);
  const { upper, lower } = layers;
  const maintenance = await Maintenance.open(of, [{ source: upper, at: '/upper' }], lower);
  try {
    const context = { agent: maintenance.agent, label: upper, signal };
    yield* changes(context, '/upper', '/lower');
  } finally {
    await maintenance[Symbol.asyncDispose]();
  }
}

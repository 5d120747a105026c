import { chmod, mkdir, realpath, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { codeOf, invalid, NotFoundError } from '../errors.js';
import { isWithin } from '../spec/rootKind.js';
import { SyscallError } from '../sys/error.js';
import { copyLayer, removeLayers } from './copyLayer.js';
import { type LayersOf, Maintenance } from './maintenance.js';
import { snapshotFile } from './snapshot.js';

/** What a directory of layers is made from. */
export interface NewLayers {
  of: LayersOf;
  /** The layer that is copied. */
  upper: string;
  /** Directory to make. */
  path: string;
  /** Directories of overlays, which must not change behind them. */
  layers: readonly string[];
  signal?: AbortSignal | undefined;
}

/** In the shape of the other system errors, whatever Node's own adds. */
async function named<T>(done: Promise<T>, path: string): Promise<T> {
  try {
    return await done;
  } catch (error) {
    const { errno, syscall } = error as NodeJS.ErrnoException;
    if (errno === undefined || syscall === undefined) throw error;
    throw new SyscallError(errno, syscall, { path });
  }
}

/** Makes the directory; nobody else can look into it. */
async function make({ path, layers }: NewLayers): Promise<string> {
  const parent = await named(realpath(dirname(resolve(path))), path);
  for (const layer of layers) {
    if (isWithin(parent, await realpath(layer).catch(() => layer)))
      throw invalid('path', `a place outside of the container's layers (${layer})`, path);
  }
  const made = join(parent, basename(resolve(path)));
  await named(mkdir(made, 0o700), path);
  // Without the set-group-ID bit that it may have inherited.
  await named(chmod(made, 0o700), path);
  return made;
}

/**
 * Copies a layer to `upper` in a new directory. It is complete or not there; what a Node that was
 * killed meanwhile has left is no snapshot (it has no facts yet), and `removeSnapshot` removes it.
 * @param finish what else belongs to it
 * @throws SyscallError EEXIST, ENOSPC, …; InvalidSpecError; AbortError; as `createContainer`
 */
export async function makeLayers(
  request: NewLayers,
  finish: (path: string) => Promise<unknown>,
): Promise<void> {
  const { of, upper, signal } = request;
  const path = await make(request);
  try {
    const shown = [
      { source: upper, at: '/from' },
      { source: path, at: '/to', writable: true },
    ];
    const maintenance = await Maintenance.open(of, shown);
    try {
      const context = { agent: maintenance.agent, label: upper, signal };
      await copyLayer(context, '/from', '/to');
    } finally {
      await maintenance[Symbol.asyncDispose]();
    }
    await finish(path);
  } catch (error) {
    await removeDirectory(of, path).catch(() => {});
    throw error;
  }
}

/** Removes a directory of layers, and in it only what belongs there. */
export async function removeDirectory(of: LayersOf, path: string): Promise<void> {
  const maintenance = await Maintenance.open(of, [{ source: path, at: '/to', writable: true }]);
  try {
    await removeLayers(maintenance.agent, '/to');
  } finally {
    await maintenance[Symbol.asyncDispose]();
  }
  await rm(snapshotFile(path), { force: true });
  await rmdir(path);
}

/**
 * Removes a snapshot, or what a fork has left, with files of every owner that is in it. No
 * container may use it any more.
 * @throws NotFoundError `ERR_SNAPSHOT_NOT_FOUND` when it is not there (any more)
 * @throws SyscallError ENOTEMPTY when something else lies in its directory: that stays
 */
export async function removeSnapshot(snapshot: { path: string }): Promise<void> {
  const path: unknown = snapshot?.path;
  if (typeof path !== 'string' || path === '')
    throw invalid('snapshot', "what 'snapshot' or 'loadSnapshot' returned", snapshot);
  try {
    const real = await named(realpath(path), path);
    await named(removeDirectory({}, real), path);
  } catch (cause) {
    if (codeOf(cause) !== 'ENOENT' && codeOf(cause) !== 'ERR_SOURCE_NOT_FOUND') throw cause;
    const facts = { path, cause };
    throw new NotFoundError('ERR_SNAPSHOT_NOT_FOUND', `${path}: is not there (any more)`, facts);
  }
}

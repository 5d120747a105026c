import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { InvalidSpecError, invalid, NotFoundError } from '../errors.js';
import type { OverlayRoot, Size } from '../options.js';

/**
 * A copy of what a container had changed in its root, as plain data. Memory and processes are not
 * part of it.
 */
export interface Snapshot {
  /** Its directory: the layer is `upper` in it, and this data `snapshot.json`. */
  path: string;
  /** The layers below it, the first on top. */
  lower: string[];
  /** ms since the epoch. */
  createdAt: number;
  /** Id of the container. */
  from: string;
}

const fileName = 'snapshot.json';
const version = 1;

/** The layer of a snapshot. */
export function layerOf({ path }: Pick<Snapshot, 'path'>): string {
  return join(path, 'upper');
}

/** Writes the data of a snapshot beside its layer: last, so that it says that the layer is whole. */
export async function writeSnapshot(snapshot: Snapshot): Promise<void> {
  const { path, ...data } = snapshot;
  const text = `${JSON.stringify({ version, ...data }, undefined, 2)}\n`;
  await writeFile(join(path, fileName), text, { flag: 'wx', mode: 0o600 });
}

/** Name of the file that `writeSnapshot` writes. */
export function snapshotFile(path: string): string {
  return join(path, fileName);
}

function isSnapshot(value: unknown): value is Omit<Snapshot, 'path'> & { version: number } {
  if (typeof value !== 'object' || value === null) return false;
  const { version: written, lower, createdAt, from } = value as Record<string, unknown>;
  return (
    written === version &&
    Array.isArray(lower) &&
    lower.length > 0 &&
    lower.every((each) => typeof each === 'string' && each.startsWith('/')) &&
    typeof createdAt === 'number' &&
    typeof from === 'string'
  );
}

/**
 * Reads a snapshot that was taken earlier, by this process or another; it may have been moved.
 * @param path its directory
 * @throws NotFoundError `ERR_SNAPSHOT_NOT_FOUND`: there is none, or it was never completed
 * @throws InvalidSpecError `ERR_SNAPSHOT_INVALID`
 */
export async function loadSnapshot(path: string): Promise<Snapshot> {
  const facts = { path: snapshotFile(path) };
  let text: string;
  try {
    text = await readFile(facts.path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw cause;
    const message = `${path}: expected a snapshot, which has a ${fileName}`;
    throw new NotFoundError('ERR_SNAPSHOT_NOT_FOUND', message, { ...facts, cause });
  }
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    data = undefined;
  }
  if (!isSnapshot(data)) {
    const message = `${facts.path}: expected the data of a snapshot of version ${version}`;
    throw new InvalidSpecError('ERR_SNAPSHOT_INVALID', message, facts);
  }
  const { lower, createdAt, from } = data;
  return { path: resolve(path), lower, createdAt, from };
}

/** @throws InvalidSpecError `ERR_INVALID_OPTION` for what is no snapshot */
export function checkSnapshot(snapshot: Snapshot): void {
  const path: unknown = snapshot?.path;
  if (typeof path !== 'string' || !isSnapshot({ version, ...snapshot }))
    throw invalid('snapshot', "what 'snapshot' or 'loadSnapshot' returned", snapshot);
}

/**
 * The root of a new container that starts from a snapshot and leaves it as it is, any number at
 * once: `createContainer({ rootfs: snapshotRoot(snapshot) })`.
 * @param kept where its changes are kept; else they go to memory, `size` at most (`'64MiB'`)
 */
export function snapshotRoot(
  snapshot: Snapshot,
  kept: { upper: string; work: string } | { size?: Size } = {},
): OverlayRoot {
  checkSnapshot(snapshot);
  return { lower: [layerOf(snapshot), ...snapshot.lower], ...kept };
}

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { ContainerError } from '../errors.js';
import { overlayLayers, rootKind } from '../spec/rootKind.js';
import { isBind, layersOf } from '../spec/rules/mounts.js';
import type { Spec } from '../spec/types.js';
import { type MountLine, mountLines } from './mountPoints.js';

/** Types of file systems whose answers come from a process or over a network. */
const remote = /^(fuse|nfs|cifs|smb|ceph|afs|lustre|glusterfs|ocfs2|gfs2)/;

/** How long one may take to answer, ms. */
const patience = 5000;

function sourcesOf(spec: Spec): string[] {
  const kind = rootKind(spec);
  const { lower = [], upper = [], work = [] } = kind === 'overlay' ? overlayLayers(spec) : {};
  return [
    ...(kind === 'directory' && spec.root ? [spec.root.path] : []),
    ...[lower, upper, work].flat(),
    ...(spec.mounts ?? []).flatMap((mount) => {
      if (isBind(mount)) return mount.source ?? [];
      return (mount.options ?? []).flatMap((word) => layersOf(word)?.paths ?? []);
    }),
  ].map((path) => resolve('/', path));
}

/** The mount that a path lies in, by its name alone: whoever asks the file system may wait. */
function mountOf(path: string, mounts: readonly MountLine[]): MountLine | undefined {
  return mounts
    .filter(({ point }) => point === '/' || path === point || path.startsWith(`${point}/`))
    .reduce<MountLine | undefined>(
      (best, each) => (best === undefined || each.point.length >= best.point.length ? each : best),
      undefined,
    );
}

function unanswered(path: string, { type }: MountLine): ContainerError {
  const message = `'${path}' lies in a ${type} file system that does not answer`;
  return new ContainerError('ERR_SOURCE_UNREACHABLE', message, {
    phase: 'mount',
    path,
    hint: 'see whether its server is there, or unmount it',
  });
}

/** Asks from a process that can be killed: neither Node nor the launcher must wait for an answer. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    // Without pipes: those of a process that cannot be killed would keep Node's event loop alive.
    const asks = spawn('/bin/sh', ['-c', 'test -e "$1"', 'sh', path], { stdio: 'ignore' });
    const late = setTimeout(() => {
      asks.kill('SIGKILL');
      asks.unref();
      resolve(false);
    }, patience);
    const answered = () => {
      clearTimeout(late);
      resolve(true);
    };
    asks.once('exit', answered);
    asks.once('error', answered);
  });
}

/**
 * Waits until the sources of mounts have answered that lie in file systems of others. Everything
 * after it looks at them without a deadline.
 * @throws ContainerError `ERR_SOURCE_UNREACHABLE` after 5 s
 */
export async function awaitSources(spec: Spec): Promise<void> {
  const sources = sourcesOf(spec);
  if (sources.length === 0) return;
  const mounts = mountLines();
  await Promise.all(
    sources.map(async (path) => {
      const mount = mountOf(path, mounts);
      // A root that does not answer has nobody start anything.
      if (mount === undefined || mount.point === '/' || !remote.test(mount.type)) return;
      if (!(await answers(path))) throw unanswered(path, mount);
    }),
  );
}

import { Command } from 'commander';
import { action, withContainer } from './containers.js';
import { UsageError } from './errors.js';
import { untilSignal } from './signals.js';

/** One end of a copy: a path of the host or, with `container`, one of that. */
export interface CopyEnd {
  container?: string;
  path: string;
}

/**
 * An end as docker writes it: `id:/path`. What begins with `.` or `/`, or has no colon before its
 * first slash, is the host's. In a container a path begins at the root.
 */
export function parseEnd(text: string): CopyEnd {
  const [, container, path = ''] = /^([^./:][^/:]*):(.*)$/s.exec(text) ?? [];
  if (container === undefined) return { path: text };
  return { container, path: path.startsWith('/') ? path : `/${path}` };
}

/**
 * Both ends of a copy, one of which is a container's.
 * @throws UsageError
 */
export function parseEnds(source: string, destination: string): [CopyEnd, CopyEnd] {
  if (source === '-' || destination === '-') {
    throw new UsageError(
      'cp: no tar streams on stdin or stdout; copy a path, or run tar by `ringfort exec`',
    );
  }
  const ends: [CopyEnd, CopyEnd] = [parseEnd(source), parseEnd(destination)];
  const inside = ends.filter(({ container }) => container !== undefined).length;
  if (inside === 0) throw new UsageError('cp: one of the paths must be a container’s: id:/path');
  if (inside === 2) throw new UsageError('cp: one of the paths must be the host’s');
  return ends;
}

async function cp(source: string, destination: string, { archive = false }: { archive?: boolean }) {
  const [from, to] = parseEnds(source, destination);
  return withContainer(from.container ?? to.container ?? '', (box) =>
    untilSignal(async (signal) => {
      const { skipped } =
        to.container === undefined
          ? await box.copyOut(from.path, to.path, { archive, signal })
          : await box.copyIn(from.path, to.path, { archive, signal });
      for (const name of skipped)
        process.stderr.write(`ringfort: left out (no file, directory or link): ${name}\n`);
      return 0;
    }),
  );
}

/** `ringfort cp`. */
export function cpCommand(): Command {
  return new Command('cp')
    .description('Copy a file or directory into a container, or out of one')
    .argument('<source>', "a path, or 'container:/path'")
    .argument('<destination>', "'container:/path', or a path")
    .option('-a, --archive', 'keep numeric owners')
    .option('-q, --quiet', "accepted as docker's: nothing is printed anyway")
    .action(action(cp));
}

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { planOf } from '../lib/launch.js';
import {
  type Op,
  type Plan,
  type Slot,
  type Step,
  type StepOf,
  sections,
  slot,
} from '../lib/plan/steps.js';
import { newId, specOf } from '../lib/specOf.js';

/** The steps of one kind. */
function of<Op extends Step['op']>(steps: readonly Step[], op: Op): StepOf<Op>[] {
  return steps.filter((step) => step.op === op) as StepOf<Op>[];
}

const text = (data: Uint8Array) => Buffer.from(data).toString();

/** `/sys/fs/cgroup/x/ringfort-ID/file` without what is before and in the container's own part. */
function fileIn(directory: string, path: string): string | undefined {
  return path.startsWith(`${directory}/`) ? path.slice(directory.length + 1) : undefined;
}

function cgroupLines({ prepare, teardown }: Plan): string[] {
  return of(prepare, 'mkdir').flatMap(({ path }) => {
    const writes = of(prepare, 'write').map(({ path: file, data }) => [file, text(data)] as const);
    const reads = of(teardown, 'read').map((step) => step.path);
    const unified = of(prepare, 'open').some((step) => step.path === path);
    return [
      `tree\t${dirname(path)}\t${unified ? 'unified' : 'v1'}`,
      ...writes.flatMap(([file, data]) => {
        const name = fileIn(path, file);
        return name === undefined ? [] : [`set\t${name}\t${data}`];
      }),
      ...reads.flatMap((file) => {
        const name = fileIn(path, file);
        return name === undefined ? [] : [`read\t${name}`];
      }),
    ];
  });
}

/** The slot of the root: what is pivoted into. */
function rootSlot(child: readonly Step[]): Slot {
  return of(child, 'pivotRoot')[0]?.root ?? slot.none;
}

function rootLines({ prepare, child }: Plan): string[] {
  const root = rootSlot(child);
  const shown = new Set(of(prepare, 'openTree').map(({ path }) => path));
  const inRoot = <T extends { dir: Slot; path: string }>(steps: T[]) =>
    steps.filter(({ dir }) => dir === root).map((step) => ({ ...step, path: `/${step.path}` }));
  const directories = inRoot(of(child, 'mkdir')).map(({ path }) => path);
  const files = inRoot(of(child, 'create'));
  return [
    ...directories.filter((path) => shown.has(path)).map((path) => `directory\t${path}`),
    ...files.filter(({ path }) => shown.has(path)).map(({ path }) => `file\t${path}`),
    ...inRoot(of(child, 'symlink')).map(({ target, path }) => `link\t${target}\t${path}`),
    ...files
      .filter(({ path }) => !shown.has(path))
      .map(({ path, data }) => `own\t${path}\t${text(data).replaceAll('\n', ' ')}`),
    ...directories
      .filter((path) => !shown.has(path) && path !== '/etc')
      .map((path) => `mkdir\t${path}`),
  ];
}

function wallLines({ child, attend }: Plan, filter: string): string[] {
  const ruleset = of(child, 'landlockRuleset')[0];
  return [
    ...of(child, 'mask').map(({ path }) => `mask\t/${path.replace(/^\//, '')}`),
    ...of(child, 'readonlyPath').map(({ path }) => `readonly\t/${path.replace(/^\//, '')}`),
    `ruleset\t${ruleset?.fs ?? 0}\t${ruleset?.scoped ?? 0}`,
    ...of(child, 'landlockPath').map(({ path, access }) => `landlock\t${path}\t${access}`),
    ...of(child, 'rlimit').map(
      ({ resource, soft, hard }) => `rlimit\t${resource}\t${soft} ${hard}`,
    ),
    `map\t${text(of(attend, 'procWrite')[0]?.data ?? new Uint8Array()).trim()}`,
    `filter\t${filter}`,
  ];
}

/** The kinds of steps that bench/limit has as well. */
const done: ReadonlySet<Op> = new Set<Op>([
  ...(['mkdir', 'write', 'open', 'watchOom', 'openTree'] as const),
  ...(['procWrite', 'writeFd', 'close', 'wait', 'unshare', 'setgroups', 'setgid'] as const),
  ...(['setuid', 'prctl', 'newKeyring', 'fsMount', 'attach', 'symlink', 'create'] as const),
  ...(['mountSetattr', 'sysctl', 'sethostname', 'linkUp', 'mask', 'readonlyPath'] as const),
  ...(['pivotRoot', 'landlockRuleset', 'landlockPath', 'landlockRestrict', 'fork'] as const),
  ...(['setsid', 'capBounding', 'capset', 'noNewPrivs', 'chdir', 'rlimit', 'umask'] as const),
  ...(['closeAll', 'seccomp', 'exec', 'read', 'rmdir'] as const),
]);
/** What it has no need of: our looks at what the kernel has done, and a program's own streams. */
const leftOut: ReadonlySet<Op> = new Set<Op>(['verifyFs', 'verifyDevice', 'assert', 'stdio']);

/** @throws Error for a kind of step that the limit has not: the two would not do the same */
export function checkSame(plan: Plan): void {
  const ops = sections.flatMap((name) => plan[name].map(({ op }) => op));
  const others = ops.filter((op) => !done.has(op) && !leftOut.has(op));
  if (others.length > 0) throw new Error(`bench/limit has no ${[...new Set(others)].join(', ')}`);
}

/**
 * Writes what bench/limit is to do on this host, from the default plan of `run('true')`.
 * @returns path of the file; it and the filter beside it are in a directory of their own
 */
export async function writeLimitFacts(program: string): Promise<string> {
  const id = newId();
  const plan = await planOf({ id, spec: specOf(id, program, [], {}) });
  checkSame(plan);
  const directory = mkdtempSync(join(tmpdir(), 'ringfort-limit-'));
  const filter = join(directory, 'filter.bpf');
  writeFileSync(filter, of(plan.child, 'seccomp')[0]?.filter ?? new Uint8Array());
  const lines = [
    ...cgroupLines(plan),
    ...rootLines(plan),
    ...wallLines(plan, filter),
    `program\t${program}`,
  ];
  const file = join(directory, 'facts');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return file;
}

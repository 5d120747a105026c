import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type ContainerError, errnoName, invalid, NotFoundError, StateError } from '../errors.js';
import type { SpecResources } from '../spec/types.js';
import { checkResources } from './checkResources.js';
import { currentCgroups, readWords } from './detect.js';
import { parentFacts } from './facts.js';
import { type CgroupPaths, writeControl } from './liveFiles.js';
import { liveSettings } from './liveSettings.js';
import { controllersToEnable, type UnifiedParent } from './place.js';
import { asked, type Controller, controllers, type Setting, v1Name } from './resources.js';
import { enforcedLimits } from './treeSteps.js';
import { forbidden, laterHints, unsupported } from './unavailable.js';

/** One write, with the directory it goes to. */
interface LiveSetting extends Setting {
  dir: string;
}

/**
 * Gives a running container, or one program in it, new limits. A field of -1 takes a limit away, a
 * missing one leaves it as it is; a memory limit without `swap` allows no swap, as at creation. On
 * v2 a controller is enabled in the parent for it where that can be done. When one write fails, the
 * limits that were written before are put back.
 *
 * A memory limit below what is in use: v1 refuses it when reclaim does not help (ERR_LIMIT_BUSY);
 * v2 takes it, reclaims, and kills if that does not help. The write waits for the reclaim.
 * Calls for the same container must not overlap.
 * @param paths `CgroupPlan.paths`
 * @returns fields of `linux.resources` that are enforced now, as `CgroupPlan.enforced`
 * @throws InvalidSpecError for values the kernel would refuse; UnsupportedError, PermissionError
 * (ERR_CGROUP_UNAVAILABLE) for what cannot be enforced; StateError (ERR_LIMIT_BUSY,
 * ERR_LIMIT_REFUSED) with the file as `path`; NotFoundError (ERR_CGROUP_NOT_FOUND) when it has ended
 */
export async function updateLimits(
  paths: CgroupPaths,
  resources: SpecResources,
): Promise<string[]> {
  checkResources(resources);
  refuseFixed(resources);
  const enable = controllersOnV2(paths, resources);
  const settings = collect(paths, resources, enable);
  if (enable.parent !== undefined && enable.missing.length > 0) {
    const data = enable.missing.map((name) => `+${name}`).join(' ');
    await put({ dir: enable.parent.dir, file: 'cgroup.subtree_control', data });
  }
  const undo: LiveSetting[] = [];
  try {
    for (const setting of settings) undo.unshift(await put(setting));
  } catch (error) {
    for (const setting of undo) await put(setting).catch(() => {});
    throw error;
  }
  return enforcedLimits(resources);
}

/** What only the making of a cgroup can decide. */
function refuseFixed({ devices, memory }: SpecResources): void {
  if ((devices ?? []).length > 0) {
    throw invalid('linux.resources.devices', 'nothing: device rules are for good');
  }
  if (memory?.disableOOMKiller !== undefined) {
    throw invalid('linux.resources.memory.disableOOMKiller', 'nothing: it is for good');
  }
}

interface Enable {
  parent?: UnifiedParent;
  missing: string[];
}

/** What of the v2 tree the new limits need, and which of it has to be enabled first. */
function controllersOnV2({ unified, v1 }: CgroupPaths, resources: SpecResources): Enable {
  const needed = controllers.filter(
    (name) => v1[v1Name(name)] === undefined && asked(resources, name).length > 0,
  ) as string[];
  for (const file of Object.keys(resources.unified ?? {})) {
    const [name = file] = file.split('.');
    if (name !== 'cgroup' && !needed.includes(name)) needed.push(name);
  }
  const [first] = needed;
  if (unified === undefined) {
    if (first === undefined) return { missing: [] };
    const message = `controller ${first}: this container has no cgroup that could enforce its limits`;
    throw unsupported(message, { hint: laterHints.limit });
  }
  const elsewhere = needed.map((name) => currentCgroups().v1.get(v1Name(name)));
  const at = elsewhere.findIndex((hierarchy) => hierarchy !== undefined);
  if (at >= 0) {
    const path = elsewhere[at]?.mount ?? '';
    const message = `controller ${needed[at]}: the container has no cgroup in ${path}, where this host has it`;
    throw unsupported(message, { path, hint: laterHints.limit });
  }
  const dir = dirname(unified);
  const parent: UnifiedParent = {
    path: dir,
    dir,
    isRoot: readWords(join(dir, 'cgroup.type')).length === 0,
    controllers: readWords(join(dir, 'cgroup.controllers')),
    enabled: readWords(join(dir, 'cgroup.subtree_control')),
  };
  return { parent, missing: controllersToEnable(parent, needed, () => laterHints.limit) };
}

function collect(
  { unified, v1 }: CgroupPaths,
  resources: SpecResources,
  { parent, missing }: Enable,
): LiveSetting[] {
  const settings = controllers.flatMap((controller) => {
    const inV1 = v1[v1Name(controller)];
    const onV2 = parent?.enabled.includes(controller) || missing.includes(controller);
    const dir = inV1 ?? (onV2 ? unified : undefined);
    return dir === undefined ? [] : settingsIn(dir, controller, resources, inV1 !== undefined);
  });
  const files = Object.entries(resources.unified ?? {});
  const named = unified === undefined ? [] : files.map(([file, data]) => ({ file, data }));
  return [...settings, ...named.map((setting) => ({ ...setting, dir: unified ?? '' }))];
}

function settingsIn(
  dir: string,
  controller: Controller,
  resources: SpecResources,
  isV1: boolean,
): LiveSetting[] {
  const parent = dirname(dir);
  const version = isV1 ? 1 : 2;
  const isRoot = !isV1 && readWords(join(parent, 'cgroup.type')).length === 0;
  const facts = parentFacts({ version }, { dir: parent }, isRoot);
  const current = (file: string) => {
    try {
      return readFileSync(join(dir, file), 'utf8');
    } catch {
      return undefined;
    }
  };
  const settings = liveSettings(controller, resources, facts, current);
  return settings.map((setting) => ({ ...setting, dir }));
}

/** @returns the write that takes it back */
async function put(setting: LiveSetting): Promise<LiveSetting> {
  const { dir, file, data } = setting;
  const path = join(dir, file);
  try {
    const before = readFileSync(path, 'utf8');
    await writeControl(path, data);
    return { dir, file, data: undoing(file, data, before) };
  } catch (cause) {
    throw refused(path, data, cause as NodeJS.ErrnoException);
  }
}

/** What to write to be where the file was before; keyed ones say it in one line of several. */
function undoing(file: string, data: string, before: string): string {
  const lines = before.trim().split('\n');
  if (file === 'cgroup.subtree_control') return data.replaceAll('+', '-');
  if (file === 'io.max' || file.startsWith('blkio.throttle.')) {
    const [device = ''] = data.split(' ');
    const nothing = file === 'io.max' ? 'rbps=max wbps=max riops=max wiops=max' : '0';
    return lines.find((line) => line.startsWith(`${device} `)) ?? `${device} ${nothing}`;
  }
  return lines[0] ?? '';
}

function refused(path: string, data: string, cause: NodeJS.ErrnoException): ContainerError {
  const { code = '', errno = 0, syscall = 'write' } = cause;
  const facts = { phase: 'cgroup' as const, path, errno, syscall, cause };
  const message = `${path}: cannot be set to ${data}: ${errnoName(errno)}`;
  switch (code) {
    case 'ENOENT':
    case 'ENODEV':
      return new NotFoundError('ERR_CGROUP_NOT_FOUND', message, facts);
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return forbidden(message, facts);
    case 'EBUSY':
      return new StateError('ERR_LIMIT_BUSY', message, {
        ...facts,
        hint: 'more than that is in use: end something in the container first, or ask for more',
      });
    default:
      return new StateError('ERR_LIMIT_REFUSED', message, {
        ...facts,
        hint: 'the limits of its programs, or of the cgroup around it, do not allow it',
      });
  }
}

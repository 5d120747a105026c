import { ContainerError } from '../errors.js';
import type { SpecResources } from '../spec/types.js';
import type { CgroupHost, Hierarchy } from './detect.js';
import {
  type Choice,
  controllersToEnable,
  freshDirectory,
  type Parent,
  type UnifiedParent,
  unifiedParent,
  v1Parent,
} from './place.js';
import { asked, type Controller, controllers, v1Name } from './resources.js';
import { forbidden, hint, unsupported } from './unavailable.js';

/** One cgroup that the container gets: a directory in one hierarchy. */
export interface Tree {
  hierarchy: Hierarchy;
  parent: Parent;
  dir: string;
  /** What it is made for, by v2 names. */
  controllers: Set<Controller>;
}

/** The cgroup in the v2 tree. */
export interface UnifiedTree extends Tree {
  parent: UnifiedParent;
  /** To be written to the parent's `cgroup.subtree_control` first. */
  enable: string[];
}

/** All cgroups of a container. */
export interface Layout {
  unified?: UnifiedTree;
  v1: Tree[];
  /** Where device rules go. */
  devices?: Tree;
  /** Where v1 can freeze all of it. */
  freezer?: Tree;
}

/** What must be possible besides the limits in `resources`. */
export interface Demands {
  choice: Choice;
  resources: SpecResources;
  /** CPU time must be counted: it is limited. */
  cpuTime: boolean;
  privileged: boolean;
  /**
   * The container lives: it gets cgroups of v1 controllers for what it may be asked later, too
   * (`limits`), and one to freeze where v2 cannot do it.
   */
  nested?: false | 'limits' | 'tracking';
}

/** v1 controllers that a container which lives is given wherever possible, by both names. */
const wanted = ['memory', 'pids', 'cpu', 'io'] as const satisfies readonly Controller[];

/**
 * Decides in which trees the container needs a cgroup: for each limit the tree that has its
 * controller, and the v2 tree wherever it can be used, for `cgroup.kill` and the CPU time. Where
 * there is no v2 tree, v1 cpuacct counts the time.
 * @throws UnsupportedError, PermissionError (ERR_CGROUP_UNAVAILABLE) naming the controller,
 * NotFoundError (ERR_CGROUP_NOT_FOUND), StateError (ERR_CONTAINER_EXISTS)
 */
export function layOut(host: CgroupHost, demands: Demands): Layout {
  const { choice, resources, cpuTime } = demands;
  const onUnified = new Set<Controller>();
  const v1 = new Map<Hierarchy, Tree>();
  for (const controller of controllers.filter((name) => asked(resources, name).length > 0)) {
    const hierarchy = host.v1.get(v1Name(controller));
    if (hierarchy !== undefined) addV1(v1, hierarchy, controller, choice);
    else if (host.unified !== undefined) onUnified.add(controller);
    else throw nowhere(v1Name(controller), asked(resources, controller));
  }
  const byName = unifiedControllers(host, resources);
  const deviceTree = placeDevices(host, v1, demands);
  const required = [...new Set([...onUnified, ...byName])];
  const purpose =
    required.length > 0 ? `controller ${required.join(', ')} (cgroup v2)` : 'cgroup v2';
  const demanded = required.length > 0 || deviceTree === 'unified' || hasUnified(resources);
  const unified = placeUnified(host, choice, { required, purpose, demanded });
  if (unified !== undefined) for (const name of onUnified) unified.controllers.add(name);
  if (unified === undefined) countCpuTime(host, v1, choice, cpuTime);
  if (demands.nested === 'limits') {
    for (const name of wanted) tryV1(host, v1, name, choice);
  }
  const freezer =
    unified === undefined && demands.nested ? tryV1(host, v1, 'freezer', choice) : undefined;
  const devices = deviceTree === 'unified' ? unified : deviceTree;
  return {
    ...(unified === undefined ? {} : { unified }),
    v1: [...v1.values()],
    ...(devices === undefined ? {} : { devices }),
    ...(freezer === undefined ? {} : { freezer }),
  };
}

/** v1 controllers that no field of `linux.resources` with a number asks for. */
const plain = ['devices', 'cpuacct', 'freezer'] as const;
type Plain = (typeof plain)[number];

function addV1(
  trees: Map<Hierarchy, Tree>,
  hierarchy: Hierarchy,
  controller: Controller | Plain,
  choice: Choice,
): Tree {
  let tree = trees.get(hierarchy);
  if (tree === undefined) {
    const parent = v1Parent(hierarchy, v1Name(controller), choice.parent);
    tree = { hierarchy, parent, dir: freshDirectory(parent, choice.name), controllers: new Set() };
    trees.set(hierarchy, tree);
  }
  if (!isPlain(controller)) tree.controllers.add(controller);
  return tree;
}

function isPlain(controller: string): controller is Plain {
  return (plain as readonly string[]).includes(controller);
}

/** Like `addV1`, for what may be done without: undefined where it cannot be had. */
function tryV1(
  host: CgroupHost,
  trees: Map<Hierarchy, Tree>,
  controller: Controller | Plain,
  choice: Choice,
): Tree | undefined {
  const hierarchy = host.v1.get(v1Name(controller));
  if (hierarchy === undefined) return undefined;
  try {
    return addV1(trees, hierarchy, controller, choice);
  } catch (error) {
    if (error instanceof ContainerError && error.code !== 'ERR_CONTAINER_EXISTS') return undefined;
    throw error;
  }
}

function placeUnified(
  host: CgroupHost,
  choice: Choice,
  want: { required: string[]; purpose: string; demanded: boolean },
): UnifiedTree | undefined {
  if (host.unified === undefined) return undefined;
  const parent = unifiedParent(host.unified, choice.parent, want.purpose);
  if (parent instanceof ContainerError) {
    if (want.demanded) throw parent;
    return undefined;
  }
  return {
    hierarchy: host.unified,
    parent,
    dir: freshDirectory(parent, choice.name),
    controllers: new Set(),
    enable: controllersToEnable(parent, want.required),
  };
}

/** Controllers that `resources.unified` names by its files. */
function unifiedControllers(host: CgroupHost, resources: SpecResources): string[] {
  const names = Object.keys(resources.unified ?? {}).map((file) => file.split('.')[0] ?? file);
  const [first] = names;
  if (first === undefined) return [];
  if (host.unified === undefined) {
    throw unsupported(`controller ${first}: linux.resources.unified needs cgroup v2`, {
      option: 'linux.resources.unified',
      hint: hint('missing'),
    });
  }
  return names.filter((name) => name !== 'cgroup');
}

function hasUnified(resources: SpecResources): boolean {
  return Object.keys(resources.unified ?? {}).length > 0;
}

/** Both the v1 files and eBPF programs are for CAP_SYS_ADMIN over the host only. */
function placeDevices(
  host: CgroupHost,
  trees: Map<Hierarchy, Tree>,
  { choice, resources, privileged }: Demands,
): Tree | 'unified' | undefined {
  if ((resources.devices ?? []).length === 0) return undefined;
  if (!privileged) {
    throw forbidden('controller devices: device rules need root', {
      option: 'linux.resources.devices',
      hint: 'leave them out: an ordinary user’s container can make no device nodes',
    });
  }
  const hierarchy = host.v1.get('devices');
  if (hierarchy !== undefined) return addV1(trees, hierarchy, 'devices', choice);
  if (host.unified === undefined) throw nowhere('devices', ['devices']);
  return 'unified';
}

function countCpuTime(
  host: CgroupHost,
  trees: Map<Hierarchy, Tree>,
  choice: Choice,
  demanded: boolean,
): void {
  const hierarchy = host.v1.get('cpuacct');
  if (!demanded) tryV1(host, trees, 'cpuacct', choice);
  else if (hierarchy === undefined) throw nowhere('cpuacct', ['cpuTime']);
  else addV1(trees, hierarchy, 'cpuacct', choice);
}

function nowhere(controller: string, limits: readonly string[]) {
  const message = `controller ${controller}: in no cgroup tree here, so ${limits.join(', ')} cannot be enforced`;
  return unsupported(message, { hint: hint('missing') });
}

/** Whether a v1 tree carries the cpuset controller, whose lists must be filled before any attach. */
export function carriesCpuset(tree: Tree): boolean {
  return tree.hierarchy.version === 1 && tree.hierarchy.controllers.includes('cpuset');
}

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CgroupHost } from '../../lib/cgroups/detect.js';
import type { Step } from '../../lib/plan/steps.js';
import type { Spec, SpecResources } from '../../lib/spec/types.js';

/** Makes a directory with files in it. */
export function fill(dir: string, files: Record<string, string>): void {
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text);
}

/** What the root of a v2 tree shows. */
export const v2Root = {
  'cgroup.controllers': 'cpuset cpu io memory hugetlb pids\n',
  'cgroup.subtree_control': 'memory pids\n',
  'cgroup.procs': '1\n',
};

/** A cgroup that is not the root has a type. */
export const v2Child = { ...v2Root, 'cgroup.type': 'domain\n', 'memory.swap.max': 'max\n' };

/** A host with nothing but v2, mounted at `top`. */
export function v2Host(top: string, own: string): CgroupHost {
  const unified = {
    version: 2 as const,
    mount: top,
    root: '/',
    own,
    readonly: false,
    controllers: [],
    enabled: [],
  };
  return { mode: 'v2', unified, v1: new Map() };
}

/** A host with v1 trees at `top`, one for each of the names such as `cpu,cpuacct`. */
export function v1Host(top: string, names: string[]): CgroupHost {
  const v1 = names.flatMap((name) => {
    const mount = join(top, name);
    fill(mount, { 'cpuset.effective_cpus': '0-1\n', 'cpuset.effective_mems': '0\n' });
    const base = { version: 1 as const, root: '/', own: '/', readonly: false };
    const hierarchy = { ...base, mount, controllers: name.split(',') };
    return hierarchy.controllers.map((controller) => [controller, hierarchy] as const);
  });
  return { mode: 'v1', v1: new Map(v1) };
}

/** A spec of limits. */
export function spec(resources: SpecResources, annotations: Record<string, string> = {}): Spec {
  return { ociVersion: '1.2.0', annotations, linux: { namespaces: [], resources } };
}

/** A step in a few words, with paths below `top`. */
export function word(top: string, step: Step): string {
  const path = 'path' in step ? ` ${step.path.replace(`${top}/`, '')}` : '';
  const data = 'data' in step ? ` ${new TextDecoder().decode(step.data)}` : '';
  const owner = step.op === 'chown' ? ` ${step.uid} ${step.gid}` : '';
  return `${step.op}${path}${data}${owner}`;
}

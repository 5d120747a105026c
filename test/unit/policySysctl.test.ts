import { expect, test } from '@jest/globals';
import type { ContainerOptions } from '../../lib/options.js';
import { slot } from '../../lib/plan/steps.js';
import { compilePlan } from '../../lib/policy/order.js';
import { specFromOptions } from '../../lib/spec/fromOptions.js';
import { fixedFacts } from '../helpers/facts.js';

/** The proc that the sysctls of a container are written through, of all the slots of its plan. */
function procs(options: ContainerOptions): { own: boolean; files: string[] } {
  const context = { cwd: '/', id: 'box', seccomp: () => ({ defaultAction: 'SCMP_ACT_ERRNO' }) };
  const spec = specFromOptions({ file: 'true', args: [] }, options, context as never);
  const process = spec.process;
  if (process === undefined) throw new Error('no process');
  const { plan } = compilePlan({
    spec: { ...spec, process },
    facts: {
      ...fixedFacts,
      inotifyLimits: true,
      root: { existing: new Set(['/proc', '/dev', '/sys', '/proc/sys/user']) },
    },
    fds: [0, 1, 2],
    namespaceSlot: () => slot.none,
    planCgroup: () => ({ paths: {}, enforced: {}, unshareCgroupNs: false }) as never,
    init: 'run',
    filter: { program: new Uint8Array(8), flags: 0 },
  });
  const steps = plan.child.filter((step) => step.op === 'sysctl');
  const mounted = plan.child.find((step) => step.op === 'fsMount' && step.type === 'proc');
  const own = mounted?.op === 'fsMount' ? mounted.slot : slot.none;
  const used = new Set(steps.map(({ proc }) => proc));
  if (used.size !== 1) throw new Error('more than one proc');
  return { own: used.has(own), files: steps.map(({ file }) => file) };
}

test('bounds and sysctls go through the container’s own proc', () => {
  expect(procs({})).toEqual({
    own: true,
    files: ['sys/user/max_inotify_instances', 'sys/user/max_inotify_watches'],
  });
});

test.each<[string, ContainerOptions]>([
  [
    'shows no sysctls',
    { mounts: [{ type: 'proc', destination: '/proc', options: ['subset=pid'] }] },
  ],
  ['is read-only', { mounts: [{ type: 'proc', destination: '/proc', options: ['ro'] }] }],
  ['has its sysctls covered', { mounts: [{ type: 'tmpfs', destination: '/proc/sys/user' }] }],
])('a proc that %s is left alone', (_, options) => {
  expect(procs(options).own).toBe(false);
});

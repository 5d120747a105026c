// A container runtime of your own on `ringfort/sys`: you write the plan, the launcher checks it,
// carries it out and undoes it. This one shows /usr of the host and nothing else.
//   node dist/examples/own-runtime.js
import {
  bytes,
  CloneFlags,
  clone,
  describePlan,
  MountAttr,
  OpenTree,
  PlanBuilder,
  slot,
} from 'ringfort/sys';

const AT_RECURSIVE = 0x8000;
const RESOLVE_IN_ROOT = 0x10n;
const privateMount = 1n << 18n;
const readOnly =
  MountAttr.MOUNT_ATTR_RDONLY | MountAttr.MOUNT_ATTR_NOSUID | MountAttr.MOUNT_ATTR_NODEV;

const plan = new PlanBuilder([0, 1, 2]); // slots 0, 1, 2 are our own stdio
plan.cloneFlags = BigInt(
  CloneFlags.CLONE_NEWUSER |
    CloneFlags.CLONE_NEWNS |
    CloneFlags.CLONE_NEWPID |
    CloneFlags.CLONE_NEWNET |
    CloneFlags.CLONE_NEWIPC |
    CloneFlags.CLONE_NEWUTS,
);
plan.waived = 8; // no seccomp filter: a wall that is given up must be named

// In the launcher, before the clone: a read-only copy of the host's /usr, attached nowhere yet.
const usr = plan.newSlot();
plan.add(
  'prepare',
  {
    op: 'openTree',
    slot: usr,
    dir: slot.host,
    path: '/usr',
    flags: OpenTree.OPEN_TREE_CLONE | AT_RECURSIVE,
  },
  {
    op: 'mountSetattr',
    slot: usr,
    flags: AT_RECURSIVE,
    set: BigInt(readOnly),
    clear: 0n,
    propagation: privateMount,
    userns: slot.none,
  },
);

// In the launcher, while the child waits: container root is host id 600000, which is nobody.
for (const file of ['self/uid_map', 'self/gid_map'])
  plan.add('attend', { op: 'procWrite', file, data: bytes('0 600000 1'), readBack: 0 });

// In the new process.
const root = plan.newSlot();
const proc = plan.newSlot();
const status = plan.newSlot();
plan.add(
  'child',
  { op: 'wait' },
  { op: 'setgroups', ids: new Uint8Array() },
  { op: 'setgid', gid: 0 },
  { op: 'setuid', uid: 0 },
  { op: 'fsMount', slot: root, type: 'tmpfs', options: ['size=1m', 'mode=755'], attributes: 0 },
  { op: 'attach', mount: root, root: slot.home, path: 'root', resolve: RESOLVE_IN_ROOT },
  { op: 'mkdir', dir: root, path: 'usr', mode: 0o755, existOk: 0 },
  { op: 'mkdir', dir: root, path: 'proc', mode: 0o755, existOk: 0 },
);
for (const name of ['bin', 'lib', 'lib64'])
  plan.add('child', { op: 'symlink', dir: root, target: `usr/${name}`, path: name });
plan.add(
  'child',
  { op: 'attach', mount: usr, root, path: 'usr', resolve: RESOLVE_IN_ROOT },
  { op: 'fsMount', slot: proc, type: 'proc', options: [], attributes: 0 },
  { op: 'attach', mount: proc, root, path: 'proc', resolve: RESOLVE_IN_ROOT },
  { op: 'sethostname', name: 'mine' },
  { op: 'pivotRoot', root },
  { op: 'fork', role: 0, keepCaps: 1n << 5n }, // our init stays behind as pid 1
  { op: 'stdio', stdin: 0, stdout: 1, stderr: 2 },
  { op: 'open', slot: status, dir: slot.proc, path: 'self/status', flags: 0, resolve: 0n, mode: 0 },
  { op: 'capBounding', keep: 0n },
  { op: 'capset', effective: 0n, permitted: 0n, inheritable: 0n },
  { op: 'noNewPrivs' },
  { op: 'closeAll', keep: status, also: slot.none },
  { op: 'assert', status, lines: ['CapEff:\t0000000000000000', 'NoNewPrivs:\t1'] },
  {
    op: 'exec',
    candidates: ['/usr/bin/sh'],
    argv: ['sh', '-c', 'hostname; ls /; echo pid $$'],
    env: ['PATH=/usr/bin'],
  },
);

const built = plan.build();
console.log(describePlan(built));
const container = await clone(built);
console.log('ended:', (await container.ended).exitCode);

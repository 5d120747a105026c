import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv } from 'node:process';
import { fileURLToPath } from 'node:url';
import { encodeRequest, type FileOp, fileOps } from '../../lib/files/protocol.js';
import { request } from '../../lib/launcher/messages.js';
import { loadBinding } from '../../lib/native/load.js';
import { encodePlan } from '../../lib/plan/encode.js';
import { type Plan, planFlag, slot, stepTable, wall } from '../../lib/plan/steps.js';
import { everyStep, programPlan } from './plans.js';

/** Where the fuzzers' seeds lie: a folder for each target. */
export const corpusFolder = fileURLToPath(new URL('../../../test/native/corpus/', import.meta.url));

const all = Object.values(wall).reduce((sum, bit) => sum | bit, 0);

const bare: Plan = {
  cloneFlags: 0n,
  intoCgroup: slot.none,
  fds: [],
  slotCount: 0,
  waived: all,
  prepare: [],
  attend: [],
  child: [{ op: 'wait' }, { op: 'exec', candidates: ['/bin/true'], argv: ['true'], env: [] }],
  teardown: [],
};

/** A program that waits, and what it is told. */
const parked: Plan = {
  ...bare,
  flags: planFlag.inside | planFlag.park,
  child: [{ op: 'closeAll', keep: slot.none, also: slot.none }, { op: 'park' }],
};
const release: Plan = {
  ...bare,
  fds: [0, 1, 2],
  slotCount: 3,
  waived: 0,
  flags: planFlag.release,
  prepare: [{ op: 'write', dir: slot.host, path: 'cgroup/memory.max', data: Uint8Array.of(0x31) }],
  child: [
    { op: 'stdio', stdin: 0, stdout: 1, stderr: 2 },
    { op: 'closeAll', keep: slot.none, also: slot.none },
    { op: 'chdir', path: '/' },
    { op: 'rlimit', resource: 7, soft: 1024n, hard: 1024n },
    { op: 'umask', mask: 0o22 },
    { op: 'exec', candidates: ['/bin/true'], argv: ['true', ''], env: ['A=1'] },
  ],
};

const lists = ['', 'a', 'ab', 'abc', 'abcd', '€ 𝄞', 'x'.repeat(300)];

const cgroupTeardown = programPlan(['/usr/bin/true'], {
  teardown: [
    { op: 'write', dir: slot.host, path: 'cgroup/cgroup.kill', data: Uint8Array.of(0x31) },
    { op: 'read', dir: slot.host, path: 'cgroup/memory.peak', max: 64 },
    { op: 'rmdir', dir: slot.host, path: 'cgroup' },
  ],
});

/** What recvmsg fills in, as messages_fuzz.cc takes it apart. */
function message(flags: number, fds: readonly number[], type: number, body: Buffer): Buffer {
  const control = Buffer.alloc(fds.length === 0 ? 0 : (16 + 4 * fds.length + 7) & ~7);
  if (fds.length > 0) {
    control.writeBigUInt64LE(BigInt(16 + 4 * fds.length), 0);
    control.writeUInt32LE(1, 8);
    control.writeUInt32LE(1, 12);
    for (const [index, fd] of fds.entries()) control.writeInt32LE(fd, 16 + 4 * index);
  }
  const header = Buffer.alloc(16);
  for (const [index, value] of [type, 7, 0, body.length].entries())
    header.writeUInt32LE(value, 4 * index);
  return Buffer.concat([Buffer.of(flags, control.length / 2), control, header, body]);
}

/** One request of each kind to the file agent, with all that it can carry. */
function fileRequests(): Record<string, Buffer> {
  const entries = Object.entries(fileOps) as [FileOp, (typeof fileOps)[FileOp]][];
  return Object.fromEntries(
    entries.map(([op, [paths, data]], index) => [
      `file_agent_fuzz/${op}`,
      encodeRequest(op, index + 1, {
        ...(paths > 0 && { path: Buffer.from(`/tmp/${op}`) }),
        ...(paths > 1 && { path2: Buffer.from('other €') }),
        ...(data > 0 && { data: Buffer.from('value') }),
        flags: index % 4,
        numbers: [0o644, -1n, 1n << 40n],
      }),
    ]),
  );
}

/** The fuzzers' seeds by file name: real plans and messages, a few KiB in all. */
export function corpus(): Record<string, Buffer> {
  const body = encodePlan(bare);
  return {
    'reader_fuzz/bare': body,
    'reader_fuzz/program': encodePlan(programPlan(['/usr/bin/true'])),
    'reader_fuzz/lists': encodePlan(programPlan(['/usr/bin/env', ...lists], { env: lists })),
    'reader_fuzz/teardown': encodePlan(cgroupTeardown),
    'reader_fuzz/every-step': encodePlan(everyStep(loadBinding().steps, stepTable)),
    'reader_fuzz/parked': encodePlan(parked),
    'reader_fuzz/release': encodePlan(release),
    'messages_fuzz/signal': message(0, [], request.signal, Buffer.alloc(0)),
    'messages_fuzz/launch': message(0, [], request.launch, body),
    'messages_fuzz/release': message(0, [3, 4, 5], request.release, encodePlan(release)),
    'messages_fuzz/descriptors': message(0, [3, 4, 5], request.launch, body),
    'messages_fuzz/most': message(0, Array<number>(64).fill(3), request.launch, body),
    'messages_fuzz/surplus': message(0, Array<number>(65).fill(3), request.launch, body),
    'messages_fuzz/cut': message(0x20, [3], request.launch, body),
    ...fileRequests(),
  };
}

// Run as a program, it writes them.
if (argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, data] of Object.entries(corpus())) {
    const path = join(corpusFolder, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, data);
  }
}

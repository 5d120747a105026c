import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { abis } from '../lib/seccomp/abis.js';
import { offset, Program } from '../lib/seccomp/bpf.js';
import { compileSeccomp } from '../lib/seccomp/compile.js';
import { defaultProfile } from '../lib/seccomp/default.js';
import { addOutcome } from '../lib/seccomp/outcome.js';
import type { OciSeccomp } from '../lib/seccomp/profile.js';
import { notThere, type Range, toRanges } from '../lib/seccomp/ranges.js';
import type { SeccompArchitecture } from '../lib/seccomp/words.js';

/*
 * What the kernel takes to load our default filter, beside the same rules laid out otherwise:
 * `node dist/bench/seccompLoad.js [rounds]`. The figures stand in docs/decisions/0007.
 */

const allow = 0x7fff0000;

/** One test for each number, as libseccomp lays filters out unless it is asked for a tree. */
function addNumbers(program: Program, ranges: readonly Range[]): number {
  let next = program.result(notThere);
  for (const [i, { first, outcome }] of [...ranges.entries()].reverse()) {
    const end = ranges[i + 1]?.first ?? first;
    if (outcome.checks.length === 0 && outcome.otherwise === notThere) continue;
    for (let nr = end - 1; nr >= first; nr--)
      next = program.jump('jeq', nr, addOutcome(program, outcome), next);
  }
  return next;
}

/** One test for each range, in their order. */
function addChain(program: Program, ranges: readonly Range[]): number {
  const [last] = ranges.slice(-1);
  let next = last === undefined ? 0 : addOutcome(program, last.outcome);
  for (const [i, { outcome }] of [...ranges.entries()].slice(0, -1).reverse())
    next = program.jump('jge', ranges[i + 1]?.first ?? 0, next, addOutcome(program, outcome));
  return next;
}

function linear(profile: OciSeccomp, add: typeof addNumbers): Uint8Array {
  const [native, ...others] = abis[process.arch as 'x64' | 'arm64'];
  const used = [native, ...others.filter(({ name }) => profile.architectures?.includes(name))];
  const program = new Program();
  let next = program.result(notThere);
  for (const audit of [...new Set(used.map((abi) => abi.audit))].reverse()) {
    const own = used.filter((abi) => abi.audit === audit);
    const label = program.load(
      offset.nr,
      add(
        program,
        toRanges(profile, own, () => true),
      ),
    );
    next = program.jump('jeq', audit, label, next);
  }
  return program.encode(program.load(offset.arch, next));
}

function tree(profile: OciSeccomp): Uint8Array {
  return compileSeccomp(profile, { arch: process.arch as 'x64' | 'arm64' }).filter;
}

/** As many tests of the number as it takes to have this length, all of which allow. */
function short(length: number): Uint8Array {
  const program = new Program();
  const result = program.result(allow);
  let next = program.result(allow + 1);
  while (program.length < length - 1)
    next = program.jump('jeq', 1000 + program.length, result, next);
  return program.encode(program.load(offset.nr, next));
}

const subArchitectures: SeccompArchitecture[] = ['SCMP_ARCH_X86', 'SCMP_ARCH_X32', 'SCMP_ARCH_ARM'];
const own = defaultProfile();
const all = { ...own, architectures: subArchitectures };
const filters: [name: string, filter: Uint8Array][] = [
  ['allow all', allowAll()],
  ['20 tests that allow', short(20)],
  ['ours: a tree of ranges', tree(own)],
  ['the same ranges in a chain', linear(own, addChain)],
  ['the same rules, a test for each number', linear(own, addNumbers)],
  ['ours with the 32-bit ABIs', tree(all)],
  ['those in a chain', linear(all, addChain)],
  ['those, a test for each number', linear(all, addNumbers)],
];

function allowAll(): Uint8Array {
  const program = new Program();
  return program.encode(program.result(allow));
}

function measure(rounds: number): number[][] {
  const directory = mkdtempSync(join(tmpdir(), 'ringfort-bench-'));
  try {
    const source = fileURLToPath(new URL('../../bench/seccomp/load.c', import.meta.url));
    const program = join(directory, 'load');
    execFileSync('gcc', ['-O2', '-o', program, source]);
    const files = filters.map(([, filter], i) => {
      const file = join(directory, `${i}.bpf`);
      writeFileSync(file, filter);
      return file;
    });
    const lines = execFileSync(program, [String(rounds), ...files], { encoding: 'utf8' });
    return lines
      .trim()
      .split('\n')
      .map((line) => line.trim().split(' ').map(Number));
  } finally {
    rmSync(directory, { recursive: true });
  }
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.floor(share * (sorted.length - 1))] ?? Number.NaN;
}

const rounds = Number(process.argv[2] ?? 300);
const measured = measure(rounds);
console.log(`Linux ${release()}, ${cpus()[0]?.model}, ${rounds} rounds, µs\n`);
console.log('| filter | instructions | median | min | p90 | × ours |');
console.log('|---|---|---|---|---|---|');
const ours = measured.map((row) => row[2] ?? 0);
for (const [i, [name, filter]] of filters.entries()) {
  const sorted = measured.map((row) => row[i] ?? 0).sort((a, b) => a - b);
  const ratios = measured
    .map((row, round) => (row[i] ?? 0) / (ours[round] ?? 1))
    .sort((a, b) => a - b);
  const us = (ns: number) => (ns / 1000).toFixed(0);
  const cells = [name, filter.length / 8, ...[0.5, 0, 0.9].map((q) => us(quantile(sorted, q)))];
  console.log(`| ${cells.join(' | ')} | ${quantile(ratios, 0.5).toFixed(2)} |`);
}

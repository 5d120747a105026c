import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { abis, type Machine } from '../../lib/seccomp/abis.js';
import { compileSeccomp } from '../../lib/seccomp/compile.js';
import { defaultProfile } from '../../lib/seccomp/default.js';
import { capabilityNames } from '../../lib/spec/names.js';
import { Filter } from '../helpers/bpf.js';
import { dockerAnswer, named, source } from '../helpers/dockerDefault.js';

const document = new URL('../../../docs/seccomp-differences.md', import.meta.url);
const machines: Machine[] = ['x64', 'arm64'];
const answers: Readonly<Record<number, string>> = {
  2147418112: 'yes',
  327681: 'EPERM',
  327718: 'ENOSYS',
  327773: 'EPROTONOSUPPORT',
  327777: 'EAFNOSUPPORT',
};

type Answer = (name: string, args: readonly bigint[], capabilities: readonly string[]) => string;

/** Our default profile, compiled and run. */
function ownAnswer(machine: Machine): Answer {
  const { audit, numbers } = abis[machine][0];
  const filters = new Map<string, Filter>();
  return (name, args, capabilities) => {
    const key = capabilities.join();
    const known =
      filters.get(key) ??
      new Filter(compileSeccomp(defaultProfile({ capabilities }), { arch: machine }).filter);
    filters.set(key, known);
    const value = known.run({ nr: numbers.get(name) as number, arch: audit, args });
    return answers[value] ?? String(value);
  };
}

/** What decides about a call in words: to everyone, else what opens it and what others get. */
function decision(answer: Answer, name: string, args: readonly bigint[]): string {
  const plain = answer(name, args, []);
  if (plain === 'yes') return 'yes';
  const opens = capabilityNames.filter((each) => answer(name, args, [each]) === 'yes');
  const refused = plain === 'EPERM' ? 'no' : `no (${plain})`;
  return opens.length === 0 ? refused : `${opens.join(', ')}${refused.slice(2)}`;
}

/** Calls whose arguments one of the two looks at: what to ask, by the name of a row. */
function variants(name: string): [row: string, args: readonly bigint[]][] {
  const domains = Array.from({ length: 64 }, (_, i): [string, bigint[]] => [
    `socket ${i}`,
    [BigInt(i), 1n, 0n],
  ]);
  const protocols: [string, bigint[]][] = [
    ['socket TCP', [2n, 1n, 6n]],
    ['socket MPTCP', [10n, 1n, 262n]],
    ['socket SMC', [2n, 1n, 256n]],
    ['socket SCTP', [10n, 1n, 132n]],
    ['socket UDP', [10n, 2n, 17n]],
    ['socket ICMP', [2n, 2n, 1n]],
    ['socket L2TP', [2n, 2n, 115n]],
    ['socket UDP-Lite', [2n, 2n, 136n]],
    ['socket of SOCK_SEQPACKET', [2n, 5n, 0n]],
    ['socket of SOCK_DCCP', [10n, 6n, 33n]],
    ['socket of SOCK_RAW', [2n, 3n, 1n]],
  ];
  const pairs = [1n, 2n, 16n, 30n].map((i): [string, bigint[]] => [`socketpair ${i}`, [i]]);
  switch (name) {
    case 'socket':
      return [...domains, ...protocols];
    case 'socketpair':
      return pairs;
    case 'personality':
      return [0n, 8n, 0x20000n, 0x20008n, 0xffffffffn, 0x40000n, 1n].map((i) => [
        `personality ${i}`,
        [i],
      ]);
    case 'clone':
      return [17n, ...[17, 25, 26, 27, 28, 29, 30].map((bit) => 1n << BigInt(bit))].map((i) => [
        `clone ${i}`,
        [i],
      ]);
    case 'ioctl':
      return [
        ['ioctl TIOCSTI', [0n, 0x5412n]],
        ['ioctl TIOCLINUX', [0n, 0x541cn]],
        ['ioctl TIOCSETD', [0n, 0x5423n]],
        ['ioctl TCGETS', [0n, 0x5401n]],
      ];
    case 'setsockopt':
      return [
        ['setsockopt SO_REUSEADDR', [0n, 1n, 2n]],
        ['setsockopt SO_ATTACH_FILTER', [0n, 1n, 26n]],
        ['setsockopt SO_ATTACH_BPF', [0n, 1n, 50n]],
        ['setsockopt SO_ATTACH_REUSEPORT_CBPF', [0n, 1n, 51n]],
        ['setsockopt SO_ATTACH_REUSEPORT_EBPF', [0n, 1n, 52n]],
      ];
    case 'setrlimit':
      return [
        ['setrlimit RLIMIT_CORE', [4n, 1n]],
        ['setrlimit RLIMIT_NOFILE', [7n, 1n]],
      ];
    case 'prlimit64':
      return [
        ['prlimit64 reads', [1n, 4n, 0n, 1n]],
        ['prlimit64 sets own RLIMIT_NOFILE', [0n, 7n, 1n, 0n]],
        ['prlimit64 sets own RLIMIT_CORE', [0n, 4n, 1n, 0n]],
        ["prlimit64 sets another process's", [7n, 7n, 1n, 0n]],
      ];
    default:
      return [[name, []]];
  }
}

/** `docker | ringfort` by row, of all that differ. */
function differences(): Map<string, string> {
  const rows = new Map<string, string>();
  for (const machine of machines) {
    const own = ownAnswer(machine);
    for (const name of abis[machine][0].numbers.keys())
      for (const [row, args] of variants(name)) {
        const [docker, ringfort] = [decision(dockerAnswer, name, args), decision(own, name, args)];
        if (docker !== ringfort) rows.set(row, `${docker} | ${ringfort}`);
      }
  }
  return rows;
}

/** Rows of the document: several calls may share one, with numbers as in `socket 3-9, 11`. */
function written(text: string): { rows: Map<string, string>; reasons: string[] } {
  const rows = new Map<string, string>();
  const reasons: string[] = [];
  for (const line of text.split('\n').filter((each) => /^\| `/.test(each))) {
    const [, calls = '', docker, ringfort, why = ''] = line.split('|').map((cell) => cell.trim());
    reasons.push(why);
    for (const call of calls.replaceAll('`', '').split(/,\s*/).flatMap(expand))
      rows.set(call, `${docker} | ${ringfort}`);
  }
  return { rows, reasons };
}

function expand(call: string): string[] {
  const [, name = '', first, last = first] =
    /^(socket|socketpair) (\d+)(?:-(\d+))?$/.exec(call) ?? [];
  if (first === undefined) return [call];
  return Array.from(
    { length: Number(last) - Number(first) + 1 },
    (_, i) => `${name} ${Number(first) + i}`,
  );
}

test("each difference to docker's default profile is written down, with its reason", () => {
  const text = readFileSync(document, 'utf8');
  const { rows, reasons } = written(text);
  expect(Object.fromEntries(rows)).toEqual(Object.fromEntries(differences()));
  expect(reasons.filter((why) => why.length < 20)).toEqual([]);
  expect(text).toContain(`${source.repository}`);
  expect(text).toContain(source.commit);
});

test("what the table of docker's profile names is a call of ours", () => {
  const known = machines.flatMap((machine) => [...abis[machine][0].numbers.keys()]);
  expect(named.filter((name) => !known.includes(name))).toEqual([]);
  expect(dockerAnswer('read', [], [])).toBe('yes');
});

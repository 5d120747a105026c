import { planOf } from '../../lib/launch.js';
import type { CreateOptions } from '../../lib/options.js';
import { encodePlan } from '../../lib/plan/encode.js';
import { bytes } from '../../lib/plan/steps.js';
import { newId, specOf } from '../../lib/specOf.js';
import type { TextOptions } from '../helpers/containers.js';
import { manyIds } from '../helpers/requirements.js';
import type { Bench } from './bench.js';
import type { Check } from './check.js';
import { hostRoot, noAssert, powers } from './openings.js';
import { alter, edits, insertBefore, type PlanEdit } from './planEdit.js';

const long = 'x'.repeat(66_000);

/** What the guest is given as arguments, whatever was asked for. */
function withArgv(change: (argv: readonly string[]) => readonly string[]): PlanEdit {
  return alter('exec', (step) => ({ ...step, argv: change(step.argv) }));
}

const mapOf = (hostID: number, size: number, containerID = 0) => [{ containerID, hostID, size }];
/** Maps as a user could send them. */
const badMaps: Readonly<Record<string, unknown>> = {
  newline: mapOf('1\n0 0 1' as never, 1),
  negative: mapOf(-1, 1),
  empty: mapOf(100_000, 0),
  wrap: mapOf(2 ** 32 - 1, 2),
  host: mapOf(0, 1),
  overlap: [...mapOf(100_000, 10), ...mapOf(100_005, 10, 10)],
  many: Array.from({ length: 341 }, (_, i) => mapOf(100_000 + i, 1, i)[0]),
};
const forwarding = '/proc/sys/net/ipv4/ip_forward';
const badSysctls: readonly [string, string][] = [
  ['kernel/../kernel/domainname', 'x'],
  ['net.ipv4/../../kernel/domainname', 'x'],
  ['kernel.core_pattern', '|/x'],
  ['net.ipv4.ip_forward', '1\0'],
];

/** The first of these options that is not refused as it must be. */
async function refusals(
  list: readonly TextOptions[],
  guest: (options: TextOptions) => Promise<string>,
): Promise<string> {
  for (const options of list) {
    const answer = await guest(options);
    if (answer !== 'refused: ERR_INVALID_OPTION') return answer;
  }
  return 'refused: ERR_INVALID_OPTION';
}

/** What other runtimes, and ringfort itself in a spec, are told by annotations. */
const steering = {
  'run.oci.keep_original_groups': '1',
  'run.oci.handler': 'krun',
  'run.oci.hooks.stderr': '/tmp/x',
  'org.criu.config': '/tmp/x',
  'io.containerd.runc.v2.group': 'x',
  'io.kubernetes.cri-o.Devices': '/dev/kmsg',
  'io.katacontainers.config.hypervisor.path': '/tmp/x',
  'com.docker.network.bridge.name': 'x',
};

/** Whether a container's plan is another with these options. */
async function changesPlan(bench: Bench, options: TextOptions): Promise<string> {
  const id = newId();
  const bytesOf = async (each: TextOptions) =>
    Buffer.from(encodePlan(await planOf({ id, spec: specOf(id, 'true', [], each) })));
  // One after the other: two at once have ids of their own.
  const without = await bytesOf(bench.base);
  const withThem = await bytesOf({ ...bench.base, ...options });
  return without.equals(withThem) ? 'the same plan' : 'another plan';
}

export const specChecks: readonly Check[] = [
  {
    id: '33',
    attack: 'annotations that steer other runtimes, or ours (CVE-2026-53488)',
    walls: 'none is read by anything of the launch; ours are refused',
    async attempt(bench, opening) {
      const own = { annotations: { 'org.ringfort.landlock': 'off' } };
      const refused = await bench.guest(['ids'], opening, own);
      return `${refused}, ${await changesPlan(bench, { annotations: steering, ...opening?.options })}`;
    },
    control: (bench) => changesPlan(bench, { landlock: 'off' }),
    held: /^refused: ERR_INVALID_OPTION, the same plan$/,
    broken: /another plan$/,
    oracle: {
      what: 'that rule (what one of ours says is an option)',
      options: { landlock: 'off' },
    },
  },
  {
    id: '25',
    attack:
      'an argument above 65,535 bytes: a length that wraps makes the rest steps (CVE-2021-43784)',
    walls: 'lengths of 32 bits, every record checked before a step runs',
    control: (bench) => bench.host('arguments', long.slice(0, 66_000 % 65_536)),
    attempt: (bench, opening) => bench.guest(['arguments', long], opening),
    held: /^1 66000$/,
    broken: /^1 464$/,
    oracle: {
      what: 'the length (the argument is cut as it would be)',
      edit: withArgv((argv) => argv.map((arg) => arg.slice(0, arg.length % 65_536))),
    },
  },
  {
    id: '25-huge',
    attack: 'an argument of 1 MiB',
    walls: 'the kernel’s E2BIG, as a typed error',
    attempt: (bench) => bench.guest(['arguments', 'x'.repeat(1 << 20)], undefined),
    control: (bench) => bench.guest(['arguments', 'x'.repeat(1 << 16)], undefined),
    held: /^refused: /,
    broken: /^1 \d+$/,
    oracle: { none: 'MAX_ARG_STRLEN is the kernel’s' },
  },
  {
    id: '26',
    attack: 'a NUL inside an argument: the guest gets less than what was checked',
    walls: 'refused in TypeScript and by the launcher',
    attempt: (bench, opening) =>
      bench.guest(['echo', opening === undefined ? 'a\0b' : 'ab'], opening),
    control: (bench) => bench.host('echo', 'a'),
    held: /^refused: ERR_INVALID_OPTION$/,
    broken: /^a$/,
    oracle: {
      what: 'both (the argument is cut as a C string would be)',
      edit: withArgv((argv) => argv.map((arg) => (arg === 'ab' ? 'a' : arg))),
    },
  },
  {
    id: '26-native',
    attack: 'the same by a faulty compiler of plans',
    walls: 'the launcher refuses strings with a NUL',
    attempt: (bench) =>
      bench.guest(['echo', 'ab'], {
        what: 'a faulty compiler',
        edit: withArgv((argv) => argv.map((arg) => (arg === 'ab' ? 'a\0b' : arg))),
      }),
    control: (bench) =>
      bench.guest(['echo', 'ab'], { what: 'nothing', edit: withArgv((argv) => argv) }),
    held: /^refused: /,
    broken: /^ab?$/,
    oracle: {
      what: 'that',
      mutations: [
        { file: 'reader.cc', from: 'if (arg->text[i] == 0) return false;', to: 'continue;' },
      ],
    },
  },
  {
    id: '28',
    attack: 'sysctls with `/`, `..` and a value that names another (CVE-2022-0811)',
    walls: 'a list of namespaced names; the path is resolved beneath the launcher’s proc',
    control: (bench) =>
      bench.guest(['show', forwarding], undefined, { sysctl: { 'net.ipv4.ip_forward': '1' } }),
    attempt: (bench, opening) =>
      opening === undefined
        ? refusals(
            badSysctls.map(([name, value]) => ({ sysctl: { [name]: value } })),
            (options) => bench.guest(['echo', 'x'], undefined, options),
          )
        : bench.guest(['show', forwarding], opening),
    held: /^refused: ERR_INVALID_OPTION$/,
    broken: /^1$/,
    oracle: {
      what: 'the list of names',
      edit: insertBefore('child', 'linkUp', [
        {
          op: 'procWrite',
          file: 'sys/net/ipv4/../ipv4/ip_forward',
          data: bytes('1'),
          readBack: 0,
        },
      ]),
    },
  },
  {
    id: '29',
    attack: 'id maps with a newline, −1, size 0, wrap, overlap, 341 extents, host id 0',
    walls: 'integers, checked before the clone and written by ourselves',
    attempt: (bench, opening) =>
      opening === undefined
        ? refusals(
            Object.values(badMaps).map((map) => {
              const maps = { uidMappings: map, gidMappings: map };
              return maps as Pick<CreateOptions, 'uidMappings' | 'gidMappings'>;
            }),
            (options) => bench.guest(['show', '/proc/self/uid_map'], undefined, options),
          )
        : bench.guest(['show', '/proc/self/uid_map'], opening),
    held: /^refused: ERR_INVALID_OPTION$/,
    broken: /^0 +0 +1$/,
    oracle: {
      what: 'those checks (the plan maps host id 0)',
      needs: [hostRoot],
      edit: edits(
        alter('procWrite', (step) =>
          /^self\/[ug]id_map$/.test(step.file) ? { ...step, data: bytes('0 0 1\n') } : step,
        ),
      ),
    },
  },
  {
    id: '31',
    attack: 'a program named like an option (CVE-2024-32462)',
    walls: 'argv as it is; there is no command line in between',
    control: (bench) => bench.run('/bin/sh', ['-c', 'echo taken'], undefined, bench.base),
    attempt: (bench, opening) => bench.run('-c', ['echo taken'], opening, { ...bench.base }),
    held: /^refused: ERR_PROGRAM_NOT_FOUND$/,
    broken: /^taken$/,
    oracle: {
      what: 'that rule (a plan puts a shell before it)',
      edit: alter('exec', (step) => ({
        ...step,
        candidates: ['/bin/sh'],
        argv: ['sh', ...step.argv],
      })),
    },
  },
  {
    id: '32',
    attack: 'supplementary groups of Node’s that the guest keeps (CVE-2022-36109)',
    walls: 'the exact list is set, and read back before the exec',
    needs: [manyIds],
    attempt: (bench, opening) =>
      bench.run('grep', ['Groups', '/proc/self/status'], opening, bench.base),
    held: /^Groups:$/,
    broken: /^Groups:\s*7$/,
    oracle: {
      what: 'the empty list, the assertion',
      edit: edits(
        noAssert,
        alter('setgroups', (step) => ({ ...step, ids: new Uint8Array([7, 0, 0, 0]) })),
      ),
    },
  },
  {
    id: '32-drop',
    attack: 'drop a group, to get past a file that denies it (CVE-2014-8989)',
    walls: 'no capability; setgroups is denied where an ordinary user has one id',
    attempt: (bench, opening) => bench.guest(['setgroups'], opening),
    held: /^EPERM$/,
    broken: /^ok$/,
    oracle: { ...powers('CAP_SETGID'), needs: [manyIds] },
  },
];

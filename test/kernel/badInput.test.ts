import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ContainerError, run } from '../../lib/index.js';
import { expectNoLeaks, type Snapshot, snapshot } from '../helpers/leaks.js';
import { cgroups, suite } from '../helpers/needs.js';

/** What is wrong, the arguments of `run`, the option that the error must name, and its code. */
type Row = [name: string, args: unknown[], option: string, code?: string];

suite('bad input', [cgroups], () => {
  let before: Snapshot;
  beforeAll(async () => {
    await run('true');
  });
  beforeEach(() => {
    before = snapshot();
  });

  const refuses = (rows: Row[]) =>
    test.each(rows)('%s', async (_, args, option, code = 'ERR_INVALID_OPTION') => {
      const error = await (run as (...given: unknown[]) => Promise<unknown>)(...args).then(
        () => 'it ran',
        (thrown) => thrown,
      );
      expect(error).toBeInstanceOf(ContainerError);
      expect(error).toMatchObject({ code, option });
      expect((error as Error).message).toContain(option);
      await expectNoLeaks(before);
    });
  const withOptions = (rows: [string, unknown, string, string?][]) =>
    refuses(rows.map(([name, options, ...rest]) => [name, ['true', [], options], ...rest]));

  describe('misspelt', () => {
    withOptions([
      ['an option', { tiemout: 5 }, 'tiemout'],
      ['a limit', { limits: { memroy: '1GiB' } }, 'limits.memroy'],
      ['a namespace', { namespaces: { network: 'new' } }, 'namespaces.network'],
      ['a word', { maxBufferAction: 'drop' }, 'maxBufferAction'],
      ['a capability', { capabilities: ['CAP_SYS_ADMN'] }, 'capabilities[0]'],
      ['a signal', { killSignal: 'SIGTREM' }, 'killSignal'],
      ['a unit', { limits: { memory: '64MiBs' } }, 'limits.memory'],
      ['a mount option', { mounts: ['/usr:/opt:readonly'] }, 'mounts[0].options[0]'],
      ['an rlimit', { rlimits: { RLIMIT_NOFILES: 1 } }, 'rlimits.RLIMIT_NOFILES'],
      [
        'a sysctl that is the host’s',
        { sysctl: { 'kernel.panic': '1' } },
        'sysctl["kernel.panic"]',
      ],
    ]);
  });

  describe('contradictory', () => {
    withOptions([
      [
        'a user of a root that is not there',
        { rootfs: '/no/such/root', user: 'ann' },
        'rootfs',
        'ERR_SOURCE_NOT_FOUND',
      ],
      ['user and uid', { user: 'root', uid: 0 }, 'uid'],
      ['input and stdio', { input: 'x', stdio: 'ignore' }, 'stdio'],
      ['no limits, and resources', { limits: 'none', resources: {} }, 'resources'],
      ['a writable host root', { rootfs: 'host', readonly: false }, 'readonly'],
      ['two networks', { network: 'host', namespaces: { net: 'new' } }, 'namespaces.net'],
      ['one map of two', { uidMappings: [{ containerID: 0, hostID: 9, size: 1 }] }, 'gidMappings'],
      ['two mounts on one place', { mounts: ['/usr:/opt', '/bin:/opt/'] }, 'mounts[1]'],
      ['a terminal and input', { pty: { cols: 80, rows: 24 }, input: 'x' }, 'input'],
      ['a hostname for the host', { namespaces: { uts: 'host' }, hostname: 'x' }, 'hostname'],
      ['offsets without a clock', { timeOffsets: { monotonic: 1 } }, 'timeOffsets'],
    ]);
  });

  describe('a NUL byte', () => {
    refuses([
      ['in the program', ['tr\0ue'], 'file'],
      ['in an argument', ['true', ['a', 'b\0']], 'args[1]'],
    ]);
    withOptions([
      ['in a variable', { env: { A: 'x\0y' } }, 'env.A'],
      ['in a name', { env: { 'A\0': 'x' } }, 'env["A\\u0000"]'],
      ['in the directory', { cwd: '/tmp\0' }, 'cwd'],
      ['in the root', { rootfs: '/tmp\0' }, 'rootfs'],
      ['in a mount', { mounts: ['/usr\0:/opt'] }, 'mounts[0]'],
      ['in the host name', { hostname: 'a\0b' }, 'hostname'],
    ]);
  });

  describe('out of range', () => {
    withOptions([
      ['a negative uid', { uid: -1 }, 'uid'],
      ['a uid of 2^32', { uid: 2 ** 32 }, 'uid'],
      ['the uid that means none', { uid: 2 ** 32 - 1 }, 'uid'],
      ['a uid that is not mapped', { uid: 2 ** 31 }, 'uid'],
      ['a group', { groups: [0.5] }, 'groups[0]'],
      ['a mask', { umask: 0o1000 }, 'umask'],
      ['a timeout', { timeout: 2 ** 31 }, 'timeout'],
      ['a delay', { forceKillAfterDelay: -1 }, 'forceKillAfterDelay'],
      ['a score', { oomScoreAdj: 1001 }, 'oomScoreAdj'],
      [
        'the host’s root',
        {
          uidMappings: [{ containerID: 0, hostID: 0, size: 1 }],
          gidMappings: [{ containerID: 0, hostID: 9, size: 1 }],
        },
        'uidMappings[0].hostID',
      ],
    ]);
  });

  describe('a limit that the kernel would not take, or not keep', () => {
    withOptions([
      ['memory', { limits: { memory: '64KiB' } }, 'limits.memory'],
      ['pids', { limits: { pids: 0 } }, 'limits.pids'],
      ['cpus', { limits: { cpus: 0.001 } }, 'limits.cpus'],
      ['cpuWeight', { limits: { cpuWeight: 0 } }, 'limits.cpuWeight'],
      ['cpuTime', { limits: { cpuTime: 0 } }, 'limits.cpuTime'],
      ['cpuset', { limits: { cpuset: '3-1' } }, 'limits.cpuset'],
      ['nofile', { limits: { nofile: 0 } }, 'limits.nofile'],
      ['swap', { limits: { swap: -1 } }, 'limits.swap'],
    ]);
  });

  describe('a namespace', () => {
    withOptions([
      ['of mounts that is the host’s', { namespaces: { mount: 'host' } }, 'namespaces.mount'],
      ['by path and pid', { namespaces: { net: { path: '/x', pid: 1 } } }, 'namespaces.net'],
      [
        'that is not there',
        { namespaces: { net: { path: '/no/such' } } },
        'namespaces.net',
        'ERR_NAMESPACE_NOT_FOUND',
      ],
      [
        'of a process that is not there',
        { namespaces: { ipc: { pid: 4194303 } } },
        'namespaces.ipc',
        'ERR_NAMESPACE_NOT_FOUND',
      ],
      ['that is none', { namespaces: { uts: { path: '/dev/null' } } }, 'namespaces.uts'],
    ]);
  });

  describe('not there', () => {
    let empty: string;
    beforeAll(() => {
      empty = mkdtempSync(join(tmpdir(), 'ringfort-empty-'));
    });
    afterAll(() => rmSync(empty, { recursive: true }));

    withOptions([
      ['a root', { rootfs: '/no/such/root' }, 'rootfs', 'ERR_SOURCE_NOT_FOUND'],
      ['a root that is a file', { rootfs: '/etc/passwd' }, 'rootfs', 'ERR_SOURCE_NOT_FOUND'],
      [
        'a layer',
        { rootfs: { lower: ['/usr', '/no/such'] } },
        'rootfs.lower[1]',
        'ERR_SOURCE_NOT_FOUND',
      ],
      [
        'a mount source',
        { mounts: ['/no/such/source:/opt'] },
        'mounts[/opt].source',
        'ERR_SOURCE_NOT_FOUND',
      ],
      ['a user', { user: 'no-such-user' }, 'user', 'ERR_USER_NOT_FOUND'],
    ]);

    test('a program', async () => {
      for (const options of [{}, { rootfs: empty }, { init: false }]) {
        await expect(run('no-such-program', [], options)).rejects.toMatchObject({
          name: 'NotFoundError',
          code: 'ERR_PROGRAM_NOT_FOUND',
          phase: 'exec',
          path: 'no-such-program',
        });
      }
      await expectNoLeaks(before);
    });
  });

  describe('too much', () => {
    const mounts = Array.from({ length: 10_001 }, (_, i) => `/usr:/mnt/${i}`);
    refuses([
      ['10,001 mounts', ['true', [], { mounts }], 'mounts'],
      ['an argv of 2 MiB', ['true', Array(32).fill('x'.repeat(65_536))], 'args'],
      ['an argument of 2 MiB', ['true', ['x'.repeat(2 << 20)]], 'args[0]'],
      [
        'an environment of 2 MiB',
        [
          'true',
          [],
          {
            env: Object.fromEntries(
              Array.from({ length: 32 }, (_, i) => [`V${i}`, 'x'.repeat(65_536)]),
            ),
          },
        ],
        'env',
      ],
    ]);

    test('1,000 mounts and an argv of 1 MiB are not', async () => {
      const few = Array.from({ length: 1000 }, (_, i) => `/usr/bin:/mnt/${i}:ro`);
      const args = ['-c', 'echo $#', 'sh', ...Array<string>(16).fill('x'.repeat(65_000))];
      expect(await run('sh', args, { mounts: few })).toMatchObject({ stdout: '16\n', stderr: '' });
      await expectNoLeaks(before);
    });
  });

  describe('an oci hook', () => {
    test.each([
      ['nothing', () => undefined],
      ['a string', () => 'spec'],
      ['an empty object', () => ({})],
      ['a spec without a program', (spec: object) => ({ ...spec, process: undefined })],
      ['a spec with a relative root', (spec: object) => ({ ...spec, root: { path: 'x' } })],
      ['a spec with a field that nobody knows', (spec: object) => ({ ...spec, hooks: {} })],
      [
        'an unknown namespace',
        (spec: { linux: object }) => ({
          ...spec,
          linux: { ...spec.linux, namespaces: [{ type: 'planet' }] },
        }),
      ],
    ])('that returns %s', async (_, oci) => {
      const error = await run('true', [], { oci: oci as never }).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(ContainerError);
      expect(error).toMatchObject({ phase: 'spec', option: expect.stringMatching(/^(spec|oci)/) });
      await expectNoLeaks(before);
    });

    test('that throws', async () => {
      const oci = () => {
        throw new RangeError('mine');
      };
      await expect(run('true', [], { oci })).rejects.toMatchObject({ message: 'mine' });
      await expectNoLeaks(before);
    });
  });
});

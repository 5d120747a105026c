import { expect, test } from '@jest/globals';
import { InvalidSpecError, UnsupportedError } from '../../lib/errors.js';
import { parseSeccomp, resolveDockerProfile } from '../../lib/seccomp/profile.js';
import { Place } from '../../lib/spec/rules/place.js';

/** A small profile with everything that docker's format has. */
const fixture = JSON.parse(`{
  "defaultAction": "SCMP_ACT_ERRNO",
  "defaultErrnoRet": 1,
  "archMap": [
    { "architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86", "SCMP_ARCH_X32"] },
    { "architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"] },
    { "architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null }
  ],
  "syscalls": [
    { "names": ["read", "write"], "action": "SCMP_ACT_ALLOW", "args": null, "comment": "",
      "includes": {}, "excludes": {} },
    { "name": "exit", "action": "SCMP_ACT_ALLOW", "args": [] },
    { "names": ["arch_prctl"], "action": "SCMP_ACT_ALLOW",
      "includes": { "arches": ["amd64", "x32"] } },
    { "names": ["renameat"], "action": "SCMP_ACT_ALLOW", "excludes": { "arches": ["amd64"] } },
    { "names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": { "minKernel": "4.8" } },
    { "names": ["kcmp"], "action": "SCMP_ACT_ALLOW", "excludes": { "minKernel": "4.8" } },
    { "names": ["mount"], "action": "SCMP_ACT_ALLOW",
      "includes": { "caps": ["CAP_SYS_ADMIN", "CAP_MKNOD"] } },
    { "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38,
      "excludes": { "caps": ["CAP_SYS_ADMIN", "CAP_MKNOD"] } },
    { "names": ["personality"], "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 0, "value": 4294967295, "valueTwo": 0, "op": "SCMP_CMP_EQ" }] },
    { "names": ["lseek"], "action": "SCMP_ACT_ALLOW",
      "args": [{ "index": 1, "value": "18446744073709551615", "op": "SCMP_CMP_NE" },
               { "index": 2, "value": "3", "valueTwo": null, "op": "SCMP_CMP_LT" }] }
  ]
}`);

function names(context: Partial<Parameters<typeof resolveDockerProfile>[1]>): string[] {
  const profile = resolveDockerProfile(fixture, {
    arch: 'x64',
    capabilities: [],
    kernelVersion: '6.18.44-generic',
    ...context,
  });
  return (profile.syscalls ?? []).flatMap((rule) => rule.names);
}

const always = ['read', 'write', 'exit'];
const last = ['personality', 'lseek'];

test('rules count by machine', () => {
  expect(names({ arch: 'x64' })).toEqual([...always, 'arch_prctl', 'ptrace', 'clone3', ...last]);
  expect(names({ arch: 'arm64' })).toEqual([...always, 'renameat', 'ptrace', 'clone3', ...last]);
});

test('rules count by kernel', () => {
  for (const old of ['4.7.9', '3.10.0-1160', '4.7']) {
    expect(names({ kernelVersion: old })).toContain('kcmp');
    expect(names({ kernelVersion: old })).not.toContain('ptrace');
  }
  for (const recent of ['4.8.0', '4.10.1', '5.1']) {
    expect(names({ kernelVersion: recent })).toContain('ptrace');
    expect(names({ kernelVersion: recent })).not.toContain('kcmp');
  }
});

test('includes asks for all capabilities, excludes for one', () => {
  const some = names({ capabilities: ['CAP_MKNOD'] });
  expect(some).not.toContain('mount');
  expect(some).not.toContain('clone3');
  const all = names({ capabilities: ['CAP_KILL', 'CAP_MKNOD', 'CAP_SYS_ADMIN'] });
  expect(all).toContain('mount');
  expect(all).not.toContain('clone3');
});

test('the result is an OCI object', () => {
  const profile = resolveDockerProfile(fixture, {
    arch: 'arm64',
    capabilities: [],
    kernelVersion: '6.1',
  });
  expect(parseSeccomp(profile)).toEqual(profile);
  expect(profile.defaultErrnoRet).toBe(1);
  expect(profile.architectures).toEqual(['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']);
  expect(profile.syscalls?.slice(-2)).toEqual([
    {
      names: ['personality'],
      action: 'SCMP_ACT_ALLOW',
      args: [{ index: 0, value: 4294967295, valueTwo: 0, op: 'SCMP_CMP_EQ' }],
    },
    {
      names: ['lseek'],
      action: 'SCMP_ACT_ALLOW',
      args: [
        { index: 1, value: 18446744073709551615n, op: 'SCMP_CMP_NE' },
        { index: 2, value: 3, op: 'SCMP_CMP_LT' },
      ],
    },
  ]);
});

test('an OCI object is a docker profile, too', () => {
  const oci = {
    defaultAction: 'SCMP_ACT_ALLOW',
    architectures: ['SCMP_ARCH_X86'],
    flags: ['SECCOMP_FILTER_FLAG_LOG'],
    syscalls: [{ names: ['bpf'], action: 'SCMP_ACT_ERRNO' }],
  };
  const context = { arch: 'x64', capabilities: [], kernelVersion: '6.1' } as const;
  expect(resolveDockerProfile(oci, context)).toEqual(oci);
});

test('rules about no call are left out, so that the result is an OCI object', () => {
  const nothing = [{}, { name: '' }, { names: [] }, { names: null }];
  const syscalls = nothing.map((names) => ({ ...names, action: 'SCMP_ACT_KILL' }));
  const context = { arch: 'x64', capabilities: [], kernelVersion: '6.1' } as const;
  const profile = resolveDockerProfile({ defaultAction: 'SCMP_ACT_ALLOW', syscalls }, context);
  expect(profile.syscalls).toEqual([]);
  expect(parseSeccomp(profile)).toEqual(profile);
});

const rule = { names: ['read'], action: 'SCMP_ACT_ALLOW' };
const withRule = (more: object) => ({ syscalls: [rule, { ...rule, ...more }] });
const withArgument = (more: object) =>
  withRule({ args: [{ index: 0, value: 0, op: 'SCMP_CMP_EQ', ...more }] });

test.each<[option: string, wrong: object]>([
  ['defaultAction', { defaultAction: 'SCMP_ACT_ALOW' }],
  ['defaultAction', { defaultAction: undefined }],
  ['defaultErrnoRet', { defaultErrnoRet: 4096 }],
  ['defaultErrnoRet', { defaultAction: 'SCMP_ACT_ALLOW', defaultErrnoRet: 1 }],
  ['architectures[1]', { architectures: ['SCMP_ARCH_X86', 'SCMP_ARCH_Z80'] }],
  ['flags[0]', { flags: ['SECCOMP_FILTER_FLAG_FAST'] }],
  ['syscals', { syscals: [] }],
  ['syscalls', { syscalls: {} }],
  ['syscalls[1].action', withRule({ action: 'ALLOW' })],
  ['syscalls[1].names', withRule({ names: [] })],
  ['syscalls[1].names[0]', withRule({ names: ['read\0'] })],
  ['syscalls[1].errnoRet', withRule({ errnoRet: 1 })],
  ['syscalls[1].errnoRet', withRule({ action: 'SCMP_ACT_ERRNO', errnoRet: -1 })],
  ['syscalls[1].includes', withRule({ includes: {} })],
  ['syscalls[1].args[0].index', withArgument({ index: 6 })],
  ['syscalls[1].args[0].index', withArgument({ index: -1 })],
  ['syscalls[1].args[0].op', withArgument({ op: '==' })],
  ['syscalls[1].args[0].value', withArgument({ value: -1 })],
  ['syscalls[1].args[0].value', withArgument({ value: 1.5 })],
  ['syscalls[1].args[0].value', withArgument({ value: 2 ** 53 })],
  ['syscalls[1].args[0].value', withArgument({ value: 2n ** 64n })],
  ['syscalls[1].args[0].value', withArgument({ value: '18446744073709551616' })],
  ['syscalls[1].args[0].value', withArgument({ value: '0x10' })],
  ['syscalls[1].args[0].value', withArgument({ value: undefined })],
  ['syscalls[1].args[0].valueTwo', withArgument({ valueTwo: -1n })],
])('parseSeccomp names %s', (option, wrong) => {
  const parse = () => parseSeccomp({ defaultAction: 'SCMP_ACT_ERRNO', ...wrong });
  expect(parse).toThrow(InvalidSpecError);
  expect(parse).toThrow(expect.objectContaining({ option: `seccomp.${option}` }));
});

test.each<[option: string, wrong: object]>([
  [
    'archMap',
    { architectures: ['SCMP_ARCH_X86'], archMap: [{ architecture: 'SCMP_ARCH_X86_64' }] },
  ],
  ['archMap[0].architecture', { archMap: [{}] }],
  ['syscalls[1].name', withRule({ name: 'write' })],
  ['syscalls[1].includes.arches[0]', withRule({ includes: { arches: ['SCMP_ARCH_X86'] } })],
  ['syscalls[1].includes.caps[0]', withRule({ includes: { caps: ['SYS_ADMIN'] } })],
  ['syscalls[1].excludes.minKernel', withRule({ excludes: { minKernel: '4' } })],
  ['syscalls[1].excludes.maxKernel', withRule({ excludes: { maxKernel: '4.8' } })],
])('resolveDockerProfile names %s', (option, wrong) => {
  const resolve = () =>
    resolveDockerProfile(
      { defaultAction: 'SCMP_ACT_ERRNO', ...wrong },
      { arch: 'x64', capabilities: [], kernelVersion: '6.1' },
    );
  expect(resolve).toThrow(InvalidSpecError);
  expect(resolve).toThrow(expect.objectContaining({ option: `seccomp.${option}` }));
});

test.each<[option: string, wrong: object]>([
  ['listenerPath', { listenerPath: '/run/agent.sock' }],
  ['listenerMetadata', { listenerMetadata: 'x' }],
  ['defaultAction', { defaultAction: 'SCMP_ACT_NOTIFY' }],
  ['syscalls[1].action', withRule({ action: 'SCMP_ACT_NOTIFY' })],
  ['flags[0]', { flags: ['SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV'] }],
])('%s is not carried out', (option, wrong) => {
  const parse = () => parseSeccomp({ defaultAction: 'SCMP_ACT_ERRNO', ...wrong });
  expect(parse).toThrow(UnsupportedError);
  expect(parse).toThrow(expect.objectContaining({ option: `seccomp.${option}` }));
});

test('errors name the place that they are given', () => {
  const parse = () => parseSeccomp(null, new Place('spec.linux.seccomp', 'spec'));
  expect(parse).toThrow(expect.objectContaining({ option: 'spec.linux.seccomp', phase: 'spec' }));
});

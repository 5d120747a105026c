import fc from 'fast-check';
import type { Machine } from '../../../lib/seccomp/abis.js';
import { compileSeccomp } from '../../../lib/seccomp/compile.js';
import { defaultProfile } from '../../../lib/seccomp/default.js';
import {
  type DockerProfile,
  type OciSeccomp,
  parseSeccomp,
  resolveDockerProfile,
} from '../../../lib/seccomp/profile.js';
import { Filter } from '../../helpers/bpf.js';
import { dockerMeaning } from '../../helpers/dockerMeaning.js';
import { callsNear } from '../../helpers/seccompCalls.js';
import { Meaning } from '../../helpers/seccompMeaning.js';
import { mobyProfile, ociProfile } from '../../helpers/seccompProfiles.js';
import { mobySeeds } from '../seeds/seccomp.js';
import { must, orRefusal, target } from '../target.js';
import { mutated } from '../values.js';

const machine = fc.constantFrom<Machine>('x64', 'arm64');
const context = { capabilities: ['CAP_SYS_ADMIN'], kernelVersion: '6.18.44-generic' };

/** What is accepted compiles to what it means. */
function checkCompiled(profile: OciSeccomp, arch: Machine, meant: OciSeccomp): void {
  const compiled = orRefusal(() => compileSeccomp(profile, { arch }));
  if (compiled === undefined) return;
  const filter = new Filter(compiled.filter);
  const meaning = new Meaning(meant, arch);
  for (const call of callsNear(meaning)) {
    const [got, want] = [filter.run(call), meaning.verdict(call)];
    must(got === want, `${call.arch} ${call.nr} ${call.args?.join()}: got ${got}, not ${want}`);
  }
}

function checkProfile([profile, arch]: [unknown, Machine]): void {
  const parsed = orRefusal(() => parseSeccomp(profile));
  if (parsed !== undefined) checkCompiled(profile as OciSeccomp, arch, parsed);
}

function checkMoby([profile, arch]: [unknown, Machine]): void {
  const resolved = orRefusal(() => resolveDockerProfile(profile, { arch, ...context }));
  if (resolved === undefined) return;
  const meant = dockerMeaning(profile as DockerProfile, { arch, ...context });
  checkCompiled(resolved, arch, meant);
}

const oci = [defaultProfile(), { defaultAction: 'SCMP_ACT_ALLOW' } as OciSeccomp];
const both = <T>(seeds: readonly T[]) =>
  seeds.flatMap((seed): [T, Machine][] => [
    [seed, 'x64'],
    [seed, 'arm64'],
  ]);

/** What the `seccomp` option and `linux.seccomp` say. */
export const seccompTargets = [
  target<[unknown, Machine]>('seccomp', {
    inputs: fc.tuple(fc.oneof(ociProfile, mutated(oci)), machine),
    seeds: both(oci),
    check: checkProfile,
  }),
  target<[unknown, Machine]>('seccomp-moby', {
    inputs: fc.tuple(fc.oneof(mobyProfile, mutated(mobySeeds)), machine),
    seeds: both(mobySeeds),
    check: checkMoby,
  }),
];

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Machine } from '../../lib/seccomp/abis.js';
import { compileSeccomp } from '../../lib/seccomp/compile.js';
import { defaultProfile } from '../../lib/seccomp/default.js';
import { type OciSeccomp, resolveDockerProfile } from '../../lib/seccomp/profile.js';
import { capabilityNames } from '../../lib/spec/names.js';
import { Filter, type SeccompData } from '../helpers/bpf.js';
import { dockerMeaning } from '../helpers/dockerMeaning.js';
import { audits, everyCall } from '../helpers/seccompCalls.js';
import { Meaning } from '../helpers/seccompMeaning.js';
import { mobyProfile, ociProfile } from '../helpers/seccompProfiles.js';

/*
 * What lib/seccomp compiles, run by an interpreter that knows nothing of it, against what the
 * profile says: every number on every architecture, with the arguments at which a rule changes.
 */

const machines: Machine[] = ['x64', 'arm64'];

/** The first call that gets something else than it should. */
function firstWrong(filter: Filter, meaning: Meaning): unknown {
  for (const call of everyCall(meaning)) {
    const got = filter.run(call);
    const want = meaning.verdict(call);
    if (got !== want) return { ...call, got, want };
  }
  return undefined;
}

function expectMeant(profile: OciSeccomp, machine: Machine, meant = profile): void {
  const filter = new Filter(compileSeccomp(profile, { arch: machine }).filter);
  expect(firstWrong(filter, new Meaning(meant, machine))).toBeUndefined();
}

test.each(machines)('random profiles on %s', (machine) => {
  fc.assert(
    fc.property(ociProfile, (profile) => expectMeant(profile, machine)),
    { seed: 1801, numRuns: 5 },
  );
});

test.each(machines)("random profiles in moby's format on %s", (machine) => {
  const context = fc.record({
    arch: fc.constant(machine),
    capabilities: fc.subarray([...capabilityNames]),
    kernelVersion: fc.constantFrom('4.7.10', '5.10.0-30-amd64', '6.18.44', '7.0.0-rc1'),
  });
  fc.assert(
    fc.property(mobyProfile, context, (profile, context) => {
      const compiled = resolveDockerProfile(profile, context);
      expectMeant(compiled, machine, dockerMeaning(profile, context));
    }),
    { seed: 1802, numRuns: 5 },
  );
});

test.each(machines)('the default profile on %s, for no, some and all capabilities', (machine) => {
  for (const capabilities of [[], ['CAP_SYS_ADMIN'], ['CAP_NET_RAW'], capabilityNames])
    expectMeant(defaultProfile({ capabilities }), machine);
});

test('the comparison sees every branch of the default filter', () => {
  const profile = defaultProfile();
  const { filter } = compileSeccomp(profile, { arch: 'x64' });
  const meaning = new Meaning(profile, 'x64');
  const native = [...everyCall(meaning, [audits.x86_64, audits.i386])];
  const wanted = native.map((call): [SeccompData, number] => [call, meaning.verdict(call)]);
  const missed: number[] = [];
  for (let at = 0; at < filter.length; at += 8) {
    const [code, , jt = 0, jf = 0] = filter.subarray(at, at + 4);
    if (((code ?? 0) & 7) !== 5 || jt === jf) continue;
    const twisted = Uint8Array.from(filter);
    twisted.set([jf, jt], at + 2);
    const other = new Filter(twisted);
    if (wanted.every(([call, verdict]) => other.run(call) === verdict)) missed.push(at / 8);
  }
  expect(missed).toEqual([]);
});

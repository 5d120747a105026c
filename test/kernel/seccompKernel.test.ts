import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileSeccomp } from '../../lib/seccomp/compile.js';
import type { OciSeccomp } from '../../lib/seccomp/profile.js';
import { Filter, type SeccompData } from '../helpers/bpf.js';
import { linux, suite, x64 } from '../helpers/needs.js';
import { buildProbe, staticCompiler } from '../helpers/probe.js';
import { audits, everyCall } from '../helpers/seccompCalls.js';
import { Meaning } from '../helpers/seccompMeaning.js';
import { ociProfile } from '../helpers/seccompProfiles.js';

/** uretprobe and uprobe: since 6.14 and 6.18 the kernel lets them pass by any filter. */
const unfiltered = [335, 336];

/** The same rules, but everything that is tried is denied, each rule with an errno of its own. */
function denying({ syscalls = [], ...rest }: OciSeccomp): OciSeccomp {
  return {
    ...rest,
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: 4000,
    syscalls: [
      { names: ['exit_group'], action: 'SCMP_ACT_ALLOW' },
      ...syscalls.flatMap((rule, i) => {
        const names = rule.names.filter((name) => name !== 'exit_group');
        return names.length === 0
          ? []
          : [{ ...rule, names, action: 'SCMP_ACT_ERRNO' as const, errnoRet: 1000 + i }];
      }),
    ],
  };
}

suite('filters in the kernel', [linux, staticCompiler, x64], () => {
  let directory: string;
  const file = (name: string) => join(directory, name);
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringfort-filter-'));
    buildProbe(file('filter'), 'filter');
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  /** What the kernel returns to each call under the filter. */
  function inKernel(filter: Uint8Array, calls: readonly SeccompData[]): number[] {
    const words = calls.flatMap(({ nr, args = [] }) =>
      [BigInt(nr), ...Array.from({ length: 6 }, (_, i) => args[i] ?? 0n)].map(BigInt),
    );
    writeFileSync(file('program'), filter);
    writeFileSync(file('calls'), new Uint8Array(BigUint64Array.from(words).buffer));
    const output = execFileSync(file('filter'), [file('program'), file('calls')], {
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    });
    return output.trim().split('\n').map(Number);
  }

  test('are taken, and answer as the interpreter of the tests does', () => {
    for (const profile of fc.sample(ociProfile, { seed: 1803, numRuns: 10 }).map(denying)) {
      const { filter } = compileSeccomp(profile, { arch: 'x64' });
      const interpreter = new Filter(filter);
      const meaning = new Meaning(profile, 'x64');
      const calls = [...everyCall(meaning, [audits.x86_64])].filter(
        (call) => interpreter.run(call) !== 0x7fff0000 && !unfiltered.includes(call.nr),
      );
      const answers = inKernel(filter, calls);
      const wrong = calls.flatMap((call, i) => {
        const got = 0x50000 - (answers[i] ?? 0);
        return got === interpreter.run(call) ? [] : [{ ...call, got }];
      });
      expect(wrong.slice(0, 1)).toEqual([]);
      expect(answers).toHaveLength(calls.length);
    }
  });
});

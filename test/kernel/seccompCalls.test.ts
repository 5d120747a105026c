import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { atLeast, parseKernel } from '../../lib/kernelVersion.js';
import { run } from '../../lib/run.js';
import type { TextOptions } from '../helpers/containers.js';
import { type GoldenCall, readGoldenCalls, writeGoldenCalls } from '../helpers/goldenCalls.js';
import { cgroups, linux, suite, x64 } from '../helpers/needs.js';
import { buildProbe, staticCompiler } from '../helpers/probe.js';

const kernel = parseKernel(release());

/**
 * What must be answered here. Errors of calls that the filter passes on are the kernel's to choose,
 * so on another kernel than the table's they need only be errors.
 */
function expected({ answer, mark }: GoldenCall, tableKernel: string): string[] {
  if (mark === 'config') return [answer, 'any error'];
  const since = /^since (.+)$/.exec(mark)?.[1];
  if (since !== undefined && !atLeast(kernel, parseKernel(since))) return ['ENOSYS'];
  const same = parseKernel(tableKernel).every((part, i) => part === kernel[i]);
  return !same && isKernelError(answer) ? [answer, 'any error'] : [answer];
}

function isKernelError(answer: string): boolean {
  return /^E/.test(answer) && answer !== 'EPERM' && answer !== 'ENOSYS';
}

suite('every system call', [linux, cgroups, staticCompiler, x64], () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringfort-calls-'));
    chmodSync(directory, 0o755);
    buildProbe(join(directory, 'calls'), 'calls');
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  const calls = async (args: (string | number)[], options: TextOptions = {}) =>
    (
      await run('/mnt/calls', args.map(String), {
        ...options,
        mounts: [`${directory}:/mnt:ro,dangerous`],
      })
    ).stdout.trim();

  test('from 0 to 600 with arguments of -1 answers as the table says', async () => {
    const golden = readGoldenCalls();
    const answers = new Map(
      (await calls([0, 600])).split('\n').map((line): [number, string] => {
        const [number, ...answer] = line.split(' ');
        return [Number(number), answer.join(' ')];
      }),
    );
    if (process.env.RINGFORT_UPDATE_PLANS === '1')
      writeGoldenCalls(
        kernel.join('.'),
        golden.calls.map((call) => ({ ...call, answer: answers.get(call.number) ?? '' })),
      );
    const wrong = golden.calls.flatMap((call) => {
      const got = answers.get(call.number) ?? 'nothing';
      const wanted = expected(call, golden.kernel);
      const fits = wanted.includes(got) || (wanted.includes('any error') && isKernelError(got));
      return fits ? [] : [{ ...call, got }];
    });
    expect(wrong).toEqual([]);
    expect(answers.size).toBe(golden.calls.length);
  });

  test('numbers beyond and of x32 are ENOSYS', async () => {
    for (const number of [601, 1023, 0x40000027, 0x7fffffff, 0x80000000, 0xffffffff, -1])
      expect(await calls([number, number])).toBe(`${number} ENOSYS`);
  });

  test('a call as i386 makes it is ENOSYS; without the filter it is one', async () => {
    // Where the kernel is built without that ABI, or it is off, there is no such call to filter.
    const here = spawnSync(join(directory, 'calls'), ['int80']).signal ?? 'a call';
    const answer = async (options: TextOptions) => {
      const mounts = [`${directory}:/mnt:ro,dangerous`];
      const { stdout, signal } = await run('/mnt/calls', ['int80'], { ...options, mounts });
      return signal ?? stdout.trim();
    };
    const without = await answer({ seccomp: 'unconfined' });
    expect([here, without, await answer({})]).toEqual(
      here === 'a call' ? ['a call', 'succeeds', 'ENOSYS'] : ['SIGSEGV', 'SIGSEGV', 'SIGSEGV'],
    );
  });
});

import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';
import { type Abi, abis } from '../../lib/seccomp/abis.js';
import { command, type Requirement, suite } from '../helpers/needs.js';

const headers: Requirement = {
  name: 'kernel headers of x86',
  check() {
    const missing = command('gcc').check();
    if (missing !== undefined) return `gcc ${missing}`;
    try {
      return readHeader('64').size > 0 ? undefined : 'empty';
    } catch {
      return 'no asm/unistd_64.h (package linux-libc-dev)';
    }
  },
};

/** The numbers of asm/unistd_*.h, without x32's bit. */
function readHeader(name: string): Map<string, number> {
  const args = ['-E', '-dM', '-include', `asm/unistd_${name}.h`, '-x', 'c', '/dev/null'];
  const text = execFileSync('gcc', args, { encoding: 'utf8', stdio: 'pipe' });
  const lines = text.matchAll(/^#define __NR_(\w+) (?:\(__X32_SYSCALL_BIT \+ )?(\d+)\)?$/gm);
  return new Map([...lines].map(([, call = '', nr]) => [call, Number(nr)]));
}

suite('tables of system calls', [headers], () => {
  const [x86_64, x32, i386] = abis.x64 as unknown as [Abi, Abi, Abi];

  test.each([
    ['64', x86_64],
    ['x32', x32],
    ['32', i386],
  ] as const)('have the numbers of asm/unistd_%s.h', (name, { base, numbers }) => {
    const newest = Math.max(...[...numbers.values()].map((nr) => nr - base));
    // Headers may be newer than our tables, whose unknown calls are ENOSYS.
    const known = [...readHeader(name)].filter(([, nr]) => nr <= newest);
    expect(known.filter(([call, nr]) => numbers.get(call) !== base + nr)).toEqual([]);
    expect(known.length).toBeGreaterThan(340);
  });
});

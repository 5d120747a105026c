import { aarch64 } from './tables/aarch64.js';
import { arm } from './tables/arm.js';
import { common } from './tables/common.js';
import { x32 } from './tables/x32.js';
import { x86 } from './tables/x86.js';
import { x86_64 } from './tables/x86_64.js';
import type { SeccompArchitecture } from './words.js';

/** The machines that filters are compiled for, as Node calls them. */
export type Machine = 'x64' | 'arm64';

/** One way to make system calls: what seccomp sees of it, and its numbers. */
export interface Abi {
  name: SeccompArchitecture;
  /** `seccomp_data.arch`. @see include/uapi/linux/audit.h, AUDIT_ARCH_* */
  audit: number;
  /** What is added to each number; only x32 has such a bit (__X32_SYSCALL_BIT). */
  base: number;
  /** Numbers by name, `base` included. */
  numbers: ReadonlyMap<string, number>;
}

function abi(name: SeccompArchitecture, audit: number, table: string, base = 0): Abi {
  let numbers: Map<string, number> | undefined;
  return {
    name,
    audit,
    base,
    // Read on first use: a program that starts one container needs one table.
    get numbers() {
      numbers ??= readTable(table + common, base);
      return numbers;
    },
  };
}

function readTable(table: string, base: number): Map<string, number> {
  const numbers = new Map<string, number>();
  for (const line of table.split('\n')) {
    const [first, ...names] = line.split(' ');
    names.forEach((name, i) => {
      numbers.set(name, base + Number(first) + i);
    });
  }
  return numbers;
}

/** The ABIs of each machine: its own first, those with the same `audit` by rising `base`. */
export const abis: Readonly<Record<Machine, readonly [Abi, ...Abi[]]>> = {
  x64: [
    abi('SCMP_ARCH_X86_64', 0xc000003e, x86_64),
    abi('SCMP_ARCH_X32', 0xc000003e, x32, 0x40000000),
    abi('SCMP_ARCH_X86', 0x40000003, x86),
  ],
  arm64: [abi('SCMP_ARCH_AARCH64', 0xc00000b7, aarch64), abi('SCMP_ARCH_ARM', 0x40000028, arm)],
};

/** Whether any ABI of any machine has a call of that name. */
export function isKnownCall(name: string): boolean {
  return [...abis.x64, ...abis.arm64].some(({ numbers }) => numbers.has(name));
}

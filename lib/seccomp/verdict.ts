import { abis, type Machine } from './abis.js';
import { code } from './bpf.js';

/** SECCOMP_RET_ALLOW and SECCOMP_RET_LOG, which let a call through (seccomp(2)). */
const passing = new Set([0x7fff0000, 0x7ffc0000]);

/** `struct seccomp_data`, little endian. */
function callData(nr: number, audit: number, args: readonly bigint[]): DataView {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, nr, true);
  data.setUint32(4, audit, true);
  for (const [i, value] of args.entries()) data.setBigUint64(16 + 8 * i, value, true);
  return data;
}

/**
 * Whether one of our filters lets a call of the machine's own ABI through.
 * @param args those that are known; the others are 0
 */
export function allowsCall(
  filter: Uint8Array,
  arch: Machine,
  name: string,
  args: readonly bigint[] = [],
): boolean {
  const [{ numbers, audit }] = abis[arch];
  const nr = numbers.get(name);
  if (nr === undefined) return false;
  const data = callData(nr, audit, args);
  const program = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  let a = 0;
  for (let at = 0; at < filter.byteLength; at += 8) {
    const op = program.getUint16(at, true);
    const k = program.getUint32(at + 4, true);
    const jump = (taken: boolean) => 8 * program.getUint8(at + (taken ? 2 : 3));
    if (op === code.load) a = data.getUint32(k, true);
    else if (op === code.and) a = (a & k) >>> 0;
    else if (op === code.ja) at += 8 * k;
    else if (op === code.jeq) at += jump(a === k);
    else if (op === code.jgt) at += jump(a > k);
    else if (op === code.jge) at += jump(a >= k);
    else if (op === code.ret) return passing.has(k);
    else return false;
  }
  return false;
}

import { ContainerError } from '../errors.js';
import {
  type Kind,
  type Op,
  type Plan,
  planFlag,
  type Step,
  sections,
  stepTable,
} from './steps.js';

/** Numbers of native/protocol.h; test/contract compares them. */
export const protocol = {
  planMagic: 0x31504652,
  planVersion: 1,
  planHeaderSize: 72,
  maxPlanBytes: 16 << 20,
  maxSteps: 16384,
  maxSlots: 2048,
  maxFds: 64,
  inlinePlanBytes: 96 << 10,
} as const;

const opCodes = new Map<Op, number>((Object.keys(stepTable) as Op[]).map((op, code) => [op, code]));

/** A buffer that grows; every write is little-endian and padded to four bytes. */
class Writer {
  #buffer = Buffer.allocUnsafe(8192);
  size = 0;

  #room(more: number): void {
    if (this.size + more <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.size + more));
    this.#buffer.copy(larger, 0, 0, this.size);
    this.#buffer = larger;
  }

  u32(value: number): void {
    this.#room(4);
    this.size = this.#buffer.writeUInt32LE(value >>> 0, this.size);
  }

  u64(value: bigint): void {
    this.#room(8);
    this.size = this.#buffer.writeBigUInt64LE(BigInt.asUintN(64, value), this.size);
  }

  bytes(value: Uint8Array): void {
    const padded = (value.length + 3) & ~3;
    this.#room(4 + padded);
    this.u32(value.length);
    this.#buffer.set(value, this.size);
    this.#buffer.fill(0, this.size + value.length, this.size + padded);
    this.size += padded;
  }

  string(value: string): void {
    const length = Buffer.byteLength(value);
    const padded = (length + 1 + 3) & ~3;
    this.#room(4 + padded);
    this.u32(length);
    this.#buffer.write(value, this.size);
    this.#buffer.fill(0, this.size + length, this.size + padded);
    this.size += padded;
  }

  set(at: number, value: number): void {
    this.#buffer.writeUInt32LE(value >>> 0, at);
  }

  result(): Buffer {
    return this.#buffer.subarray(0, this.size);
  }
}

function argument(out: Writer, kind: Kind, value: unknown): void {
  switch (kind) {
    case 'u':
    case 'f':
    case 'o':
      return out.u32(value as number);
    case 'q':
      return out.u64(value as bigint);
    case 's':
      return out.string(value as string);
    case 'b':
      return out.bytes(value as Uint8Array);
    case 'v': {
      const list = value as readonly string[];
      out.u32(list.length);
      for (const item of list) out.string(item);
    }
  }
}

function step(out: Writer, value: Step): void {
  const start = out.size;
  out.u32(opCodes.get(value.op) as number);
  out.u32(0);
  const fields = value as unknown as Record<string, unknown>;
  for (const [name, kind] of stepTable[value.op]) argument(out, kind, fields[name]);
  out.set(start + 4, out.size - start);
}

function tooLarge(what: string, limit: number, got: number): ContainerError {
  return new ContainerError('ERR_PLAN_TOO_LARGE', `plan: at most ${limit} ${what}, got ${got}`, {
    phase: 'spec',
  });
}

/**
 * A plan as the launcher reads it (native/protocol.h, PlanHeader).
 * @throws ContainerError `ERR_PLAN_TOO_LARGE` above the launcher's bounds
 */
export function encodePlan(plan: Plan): Buffer {
  const steps = sections.reduce((sum, name) => sum + plan[name].length, 0);
  if (steps > protocol.maxSteps) throw tooLarge('steps', protocol.maxSteps, steps);
  if (plan.slotCount > protocol.maxSlots)
    throw tooLarge('descriptors', protocol.maxSlots, plan.slotCount);
  if (plan.fds.length > protocol.maxFds - 1)
    throw tooLarge('passed descriptors', protocol.maxFds - 1, plan.fds.length);
  const out = new Writer();
  out.u32(protocol.planMagic);
  out.u32(protocol.planVersion);
  out.u32(0);
  out.u32(plan.fds.length);
  out.u32(plan.slotCount);
  out.u32(plan.waived);
  out.u64(plan.cloneFlags);
  out.u32(plan.intoCgroup);
  for (const name of sections) out.u32(plan[name].length);
  const sizesAt = out.size;
  for (const _ of sections) out.u32(0);
  out.u32(plan.flags ?? 0);
  for (const [index, name] of sections.entries()) {
    const start = out.size;
    for (const each of plan[name]) step(out, each);
    out.set(sizesAt + 4 * index, out.size - start);
  }
  out.set(8, out.size);
  if (out.size > protocol.maxPlanBytes) throw tooLarge('bytes', protocol.maxPlanBytes, out.size);
  return out.result();
}

/** Has the launcher tell when each step of an encoded plan was done. */
export function askForTrace(plan: Buffer): void {
  const flagsAt = protocol.planHeaderSize - 4;
  plan.writeUInt32LE(plan.readUInt32LE(flagsAt) | planFlag.trace, flagsAt);
}

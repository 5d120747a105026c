import {
  type Kind,
  type Op,
  type Plan,
  type Section,
  type Step,
  sections,
  stepTable,
} from '../../lib/plan/steps.js';

const ops = Object.keys(stepTable) as Op[];

/** Reads what lib/plan/encode.ts writes. It trusts its input, which is our own compiler's. */
class Reader {
  constructor(
    private readonly bytes: Buffer,
    private at = 0,
  ) {}

  u32(): number {
    this.at += 4;
    return this.bytes.readUInt32LE(this.at - 4);
  }

  u64(): bigint {
    this.at += 8;
    return this.bytes.readBigUInt64LE(this.at - 8);
  }

  /** @param end bytes of the terminator */
  data(end: number): Uint8Array {
    const size = this.u32();
    const found = this.bytes.subarray(this.at, this.at + size);
    this.at += (size + end + 3) & ~3;
    return Uint8Array.from(found);
  }

  string(): string {
    return Buffer.from(this.data(1)).toString();
  }

  argument(kind: Kind): unknown {
    switch (kind) {
      case 'q':
        return this.u64();
      case 's':
        return this.string();
      case 'b':
        return this.data(0);
      case 'v':
        return Array.from({ length: this.u32() }, () => this.string());
      default:
        return this.u32();
    }
  }

  step(): Step {
    const op = ops[this.u32()] as Op;
    this.u32();
    const fields = stepTable[op].map(([name, kind]) => [name, this.argument(kind)]);
    return { op, ...Object.fromEntries(fields) } as Step;
  }
}

/** A plan as it was before `encodePlan`, with the descriptors that travel beside it. */
export function decodePlan(bytes: Uint8Array, fds: readonly number[]): Plan {
  const reader = new Reader(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), 16);
  const header = {
    slotCount: reader.u32(),
    waived: reader.u32(),
    cloneFlags: reader.u64(),
    intoCgroup: reader.u32(),
  };
  const counts = sections.map(() => reader.u32());
  for (const _ of sections) reader.u32();
  const flags = reader.u32();
  const lists = sections.map((name, i): [Section, Step[]] => [
    name,
    Array.from({ length: counts[i] as number }, () => reader.step()),
  ]);
  const steps = Object.fromEntries(lists) as unknown as Pick<Plan, Section>;
  return { ...header, flags, fds, ...steps };
}

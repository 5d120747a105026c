import { type Label, offset, type Program } from './bpf.js';
import type { SeccompArgument } from './profile.js';
import type { Outcome } from './ranges.js';

/** What happens to a call of one range, with the conditions on its arguments. */
export function addOutcome(program: Program, { checks, otherwise, key }: Outcome): Label {
  if (checks.length === 0) return program.result(otherwise);
  return program.share(key, () => {
    let next = program.result(otherwise);
    for (const { conditions, result } of [...checks].reverse()) {
      let then = program.result(result);
      for (const condition of [...conditions].reverse()) {
        then = addCondition(program, condition, then, next);
      }
      next = then;
    }
    return next;
  });
}

/** Goes on at `yes` if the condition holds, else at `no`. */
function addCondition(
  program: Program,
  { index, value, valueTwo = 0, op }: SeccompArgument,
  yes: Label,
  no: Label,
): Label {
  const word = BigInt(value);
  switch (op) {
    case 'SCMP_CMP_EQ':
      return addMasked(program, index, 2n ** 64n - 1n, word, yes, no);
    case 'SCMP_CMP_NE':
      return addMasked(program, index, 2n ** 64n - 1n, word, no, yes);
    case 'SCMP_CMP_MASKED_EQ':
      return addMasked(program, index, word, BigInt(valueTwo), yes, no);
    case 'SCMP_CMP_GT':
      return addOrder(program, 'jgt', index, word, yes, no);
    case 'SCMP_CMP_GE':
      return addOrder(program, 'jge', index, word, yes, no);
    case 'SCMP_CMP_LE':
      return addOrder(program, 'jgt', index, word, no, yes);
    case 'SCMP_CMP_LT':
      return addOrder(program, 'jge', index, word, no, yes);
  }
}

function halves(word: bigint): { high: number; low: number } {
  return { high: Number(word >> 32n), low: Number(word & 0xffffffffn) };
}

/** Whether the argument under `mask` is `word`; a half that the mask leaves out is not loaded. */
function addMasked(
  program: Program,
  index: number,
  mask: bigint,
  word: bigint,
  yes: Label,
  no: Label,
): Label {
  if ((word & ~mask) !== 0n) return no;
  const wanted = halves(word);
  const masks = halves(mask);
  const at = offset.argument(index);
  let next = yes;
  if (masks.low !== 0) {
    next = program.load(at, program.jump('jeq', wanted.low, next, no), masks.low);
  }
  if (masks.high !== 0) {
    next = program.load(at + 4, program.jump('jeq', wanted.high, next, no), masks.high);
  }
  return next;
}

/** Whether the argument is above (`jgt`) or at least (`jge`) `word`. */
function addOrder(
  program: Program,
  test: 'jgt' | 'jge',
  index: number,
  word: bigint,
  yes: Label,
  no: Label,
): Label {
  const { high, low } = halves(word);
  const at = offset.argument(index);
  const lowHalf = program.load(at, program.jump(test, low, yes, no));
  const highEqual = program.jump('jeq', high, lowHalf, no);
  return program.load(at + 4, program.jump('jgt', high, yes, highEqual));
}

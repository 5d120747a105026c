import { command, type Requirement } from '../helpers/requirements.js';
import type { Bench } from './bench.js';
import type { Check, Opening } from './check.js';
import { attemptMutated } from './mutate.js';

/** What became of one check. */
export interface Row {
  id: string;
  /** `held`; `RED` when the attack or the check itself is not what it must be; `–`: cannot run here. */
  result: 'held' | 'RED' | '–';
  /** `red`, as it must be; `NO ORACLE`; `GREEN`: the attack failed without its defence as well. */
  oracle: 'red' | 'NO ORACLE' | 'GREEN' | '–';
  /** Why, where it is not simply held with a red oracle. */
  why?: string;
  /** What was taken away. */
  without?: string;
  ms: number;
}

type Verdict = Omit<Row, 'id' | 'ms'>;

/** The first reason why something is not to be had. */
export function unmet(needs: readonly Requirement[] = []): string | undefined {
  for (const need of needs) {
    const reason = need.check();
    if (reason !== undefined) return `needs ${need.name} (${reason})`;
  }
  return undefined;
}

function red(why: string, oracle: Row['oracle'] = '–'): Verdict {
  return { result: 'RED', oracle, why };
}

/** The opening, or why there is none here. */
function openingOf({ oracle }: Check): Opening | string {
  if ('none' in oracle) return oracle.none;
  const compiler = oracle.mutations === undefined ? [] : [command('c++')];
  return unmet([...compiler, ...(oracle.needs ?? [])]) ?? oracle;
}

async function judge(check: Check, bench: Bench): Promise<Verdict> {
  const { control, attempt, held, broken, absent } = check;
  const missing = unmet(check.needs);
  if (missing !== undefined) return { result: '–', oracle: '–', why: missing };
  const allowed = await control?.(bench);
  const notHere = allowed !== undefined && absent?.test(allowed) === true;
  if (allowed !== undefined && !notHere && !broken.test(allowed))
    return red(`control: ${broken} expected, got '${allowed}'`);

  const answer = await attempt(bench, undefined);
  const holds = held.test(answer) || (notHere && absent.test(answer));
  const refusal = red(`${held} expected, got '${answer}'`, '–');
  // Without a control only the opened attack tells whether it is here.
  const inDoubt = allowed === undefined && absent?.test(answer) === true;
  if (!(holds || inDoubt) || broken.test(answer)) return refusal;

  if (notHere)
    return {
      result: 'held',
      oracle: 'NO ORACLE',
      why: `here ${allowed} is the answer without any container`,
    };
  const opening = openingOf(check);
  if (typeof opening === 'string') {
    if (!holds) return refusal;
    // Nothing has shown then that the attack can succeed at all.
    const why = allowed === undefined ? `${opening}; no control either` : opening;
    return { result: 'held', oracle: 'NO ORACLE', why };
  }
  const { mutations } = opening;
  const opened = await (mutations === undefined
    ? attempt(bench, opening)
    : attemptMutated(check, mutations, bench));
  // Where the control has got it, it is here: then another wall stands that nobody has named.
  if (allowed === undefined && absent?.test(opened) === true)
    return {
      result: 'held',
      oracle: 'NO ORACLE',
      why: `here ${opened} is the answer without the wall, too`,
    };
  if (!holds) return refusal;
  if (broken.test(opened)) return { result: 'held', oracle: 'red', without: opening.what };
  return red(`without ${opening.what}: ${broken} expected, got '${opened}'`, 'GREEN');
}

/** The control, the attack, and the attack without its defence. */
export async function runCheck(check: Check, bench: Bench): Promise<Row> {
  const from = performance.now();
  let verdict: Verdict;
  try {
    verdict = await judge(check, bench);
  } catch (error) {
    verdict = red(`${error}`);
  }
  return { id: check.id, ...verdict, ms: Math.round(performance.now() - from) };
}

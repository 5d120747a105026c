import { staticCompiler } from '../helpers/probe.js';
import { Bench } from './bench.js';
import { corpus } from './corpus.js';
import { runCheck, unmet } from './runner.js';

/*
 * The corpus as whoever calls it: a JSON line for each row. Arguments are the beginnings of the ids
 * that are to run, `--part=0/4` is every fourth of them; RINGFORT_ESCAPE_BASE has options that every
 * container needs here.
 */
const missing = unmet([staticCompiler]);
if (missing !== undefined) throw new Error(missing);
const only = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const [, part = '0', parts = '1'] = /--part=(\d+)\/(\d+)/.exec(process.argv.join(' ')) ?? [];
const chosen = corpus
  .filter(({ id }) => only.length === 0 || only.some((start) => id.startsWith(start)))
  .filter((_, i) => i % Number(parts) === Number(part));
const bench = new Bench(JSON.parse(process.env.RINGFORT_ESCAPE_BASE ?? '{}'));
try {
  for (const check of chosen) {
    console.log(JSON.stringify(await runCheck(check, bench)));
  }
} finally {
  bench.close();
}

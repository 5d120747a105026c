import { staticCompiler } from '../helpers/probe.js';
import { Bench } from './bench.js';
import { corpus } from './corpus.js';
import { runCheck, unmet } from './runner.js';

/*
 * The corpus as whoever calls it: a JSON line for each row. Arguments are the beginnings of the ids
 * that are to run; RINGFORT_ESCAPE_BASE has options that every container needs here.
 */
const missing = unmet([staticCompiler]);
if (missing !== undefined) throw new Error(missing);
const only = process.argv.slice(2);
const bench = new Bench(JSON.parse(process.env.RINGFORT_ESCAPE_BASE ?? '{}'));
try {
  for (const check of corpus) {
    if (only.length > 0 && !only.some((id) => check.id.startsWith(id))) continue;
    console.log(JSON.stringify(await runCheck(check, bench)));
  }
} finally {
  bench.close();
}

import { Bench } from './bench.js';
import { corpus } from './corpus.js';
import { type Row, runCheck } from './runner.js';

const only = process.argv.slice(2).filter((arg) => !arg.startsWith('--'));
const bench = new Bench(JSON.parse(process.env.RINGFORT_ESCAPE_BASE ?? '{}'));
let failed = false;
try {
  for (const check of corpus) {
    if (only.length > 0 && !only.some((id) => check.id.startsWith(id))) continue;
    const row: Row = await runCheck(check, bench);
    failed ||= row.result === 'RED';
    console.log([row.id.padEnd(12), row.result, row.oracle, row.ms, row.why ?? ''].join(' | '));
  }
} finally {
  bench.close();
}
process.exitCode = failed ? 1 : 0;

import { useLauncher } from '../helpers/useLauncher.js';
import { Bench } from './bench.js';
import { corpus } from './corpus.js';

/* One attack of the corpus, opened, with a launcher that mutate.ts has built: `mutated.js ID PATH`. */
const [id, launcher = ''] = process.argv.slice(2);
const check = corpus.find((each) => each.id === id);
if (check === undefined || 'none' in check.oracle) throw new Error(`${id} is not to be opened`);
useLauncher(launcher);
const bench = new Bench(JSON.parse(process.env.RINGFORT_ESCAPE_BASE ?? '{}'));
try {
  console.log(await check.attempt(bench, check.oracle));
} finally {
  bench.close();
}

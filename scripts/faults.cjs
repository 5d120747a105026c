// Every system call of the launcher and of what it clones fails once, in each way, and Node, the
// launcher and the child are killed and stopped at every stop point: as whoever calls it and, for
// root, as an ordinary user. `--sample N` tries N for each plan and role instead of all, and a sample
// of the stop points; `--plan text` only plans with that text in their name, and no stop points;
// `--seed N` repeats a sample.
const { parseArgs } = require('node:util');

const { values } = parseArgs({
  options: {
    sample: { type: 'string', default: 'all' },
    plan: { type: 'string', default: '' },
    seed: { type: 'string' },
  },
});
const suite = `test/kernel/${values.plan === '' ? '(injected|killed)' : 'injected'}`;
Object.assign(process.env, {
  RINGFORT_FAULTS: values.sample,
  RINGFORT_KILLED: values.sample === 'all' ? 'all' : '',
  RINGFORT_FAULTS_PLAN: values.plan,
  RINGFORT_JEST_ARGS: suite,
  RINGFORT_USER_SUITES: suite,
  ...(values.seed && { RINGFORT_FAULTS_SEED: values.seed }),
});
require('./test.cjs');

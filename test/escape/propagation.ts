import { readFileSync } from 'node:fs';
import { Bench } from './bench.js';
import { alter } from './planEdit.js';

/*
 * What a guest's mount over a volume leaves in the table of mounts here, meanwhile and after. Started
 * by the check where mounts are shared, as systemd leaves those of a host, and in a mount namespace of
 * its own. Arguments: the volume, options as JSON, `closed` or `open`.
 */
const [volume = '', options = '{}', state] = process.argv.slice(2);
const mounts = () => readFileSync('/proc/self/mountinfo', 'utf8');
const before = mounts();
const seen = () => (mounts() === before ? 'unseen' : 'seen');
const edit = alter('mountSetattr', (step) => ({ ...step, propagation: 0n }));
const opening = { what: '', options: JSON.parse(options), ...(state === 'open' && { edit }) };
const bench = new Bench(JSON.parse(process.env.RINGFORT_ESCAPE_BASE ?? '{}'));
try {
  const during = await bench.box(opening, { mounts: [`${volume}:/tmp`] }, async (box) => {
    const mounted = await bench.exec(box, ['mount']);
    return `${mounted} ${seen()}`;
  });
  console.log(`${during} ${seen()}`);
} finally {
  bench.close();
}

// To be killed in the middle of a call on layers: `layersChild.js <bench> <rollback | snapshot | fork>`.
import { join } from 'node:path';
import { createContainer, loadSnapshot } from '../../lib/index.js';
import { supervisor } from '../../lib/supervisor.js';
import { say } from './useLauncher.js';

const [bench = '', call = ''] = process.argv.slice(2);
const at = (name: string) => join(bench, name);
const box = await createContainer({
  rootfs: { lower: [at('lower')], upper: at('upper'), work: at('work') },
  mounts: ['/usr:/usr:ro'],
});
await box.fs.writeFile('/later', 'later');
say([box.pid, (await supervisor()).launcher.pid]);
if (call === 'rollback') await box.rollback(await loadSnapshot(at('taken')));
if (call === 'snapshot') await box.snapshot({ path: at('half') });
if (call === 'fork') await box.fork({ path: at('half') });
// It was too late.
say('done');

// In a mount namespace of its own: something of the host's is mounted below a kept upper layer while
// the layer is copied, put back and removed: `layersMounted.js`. Prints what the host's directory has
// afterwards, and what the copy has of it.
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createContainer, removeSnapshot } from '../../lib/index.js';
import { mount } from '../../lib/sys/index.js';
import { LayerBench } from './layers.js';
import { say } from './useLauncher.js';

const bind = 0x1000;
const bench = new LayerBench();
const precious = mkdtempSync(join(tmpdir(), 'ringfort-precious-'));
writeFileSync(join(precious, 'file'), 'the host’s');
const point = join(bench.rootfs.upper, 'mnt');
mkdirSync(point);
mount(precious, point, '', bind);
const seen = readdirSync(point);

const box = await createContainer(bench.options);
const taken = await box.snapshot({ path: bench.at('taken') });
const copied = readdirSync(join(bench.at('taken'), 'upper/mnt'));
mount(precious, join(bench.at('taken'), 'upper/mnt'), '', bind);
const again = await box.rollback(taken);
await again[Symbol.asyncDispose]();
await removeSnapshot(taken);
const kept = readdirSync(precious);
await bench.remove();
rmSync(precious, { recursive: true });
say({ seen, copied, kept });

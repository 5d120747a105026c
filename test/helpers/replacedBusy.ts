// A launch that fails because a file of the host is replaced, and whose cgroup cannot be removed just
// then: `replacedBusy.js <launcher with stop points>`. Prints a line of JSON, `ReplacedBusy`.
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { run } from '../../lib/index.js';
import { launch, planOf } from '../../lib/launch.js';
import { newId, specOf } from '../../lib/specOf.js';
import { within } from './heldNode.js';
import { ownCgroups } from './leaks.js';
import { heldAt } from './stops.js';
import { say, stopAt, useLauncher } from './useLauncher.js';

/** What came of it. */
export interface ReplacedBusy {
  /** Cgroups that were kept from being removed. */
  busy: number;
  outcome: string;
  /** Whether they went once they could. */
  gone: boolean;
}

useLauncher(process.argv[2] ?? '');
const directory = mkdtempSync(join(tmpdir(), 'rf-replaced-'));
const file = join(directory, 'file');
writeFileSync(file, 'old');
const id = newId();
const spec = specOf(id, 'true', [], { mounts: [`${file}:/tmp/file:ro`] });
const { child } = await planOf({ id, spec });
const index = child.findIndex((step) => step.op === 'attach' && step.path === '/tmp/file');
const point = { title: 'attach', section: 2, index };
await run('true');

stopAt((point.section << 16) | point.index);
const fd = openSync('/dev/null', 'r+');
const launched = launch({ id, spec, fds: [fd, fd, fd] }).then(
  () => 'started',
  ({ code }) => `${code}`,
);
await within(() => heldAt(point, process.pid) !== undefined);
rmSync(file);
writeFileSync(file, 'new');
const cgroups = ownCgroups()
  .map((parent) => join(parent, `ringfort-${id}`))
  .filter((path) => existsSync(path));
for (const path of cgroups) {
  const most = join(path, 'cgroup.max.descendants');
  if (existsSync(most)) writeFileSync(most, 'max');
  mkdirSync(join(path, 'busy'));
}
process.kill(heldAt(point, process.pid) as number, 'SIGCONT');
const outcome = await Promise.race([launched, sleep(10_000, 'hangs')]);
for (const path of cgroups) rmdirSync(join(path, 'busy'));
const gone = await within(() => !cgroups.some((path) => existsSync(path)));
say({ busy: cgroups.length, outcome, gone } satisfies ReplacedBusy);
closeSync(fd);
rmSync(directory, { recursive: true });
process.exit(0);

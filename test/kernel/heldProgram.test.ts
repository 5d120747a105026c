import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { expect, test } from '@jest/globals';
import { sections } from '../../lib/plan/steps.js';
import { abis, type Machine } from '../../lib/seccomp/abis.js';
import { type Held, holdNode, nodeExit, signalIfThere, within } from '../helpers/heldNode.js';
import { descendants, processName } from '../helpers/leaks.js';
import { cgroups, command, root, suite } from '../helpers/needs.js';
import { buildStoppingLauncher, namedStops } from '../helpers/stops.js';

const [{ numbers }] = abis[process.arch as Machine];

// An ordinary user's program on v1 is no init's child.
suite('a program that an init has forked', [cgroups, root, command('c++')], () => {
  test('does not begin before the launcher can signal it', async () => {
    const launcher = buildStoppingLauncher();
    const temporary = mkdtempSync(`${tmpdir()}/ringfort-`);
    let held: Held | undefined;
    try {
      const how = { helper: 'killedExec.js', launcher, temporary, extra: ['init'] };
      const index = namedStops.indexOf('gotPidfd');
      held = await holdNode(how, { title: 'gotPidfd', section: sections.length, index });
      const program = () => descendants(held?.first ?? 0)[0] ?? 0;
      const waits = () =>
        readFileSync(`/proc/${program()}/syscall`, 'latin1').startsWith(`${numbers.get('futex')} `);
      // Either it waits for the launcher, or it has begun.
      await within(() => processName(program()) === 'sleep' || waits());
      expect(processName(program())).not.toBe('sleep');
      signalIfThere(held.held, 'SIGCONT');
      expect(await within(() => processName(program()) === 'sleep')).toBe(true);
    } finally {
      if (held !== undefined) {
        signalIfThere(held.held, 'SIGCONT');
        signalIfThere(held.node.pid ?? 0, 'SIGKILL');
        await nodeExit(held.node);
      }
      rmSync(temporary, { recursive: true });
      rmSync(dirname(launcher), { recursive: true });
    }
  });
});

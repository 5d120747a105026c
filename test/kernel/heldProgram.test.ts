import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname } from 'node:path';
import { expect, test } from '@jest/globals';
import { sections } from '../../lib/plan/steps.js';
import { holdNode, nodeExit, signalIfThere, within } from '../helpers/heldNode.js';
import { descendants, processName } from '../helpers/leaks.js';
import { cgroups, command, suite, x64 } from '../helpers/needs.js';
import { buildStoppingLauncher, namedStops } from '../helpers/stops.js';

suite('a program that an init has forked', [cgroups, command('c++'), x64], () => {
  test('does not begin before the launcher can signal it', async () => {
    const launcher = buildStoppingLauncher();
    const temporary = mkdtempSync(`${tmpdir()}/ringfort-`);
    const how = { helper: 'killedExec.js', launcher, temporary, extra: ['init'] };
    const index = namedStops.indexOf('gotPidfd');
    const held = await holdNode(how, { title: 'gotPidfd', section: sections.length, index });
    const program = () => descendants(held.first ?? 0)[0] ?? 0;
    const waits = () => readFileSync(`/proc/${program()}/syscall`, 'latin1').startsWith('202 ');
    // Either it waits for the launcher (futex(2)), or it has begun.
    await within(() => processName(program()) === 'sleep' || waits());
    expect(processName(program())).not.toBe('sleep');
    signalIfThere(held.held, 'SIGCONT');
    expect(await within(() => processName(program()) === 'sleep')).toBe(true);
    signalIfThere(held.node.pid ?? 0, 'SIGKILL');
    await nodeExit(held.node);
    rmSync(temporary, { recursive: true });
    rmSync(dirname(launcher), { recursive: true });
  });
});

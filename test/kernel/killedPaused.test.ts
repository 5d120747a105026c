import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from '@jest/globals';
import { hasEnded, until } from '../helpers/launches.js';
import { ownCgroups } from '../helpers/leaks.js';
import { cgroups, command, hybrid, root, suite } from '../helpers/needs.js';
import type { AfterPause, PausedChild } from '../helpers/pausedChild.js';

const helper = fileURLToPath(new URL('../helpers/pausedChild.js', import.meta.url));
const withoutV2 = 'umount /sys/fs/cgroup/unified && exec "$@"';

type Victim = 'Node' | 'the launcher' | 'both';

/** What a program that uses the package does first. */
async function nextStart(): Promise<void> {
  const index = new URL('../../lib/index.js', import.meta.url).href;
  const script = `import { run } from '${index}'; process.exitCode = (await run('true')).exitCode;`;
  const node = spawn(process.execPath, ['--input-type=module', '--eval', script]);
  expect(await once(node, 'exit')).toEqual([0, null]);
}

/** Frozen processes of cgroup v1 do not even die before they are thawed. */
async function killWhilePaused(style: string, victim: Victim, before: readonly string[]) {
  const argv = [...before, process.execPath, helper, style];
  const node = spawn(argv[0] as string, argv.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
  const exit = once(node, 'exit');
  const lines = createInterface(node.stdout)[Symbol.asyncIterator]();
  const { id, launcher, guests } = JSON.parse((await lines.next()).value) as PausedChild;
  expect(guests.length).toBeGreaterThan(2);
  const victims = { Node: [node.pid], 'the launcher': [launcher], both: [node.pid, launcher] };
  for (const pid of victims[victim]) process.kill(pid as number, 'SIGKILL');
  if (victim === 'the launcher') {
    const said = JSON.parse((await lines.next()).value) as AfterPause;
    expect(said).toEqual({ said: 'ERR_LAUNCHER_GONE', next: 0 });
  }
  await exit;
  await until(() => hasEnded(launcher));
  const left = () =>
    ownCgroups()
      .map((parent) => join(parent, `ringfort-${id}`))
      .filter((path) => existsSync(path));
  await until(async () => {
    // Of those that nobody is left to undo, at the next start.
    if (victim === 'both') await nextStart();
    return guests.every(hasEnded) && left().length === 0;
  });
}

const victims: readonly Victim[] = ['Node', 'the launcher', 'both'];

suite('kill -9 while a container is paused', [cgroups], () => {
  describe.each(['init', 'command'])('with %s', (style) => {
    test.each(victims)('of %s: nothing is left', (victim) => killWhilePaused(style, victim, []));
  });

  suite('where cgroup v1 is all there is', [root, hybrid, command('unshare')], () => {
    test.each(victims)('of %s: nothing is left', (victim) =>
      killWhilePaused('init', victim, ['unshare', '-m', 'sh', '-c', withoutV2, 'sh']),
    );
  });
});

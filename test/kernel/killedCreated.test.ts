import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { run } from '../../lib/index.js';
import type { AfterCreated, CreatedChild } from '../helpers/createdChild.js';
import { leftOf } from '../helpers/detached.js';
import { hasEnded, until } from '../helpers/launches.js';
import { cgroups, suite } from '../helpers/needs.js';

const helper = fileURLToPath(new URL('../helpers/createdChild.js', import.meta.url));

suite('kill -9 while a container waits for its start', [cgroups], () => {
  let out: string;
  beforeAll(() => {
    out = mkdtempSync(join(tmpdir(), 'ringfort-'));
  });
  afterAll(() => rmSync(out, { recursive: true }));

  // Whoever has the other end of what it waits on is gone, and that is no start.
  test.each(['Node', 'the launcher', 'both'])(
    'of %s: its command never runs, and nothing is left',
    async (victim) => {
      const node = spawn(process.execPath, [helper, out], { stdio: ['ignore', 'pipe', 'inherit'] });
      const exit = once(node, 'exit');
      const lines = createInterface(node.stdout)[Symbol.asyncIterator]();
      const { id, launcher, guest } = JSON.parse((await lines.next()).value) as CreatedChild;
      const nodePid = node.pid as number;
      if (victim !== 'Node') process.kill(launcher, 'SIGKILL');
      if (victim !== 'the launcher') process.kill(nodePid, 'SIGKILL');
      else {
        const said = JSON.parse((await lines.next()).value) as AfterCreated;
        expect(said).toEqual({ said: 'ERR_LAUNCHER_GONE', next: 0 });
      }
      await exit;
      await until(() => hasEnded(launcher) && hasEnded(guest));
      expect(existsSync(join(out, 'ran'))).toBe(false);
      await until(async () => {
        // Of those that nobody is left to undo, at the next start of anybody.
        if (victim === 'both') await run('true');
        return leftOf(id).length === 0;
      });
    },
  );
});

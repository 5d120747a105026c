import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { FullState } from '../helpers/fullState.js';
import { isReaped, until } from '../helpers/launches.js';
import { expectNoLeaks, type Snapshot, snapshot } from '../helpers/leaks.js';
import { cgroups, command, notRoot, root, suite } from '../helpers/needs.js';

const library = (name: string) => new URL(`../../lib/${name}.js`, import.meta.url).href;

interface Attempt {
  exitCode?: number;
  typed?: boolean;
  code?: string;
}

/** Neither a success nor an error of ours. */
const isUndefined = ({ typed, exitCode }: Attempt) => typed !== true && exitCode !== 0;

/** In scope of a script: `run`, `supervisor`, `sys`, `fs`, `report`, `attempt`: exit code or error. */
const prelude = `
import fs from 'node:fs';
import * as sys from '${library('sys/index')}';
import { run } from '${library('run')}';
import { supervisor } from '${library('supervisor')}';
import { ContainerError } from '${library('errors')}';
const attempt = async (file = 'true') => {
  try {
    return { exitCode: (await run(file, [], {})).exitCode };
  } catch (error) {
    const { code, phase, errno, hint } = error;
    return { typed: error instanceof ContainerError, code, phase, errno, hint };
  }
};
const report = (value) => fs.writeSync(1, JSON.stringify(value));
`;

/** Runs a module's text in a process of its own, started by a shell command that ends in `"$@"`. */
function inShell(shell: string, script: string, env: Record<string, string>): unknown {
  const node = [process.execPath, '--input-type=module', '--eval', prelude + script];
  const { status, stdout, stderr } = spawnSync('sh', ['-ec', shell, 'sh', ...node], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (status !== 0) throw new Error(`exit ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

suite('faults at a launch', [cgroups], () => {
  let before: Snapshot;
  beforeEach(() => {
    before = snapshot();
  });
  afterEach(() => expectNoLeaks(before));

  suite('a full state directory', [root, command('unshare')], () => {
    test('fails the launch with a typed error, and the next one succeeds', () => {
      const script = `mkdir -p /run/ringfort
        mount -t tmpfs -o size=64k,mode=700 none /run/ringfort; exec "$@"`;
      const helper = fileURLToPath(new URL('../helpers/fullState.js', import.meta.url));
      const args = ['-m', '--propagation', 'private', 'sh', '-ec', script, 'sh'];
      const node = [process.execPath, helper, '/run/ringfort'];
      const found: FullState = JSON.parse(execFileSync('unshare', [...args, ...node]).toString());
      expect(found).toEqual({
        failed: { code: 'ERR_JOURNAL', phase: 'prepare', errno: -28 },
        beside: 0x1021994,
        next: { exitCode: 0 },
        same: true,
      });
    });
  });

  // An ordinary user's launcher is not dumpable: only root may limit it.
  suite('a limited state directory', [root], () => {
    test('RLIMIT_FSIZE is a typed error, and the end of neither Node nor launcher', () => {
      const script = `
        const { launcher } = await supervisor();
        const { RLIMIT_FSIZE } = sys.Rlimit;
        const limit = (soft) => sys.prlimit(launcher.pid, RLIMIT_FSIZE, { soft, hard: 1n << 40n });
        limit(20n); // less than the entry of any path
        const failed = await attempt('sleep');
        limit(1n << 40n);
        report({ failed, next: await attempt(), same: (await supervisor()).launcher === launcher });`;
      expect(inShell('exec "$@"', script, {})).toMatchObject({
        failed: { typed: true, code: 'ERR_JOURNAL', errno: expect.any(Number) },
        next: { exitCode: 0 },
        same: true,
      });
    });
  });

  suite('without a place for a journal', [notRoot], () => {
    test('containers run all the same', () => {
      const env = { XDG_RUNTIME_DIR: '/nowhere' };
      expect(inShell('exec "$@"', 'report(await attempt())', env)).toEqual({ exitCode: 0 });
    });
  });

  test.each([
    ['before the launcher is there', ''],
    ['when the launcher is there', 'await attempt();'],
  ])(
    'too few descriptors in Node, %s: whatever the number, a typed error or a success',
    (_, first) => {
      const script = `
      const { RLIMIT_NOFILE } = sys.Rlimit;
      const { hard } = sys.prlimit(0, RLIMIT_NOFILE);
      const open = () => fs.readdirSync('/proc/self/fd').length;
      ${first}
      const results = [];
      let settled;
      for (let spare = 0; spare < 24; spare++) {
        const hoard = [];
        sys.prlimit(0, RLIMIT_NOFILE, { soft: 128n, hard });
        try {
          for (;;) hoard.push(fs.openSync('/dev/null'));
        } catch {}
        for (const fd of hoard.splice(0, spare)) fs.closeSync(fd);
        results.push(await attempt());
        for (const fd of hoard) fs.closeSync(fd);
        sys.prlimit(0, RLIMIT_NOFILE, { soft: hard, hard });
        if (results.at(-1).exitCode === 0) settled ??= open();
      }
      const next = await attempt();
      await new Promise((resolve) => setTimeout(resolve, 100));
      report({ results, leaked: open() - settled, next });`;
      const { results, leaked, next } = inShell('exec "$@"', script, {}) as {
        results: Attempt[];
        leaked: number;
        next: unknown;
      };
      expect(results.filter(isUndefined)).toEqual([]);
      expect(results.at(0)).toMatchObject({ typed: true });
      expect(results.at(-1)).toEqual({ exitCode: 0 });
      expect(leaked).toBeLessThanOrEqual(0);
      expect(next).toEqual({ exitCode: 0 });
    },
  );

  test('worker threads that end in the midst of a launch leave nothing', async () => {
    const script = `
      const { parentPort } = require('node:worker_threads');
      (async () => {
        const { supervisor } = await import('${library('supervisor')}');
        const { run } = await import('${library('run')}');
        const { launcher } = await supervisor();
        const running = run('sleep', ['600']);
        parentPort.postMessage(launcher.pid);
        await running;
      })();`;
    // The threads that Node's own file system calls need come with the first worker.
    await Promise.all(Array.from({ length: 8 }, () => readFile('/dev/null')));
    before = snapshot();
    for (let round = 0; round < 10; round++) {
      const worker = new Worker(script, { eval: true });
      const [launcher] = (await once(worker, 'message')) as [number];
      // Later in the launch from round to round.
      await sleep(round);
      await worker.terminate();
      await until(() => isReaped(launcher));
    }
  });

  suite('a launcher that never rests', [root], () => {
    test('has a journal that does not grow, and none when it has ended', () => {
      const script = `
        const { launcher } = await supervisor();
        const stop = new AbortController();
        const rests = run('sleep', ['600'], { signal: stop.signal }).catch(() => {});
        const journal = '/proc/' + launcher.pid + '/fd/5';
        const path = fs.readlinkSync(journal);
        const size = async (rounds) => {
          for (let i = 0; i < rounds; i++) await attempt();
          return fs.statSync(journal).size;
        };
        await size(5);
        const sizes = [await size(1), await size(40)];
        stop.abort();
        await rests;
        launcher.close();
        while (fs.existsSync('/proc/' + launcher.pid)) await new Promise((done) => setTimeout(done, 5));
        report({ sizes, left: fs.existsSync(path) });`;
      const { sizes, left } = inShell('exec "$@"', script, {}) as {
        sizes: number[];
        left: boolean;
      };
      expect(sizes[0]).toBeGreaterThan(0);
      expect(sizes[1]).toBeLessThanOrEqual(2 * (sizes[0] ?? 0));
      expect(left).toBe(false);
    });
  });

  suite('too few descriptors in the launcher', [root], () => {
    test('whatever the number, a typed error or a success, and it goes on', () => {
      const script = `
        const { launcher } = await supervisor();
        await attempt();
        const { RLIMIT_NOFILE } = sys.Rlimit;
        const before = sys.prlimit(launcher.pid, RLIMIT_NOFILE);
        const descriptors = () => fs.readdirSync('/proc/' + launcher.pid + '/fd').length;
        const open = descriptors();
        const highest = Math.max(...fs.readdirSync('/proc/' + launcher.pid + '/fd').map(Number));
        const results = [];
        for (let spare = 1; spare < 64; spare++) {
          const { launcher: now } = await supervisor();
          const soft = BigInt(highest + spare);
          sys.prlimit(now.pid, RLIMIT_NOFILE, { soft, hard: before.hard });
          results.push(await attempt());
          if (now.gone === undefined) sys.prlimit(now.pid, RLIMIT_NOFILE, before);
        }
        report({ results, next: await attempt() });`;
      const { results, next } = inShell('exec "$@"', script, {}) as {
        results: Attempt[];
        next: unknown;
      };
      expect(results.filter(isUndefined)).toEqual([]);
      expect(results.at(0)).toMatchObject({ typed: true });
      expect(results.at(-1)).toEqual({ exitCode: 0 });
      expect(next).toEqual({ exitCode: 0 });
    });
  });
});

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { IdLock } from '../../lib/host/idLock.js';
import { IdRanges } from '../../lib/host/idRanges.js';
import { linux, suite } from '../helpers/needs.js';

const all = [{ start: 0, count: 4294967295 }];
const library = (name: string) => new URL(`../../lib/host/${name}.js`, import.meta.url).href;

/** Takes three ranges, prints where they start, and keeps them until it is killed. */
const holder = `
  import { spawn } from 'node:child_process';
  import { IdLock } from '${library('idLock')}';
  import { IdRanges } from '${library('idRanges')}';
  const [path, heir] = process.argv.slice(1);
  const all = [{ start: 0, count: 4294967295 }];
  const lock = new IdLock(path);
  const ranges = new IdRanges({ uids: all, gids: all, reserved: [], lock });
  const starts = [0, 0, 0].map(() => ranges.acquire({ shareHostDirs: false }).uidMappings[0].hostID);
  const child = heir && spawn('sleep', ['60'], { stdio: ['ignore', 'ignore', 'ignore', lock.fd] });
  console.log(JSON.stringify({ starts, heir: child?.pid }));
  setInterval(() => {}, 60000);
`;

suite('id ranges between processes', [linux], () => {
  let directory: string;
  let path: string;
  let children: ChildProcess[];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
    path = join(directory, 'run', 'ids.lock');
    children = [];
  });
  afterEach(async () => {
    await Promise.all(children.map(end));
    rmSync(directory, { recursive: true });
  });

  async function end(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async function hold(...args: string[]): Promise<{ starts: number[]; heir?: number }> {
    const child = spawn(
      process.execPath,
      ['--input-type=module', '-e', holder, '--', path, ...args],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    children.push(child);
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    return JSON.parse(line) as { starts: number[]; heir?: number };
  }

  /** The next range that this process would get; taken with a descriptor of its own. */
  function next(): number | undefined {
    const lock = new IdLock(path);
    try {
      const ranges = new IdRanges({ uids: all, gids: all, reserved: [], lock });
      return ranges.acquire({ shareHostDirs: false }).uidMappings[0]?.hostID;
    } finally {
      lock.close();
    }
  }

  test('two processes at once never have the same range', async () => {
    const [a, b] = await Promise.all([hold(), hold()]);
    const starts = [...a.starts, ...b.starts].sort((x, y) => x - y);
    expect(starts).toEqual([0, 1, 2, 3, 4, 5].map((index) => 524288 + 65536 * index));
    expect(next()).toBe(524288 + 65536 * 6);
  });

  test('the ranges of a process that was killed are free again', async () => {
    await hold();
    expect(next()).toBe(524288 + 65536 * 3);
    await Promise.all(children.map(end));
    expect(next()).toBe(524288);
  });

  test('whoever was handed the descriptor keeps the ranges of a process that was killed', async () => {
    const { heir } = await hold('heir');
    if (heir === undefined) throw new Error('no heir was started');
    try {
      await Promise.all(children.map(end));
      expect(next()).toBe(524288 + 65536 * 3);
    } finally {
      process.kill(heir, 'SIGKILL');
    }
  });

  test('a range that was returned can be had by others', () => {
    const lock = new IdLock(path);
    try {
      const ranges = new IdRanges({ uids: all, gids: all, reserved: [], lock });
      const lease = ranges.acquire({ shareHostDirs: false });
      expect(next()).toBe(524288 + 65536);
      lease.release();
      expect(next()).toBe(524288);
    } finally {
      lock.close();
    }
  });

  test('two pools on one descriptor do not get the same range', () => {
    const lock = new IdLock(path);
    try {
      const facts = { uids: all, gids: all, reserved: [], lock };
      const leases = [new IdRanges(facts), new IdRanges(facts)].map((ranges) =>
        ranges.acquire({ shareHostDirs: false }),
      );
      expect(leases[0]?.uidMappings).not.toEqual(leases[1]?.uidMappings);
    } finally {
      lock.close();
    }
  });

  test('the lock file and its directory are private, whatever the umask', () => {
    const umask = process.umask(0o777);
    try {
      new IdLock(path).close();
    } finally {
      process.umask(umask);
    }
    expect(statSync(join(directory, 'run')).mode & 0o777).toBe(0o700);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(() => new IdLock(path).close()).not.toThrow();
  });

  test('a place where others may write, a link and a missing place are refused', () => {
    const refused = expect.objectContaining({ code: 'ERR_ID_LOCK', path: expect.any(String) });
    mkdirSync(join(directory, 'run'));
    chmodSync(join(directory, 'run'), 0o777);
    expect(() => new IdLock(path)).toThrow(refused);
    chmodSync(join(directory, 'run'), 0o700);
    writeFileSync(join(directory, 'target'), '');
    symlinkSync(join(directory, 'target'), path);
    expect(() => new IdLock(path)).toThrow(refused);
    expect(() => new IdLock(join(directory, 'gone', 'run', 'ids.lock'))).toThrow(refused);
  });
});

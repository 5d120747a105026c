import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createJournal, discardJournal, type JournalEntry } from '../../lib/host/journal.js';
import { sweep } from '../../lib/host/sweep.js';
import { newId } from '../../lib/specOf.js';
import { identityOf, journalEntry, leaveJournal } from '../helpers/journals.js';
import { hasEnded, until } from '../helpers/launches.js';
import { cgroupMembers } from '../helpers/leaks.js';
import { cgroups, root, suite } from '../helpers/needs.js';
import { makeInEveryTree, moveTo } from '../helpers/ownTrees.js';

suite('the sweep of what dead launchers left', [cgroups], () => {
  let directory: string;
  let journal: string;
  let made: string[];
  let children: ChildProcess[];
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
    journal = join(directory, 'dead.log');
    made = [];
    children = [];
  });
  afterEach(async () => {
    for (const child of children) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    for (const path of made.reverse()) if (existsSync(path)) rmdirSync(path);
    rmSync(directory, { recursive: true });
  });

  function makeCgroup(path: string): string {
    mkdirSync(path);
    made.push(path);
    return path;
  }

  /** A cgroup of ours in every tree that we may make one in. */
  function makeCgroups(name = `ringfort-${newId()}`): string[] {
    const paths = makeInEveryTree(name);
    made.push(...paths);
    expect(paths.length).toBeGreaterThan(0);
    return paths;
  }

  const noted = (path: string): JournalEntry => ({ path, made: identityOf(path) });

  /** A process in a cgroup, on v1 in all of the trees. */
  async function settle(paths: readonly string[]): Promise<number> {
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    children.push(child);
    await once(child, 'spawn');
    const pid = child.pid as number;
    for (const path of paths) moveTo(path, pid); // one tree is enough
    expect(paths.some((path) => cgroupMembers(path).includes(pid))).toBe(true);
    return pid;
  }

  test('ends what runs there and removes it, children first, in every tree', async () => {
    const paths = makeCgroups();
    const inner = paths.map((path) => makeCgroup(join(path, 'leaf')));
    const pid = await settle(inner);
    leaveJournal(journal, [...paths, ...inner].map(noted));
    // Again where what runs there has not died yet, as the next start does.
    await until(async () => {
      await sweep(directory);
      return !existsSync(journal);
    });
    await until(() => hasEnded(pid));
    expect(made.filter((path) => existsSync(path))).toEqual([]);
  });

  test('cgroups inside a cgroup that is noted go with it', async () => {
    const [path = ''] = makeCgroups();
    makeCgroup(join(path, 'a'));
    makeCgroup(join(path, 'a', 'b'));
    leaveJournal(journal, [noted(path)]);
    await sweep(directory);
    expect(existsSync(path)).toBe(false);
  });

  test('another cgroup by the same name is not touched, nor what runs in it', async () => {
    const paths = makeCgroups();
    const pid = await settle(paths);
    const other = paths.map((path) => {
      const { inode, device } = identityOf(path);
      return { path, made: { inode: inode + 1n, device } };
    });
    const otherTree = paths.map((path) => {
      const { inode, device } = identityOf(path);
      return { path, made: { inode, device: device + 1n } };
    });
    leaveJournal(journal, [...other, ...otherTree]);
    await sweep(directory);
    expect(paths.filter((path) => existsSync(path))).toEqual(paths);
    expect(hasEnded(pid)).toBe(false);
    expect(existsSync(journal)).toBe(false);
  });

  test('what was only about to be made is removed when it is empty and has a name of ours', async () => {
    const empty = makeCgroups();
    const used = makeCgroups();
    const named = makeCgroups(`ringfort-mine-${process.pid}`);
    const pid = await settle(used);
    leaveJournal(
      journal,
      [...empty, ...used, ...named].map((path) => ({ path })),
    );
    await sweep(directory);
    expect(empty.filter((path) => existsSync(path))).toEqual([]);
    expect(named.filter((path) => existsSync(path))).toEqual(named);
    expect(used.filter((path) => cgroupMembers(path).includes(pid)).length).toBeGreaterThan(0);
    expect(hasEnded(pid)).toBe(false);
  });

  test('nothing outside of cgroup file systems is removed, nor through a link', async () => {
    const [path = ''] = makeCgroups();
    const plain = join(directory, `ringfort-${newId()}`);
    mkdirSync(plain);
    const link = join(directory, 'link');
    symlinkSync(join(path, '..'), link);
    const through = join(link, basename(path));
    leaveJournal(journal, [noted(plain), { path: plain }, { ...noted(path), path: through }]);
    await sweep(directory);
    expect([plain, path].filter((each) => existsSync(each))).toEqual([plain, path]);
  });

  test('damaged, torn and free entries say nothing', async () => {
    const paths = makeCgroups();
    const [path = ''] = paths;
    const whole = journalEntry(noted(path));
    const damaged = [0, 4, 8, 12, 16, 24, 28, 33].map((at) => {
      const bytes = Buffer.from(whole);
      bytes[at] = (bytes[at] ?? 0) ^ 1;
      return bytes;
    });
    // Without its second half, which a launcher writes later, an entry says only what was intended.
    const busy = makeCgroup(join(path, 'child'));
    const random = Buffer.alloc(5000, 0xa5);
    leaveJournal(journal, [...damaged, Buffer.alloc(1024), random, whole.subarray(0, 40)]);
    await sweep(directory);
    expect([path, busy].filter((each) => existsSync(each))).toEqual([path, busy]);
    expect(existsSync(journal)).toBe(false);
  });

  test('a journal that is in use is left alone, and one whose directory is gone is no error', async () => {
    const [path = ''] = makeCgroups();
    const held = createJournal(directory);
    writeFileSync(held.path, journalEntry(noted(path)));
    await sweep(directory);
    expect(existsSync(path)).toBe(true);
    expect(existsSync(held.path)).toBe(true);
    closeSync(held.fd);
    await Promise.all([sweep(directory), sweep(directory), sweep(directory)]);
    expect(existsSync(path)).toBe(false);
    expect(existsSync(held.path)).toBe(false);
    await sweep(join(directory, 'nowhere'));
  });

  test('what cannot be seen from here stays in the journal', async () => {
    const path = `/nowhere/unified/ringfort-${newId()}`;
    leaveJournal(journal, [{ path, made: { inode: 5n, device: 5n } }]);
    await sweep(directory);
    expect(existsSync(journal)).toBe(true);
  });

  test('a journal that was given up is gone', () => {
    const held = createJournal(directory);
    discardJournal(held);
    expect(existsSync(held.path)).toBe(false);
  });

  suite('as root', [root], () => {
    test('another user’s journal is not read', async () => {
      const [path = ''] = makeCgroups();
      leaveJournal(journal, [noted(path)]);
      chownSync(journal, 65534, 65534);
      await sweep(directory);
      expect(existsSync(path)).toBe(true);
      expect(existsSync(journal)).toBe(true);
    });
  });
});

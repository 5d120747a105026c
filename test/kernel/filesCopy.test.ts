import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { FileAgent } from '../../lib/files/agent.js';
import { copyIn } from '../../lib/files/copyIn.js';
import { CopyCount, type CopyOptions } from '../../lib/files/copyOptions.js';
import { copyOut } from '../../lib/files/copyOut.js';
import { Directory } from '../../lib/files/directory.js';
import type { FileSystem } from '../../lib/files/fileSystem.js';
import { GuestWriter } from '../../lib/files/guestWriter.js';
import { statBytes } from '../../lib/files/stats.js';
import { agentPid, type FileBox, fileBox } from '../helpers/fileAgents.js';
import { command, linux, manyIds, root, suite } from '../helpers/needs.js';

let shared: string;
let box: FileBox;
let fs: FileSystem;
let host: string;
let guest: string;

const into = (source: string, to: string, options?: CopyOptions) =>
  copyIn(box.agent, source, to, options);
const out = (source: string, to: string, options?: CopyOptions) =>
  copyOut(box.agent, source, to, options);

function code(expected: string) {
  return expect.objectContaining({ code: expected });
}

/** Everything below a directory: mode, content or target, time; and which names are one file. */
function tree(path: string, seen = new Map<number, string>(), at = '.'): Record<string, string> {
  const stats = lstatSync(path);
  const mode = (stats.mode & 0o7777).toString(8);
  const first = seen.get(stats.ino);
  seen.set(stats.ino, first ?? at);
  if (stats.isSymbolicLink()) return { [at]: `-> ${readlinkSync(path)}` };
  if (!stats.isDirectory()) {
    const text = first === undefined ? readFileSync(path, 'utf8') : `= ${first}`;
    return { [at]: `${mode} ${Math.floor(stats.mtimeMs)} ${text}` };
  }
  const names = readdirSync(path).sort();
  const inside = names.map((name) => tree(join(path, name), seen, `${at}/${name}`));
  return Object.assign({ [at]: `${mode} ${Math.floor(stats.mtimeMs)} directory` }, ...inside);
}

/** A tree of every kind of file, under `host/name`. */
function makeTree(name = 'tree'): string {
  const path = join(host, name);
  mkdirSync(join(path, 'a/empty'), { recursive: true });
  writeFileSync(join(path, 'a/file'), 'contents');
  linkSync(join(path, 'a/file'), join(path, 'a/second'));
  linkSync(join(path, 'a/file'), join(path, 'third'));
  writeFileSync(join(path, 'secret'), 'secret');
  symlinkSync('a/file', join(path, 'link'));
  symlinkSync('/etc/shadow', join(path, 'absolute'));
  chmodSync(join(path, 'a/file'), 0o751);
  chmodSync(join(path, 'secret'), 0o400);
  // Of times that have nanoseconds, Node's utimes on the host keeps what a double holds.
  for (const each of ['a/file', 'secret']) utimesSync(join(path, each), 1000, 2000.5);
  chmodSync(join(path, 'a/empty'), 0o500);
  for (const each of ['a/empty', 'a', '.']) utimesSync(join(path, each), 3000, 4000);
  return path;
}

suite('copies of trees', [linux], () => {
  beforeAll(async () => {
    shared = mkdtempSync(join(tmpdir(), 'ringfort-files-'));
    chmodSync(shared, 0o755);
    box = await fileBox({ mounts: [`${shared}:/work`] });
    fs = box.fs;
  });
  afterAll(async () => {
    await fs.rm('/work/trees', { recursive: true, force: true });
    await box.end();
    rmSync(shared, { recursive: true });
  });
  beforeEach(async () => {
    host = mkdtempSync(join(tmpdir(), 'ringfort-copy-'));
    await fs.mkdir('/work/trees', { recursive: true });
    guest = await fs.mkdtemp('/work/trees/');
  });
  afterEach(() => {
    execFileSync('chmod', ['-R', 'u+rwx', host]);
    rmSync(host, { recursive: true });
  });

  test('in and out again: modes, times, links', async () => {
    const source = makeTree();
    const result = { files: 4, directories: 3, symlinks: 2, skipped: [] };
    expect(await into(source, `${guest}/new`)).toMatchObject({ ...result, bytes: 14 });
    expect(await fs.stat(`${guest}/new/secret`)).toMatchObject({ uid: 0, gid: 0, mode: 0o100400 });
    expect(await out(`${guest}/new`, join(host, 'back'))).toMatchObject({ ...result, bytes: 14 });
    expect(tree(join(host, 'back'))).toEqual(tree(source));
    expect(statSync(join(host, 'back/secret')).uid).toBe(process.getuid?.());
    expect(readdirSync(host).sort()).toEqual(['back', 'tree']);
    expect(await fs.readdir(guest)).toEqual(['new']);
  });

  test('onto what is there: merged, replaced, into a directory by name, only its contents', async () => {
    const source = makeTree();
    await into(source, guest);
    expect(await fs.readdir(guest)).toEqual(['tree']);
    writeFileSync(join(source, 'more'), 'more');
    writeFileSync(join(source, 'a/file'), 'changed');
    await into(source, guest);
    expect(await fs.readFile(`${guest}/tree/more`, 'utf8')).toBe('more');
    expect(await fs.readFile(`${guest}/tree/a/file`, 'utf8')).toBe('changed');
    await into(`${source}/.`, guest);
    expect((await fs.readdir(guest)).sort()).toContain('more');
    await out(`${guest}/tree`, host);
    await out(`${guest}/tree/.`, join(host, 'tree/a'));
    expect(readFileSync(join(host, 'tree/a/a/file'), 'utf8')).toBe('changed');
    await expect(out(`${guest}/tree`, join(host, 'tree/more'))).rejects.toEqual(code('ENOTDIR'));
    await expect(into(source, `${guest}/tree/more`)).rejects.toEqual(code('ENOTDIR'));
    await expect(into(source, '/none/x')).rejects.toEqual(code('ENOENT'));
    await expect(out('/none', host)).rejects.toEqual(code('ENOENT'));
    await expect(into(join(host, 'none'), guest)).rejects.toEqual(code('ENOENT'));
  });

  test('one file, one link, a mode of its own', async () => {
    const source = makeTree();
    await into(join(source, 'secret'), `${guest}/s`, { mode: 0o640 });
    await into(join(source, 'secret'), `${guest}/s`);
    expect((await fs.stat(`${guest}/s`)).mode).toBe(0o100400);
    await into(join(source, 'absolute'), guest);
    expect(await fs.readlink(`${guest}/absolute`)).toBe('/etc/shadow');
    await out(`${guest}/s`, join(host, 's'), { mode: 0o604 });
    expect(statSync(join(host, 's')).mode & 0o7777).toBe(0o604);
    await out(`${guest}/absolute`, join(host, 's'));
    expect(readlinkSync(join(host, 's'))).toBe('/etc/shadow');
    await into(source, `${guest}/t`, { mode: 0o640 });
    const modes = ['', '/a', '/a/file'].map(async (at) => (await fs.stat(`${guest}/t${at}`)).mode);
    expect(await Promise.all(modes)).toEqual([0o40750, 0o40750, 0o100640]);
  });

  suite('owners', [manyIds], () => {
    test('are set inside, and kept only when that is asked for', async () => {
      await into(makeTree(), `${guest}/t`, { uid: 7, gid: 8 });
      expect(await fs.stat(`${guest}/t/a`)).toMatchObject({ uid: 7, gid: 8 });
      expect(await fs.lstat(`${guest}/t/link`)).toMatchObject({ uid: 7, gid: 8 });
      await fs.chmod(`${guest}/t/a/file`, 0o6755);
      await out(`${guest}/t`, join(host, 'plain'));
      const { uid, mode } = statSync(join(host, 'plain/a/file'));
      expect([uid, mode & 0o7777]).toEqual([process.getuid?.(), 0o755]);
    });

    suite('of an archive', [root], () => {
      test('are the same numbers on both sides', async () => {
        await into(makeTree(), `${guest}/t`, { uid: 7, gid: 8 });
        await out(`${guest}/t`, join(host, 'archive'), { archive: true });
        for (const name of ['archive', 'archive/link', 'archive/a/file'])
          expect(lstatSync(join(host, name))).toMatchObject({ uid: 7, gid: 8 });
        await into(join(host, 'archive'), `${guest}/u`, { archive: true });
        expect(await fs.stat(`${guest}/u/a/file`)).toMatchObject({ uid: 7, gid: 8 });
      });
    });
  });

  suite('special files', [command('mkfifo')], () => {
    test('are left out, and told', async () => {
      const source = makeTree();
      execFileSync('mkfifo', [join(source, 'fifo')]);
      expect((await into(source, `${guest}/t`)).skipped).toEqual(['fifo']);
      execFileSync('mkfifo', [join(shared, guest.slice(6), 't/fifo')]);
      expect((await out(`${guest}/t`, join(host, 'back'))).skipped).toEqual(['fifo']);
      await expect(out(`${guest}/t/fifo`, join(host, 'x'))).rejects.toEqual(code('ENXIO'));
      await expect(into(join(source, 'fifo'), guest)).rejects.toEqual(code('ENXIO'));
      expect((await fs.readdir(`${guest}/t`)).includes('fifo')).toBe(true);
    });
  });

  test('holes stay holes', async () => {
    const source = join(host, 'sparse');
    writeFileSync(source, 'start');
    truncateSync(source, 200 << 20);
    await into(source, guest);
    expect(await fs.stat(`${guest}/sparse`)).toMatchObject({ size: 200 << 20 });
    await out(`${guest}/sparse`, join(host, 'back'));
    const { size, blocks } = statSync(join(host, 'back'));
    expect([size, blocks < 8192]).toEqual([200 << 20, true]);
    expect((await fs.stat(`${guest}/sparse`)).blocks).toBeLessThan(8192);
  });

  test('holes cost nothing, and data among them is where it was', async () => {
    const size = 2 ** 40;
    const path = `${guest}/huge`;
    const data = Buffer.alloc(10_000, 'data');
    {
      await using file = await fs.open(path, 'w');
      await file.truncate(size);
      for (const at of [5 << 20, 2 ** 39]) await file.write(data, 0, data.length, at);
    }
    const copied = await out(path, join(host, 'huge'), { maxBytes: size });
    expect(copied.bytes).toBe(size);
    const back = statSync(join(host, 'huge'));
    expect([back.size, back.blocks < 256]).toEqual([size, true]);
    const fd = openSync(join(host, 'huge'), 'r');
    const buffer = Buffer.alloc(data.length);
    for (const at of [5 << 20, 2 ** 39]) {
      expect(readSync(fd, buffer, 0, buffer.length, at)).toBe(data.length);
      expect(buffer.equals(data)).toBe(true);
    }
    closeSync(fd);
    await expect(out(path, join(host, 'less'), { maxBytes: size - 1 })).rejects.toEqual(
      code('EFBIG'),
    );
    await into(join(host, 'huge'), `${guest}/again`);
    expect(await fs.stat(`${guest}/again`)).toMatchObject({ size });
  });

  test('a file of a kernel interface is as long as what it says', async () => {
    await out('/proc/self/status', join(host, 'status'));
    expect(readFileSync(join(host, 'status'), 'utf8')).toMatch(/^Name:\tringfort-files\n[^\0]*$/);
    await out('/sys/kernel/mm/transparent_hugepage/enabled', join(host, 'thp'));
    expect(readFileSync(join(host, 'thp'), 'utf8')).toMatch(/^[a-z[\] ]+\n$/);
  });

  test('64 MiB keep their hash', async () => {
    const data = Buffer.alloc(64 << 20);
    for (let i = 0; i < data.length; i += 4096) data.writeUInt32LE(i, i);
    writeFileSync(join(host, 'big'), data);
    await into(join(host, 'big'), guest);
    await out(`${guest}/big`, join(host, 'back'));
    const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');
    expect(hash(readFileSync(join(host, 'back')))).toBe(hash(data));
  });

  test('what is stopped leaves nothing: by size, by signal', async () => {
    const source = makeTree();
    writeFileSync(join(source, 'a/large'), Buffer.alloc(4 << 20, 'x'));
    await expect(into(source, `${guest}/t`, { maxBytes: 1 << 20 })).rejects.toEqual(code('EFBIG'));
    expect(await fs.readdir(guest)).toEqual([]);
    await into(source, `${guest}/t`);
    await expect(out(`${guest}/t`, join(host, 'b'), { maxBytes: 1 << 20 })).rejects.toEqual(
      code('EFBIG'),
    );
    await expect(out(`${guest}/t/a/large`, join(host, 'b'), { maxBytes: 9 })).rejects.toThrow();
    for (let wait = 0; wait < 20; wait++) {
      const stop = new AbortController();
      setTimeout(() => stop.abort(), wait);
      const { signal } = stop;
      const results = await Promise.allSettled([
        into(source, `${guest}/in${wait}`, { signal }),
        out(`${guest}/t`, join(host, `out${wait}`), { signal }),
      ]);
      for (const [i, { status }] of results.entries()) {
        const there = i === 0 ? await fs.readdir(guest) : readdirSync(host);
        expect(there.includes(`${i === 0 ? 'in' : 'out'}${wait}`)).toBe(status === 'fulfilled');
      }
    }
    const all = [...(await fs.readdir(guest)), ...readdirSync(host)];
    expect(all.filter((name) => name.startsWith('.ringfort'))).toEqual([]);
  });

  test('a link where it is already leaves no second name', async () => {
    await fs.mkdir(`${guest}/t`);
    await fs.writeFile(`${guest}/t/a`, 'a');
    await fs.link(`${guest}/t/a`, `${guest}/t/b`);
    // As a guest can have it that renames while it is listed: each name comes twice.
    const twice = Object.create(box.agent, {
      call: {
        value: async (...args: Parameters<FileAgent['call']>) => {
          const answer = await box.agent.call(...args);
          if (args[0] !== 'openDir') return answer;
          return { ...answer, data: Buffer.concat([answer.data, answer.data.subarray(statBytes)]) };
        },
      },
      inTurn: { value: (_kind: string, work: () => Promise<unknown>) => work() },
    }) as FileAgent;
    await copyOut(twice, `${guest}/t`, join(host, 't'));
    expect(readdirSync(join(host, 't')).sort()).toEqual(['a', 'b']);

    const about = { syscall: 'copyfile' };
    const top = await Directory.open(
      { agent: box.agent, about },
      { path: Buffer.from(`${guest}/t`) },
    );
    try {
      const writer = new GuestWriter(box.agent, about, new CopyCount({}), undefined);
      const name = Buffer.from('a');
      await writer.link(top.handle, name, top.handle, name);
      expect((await fs.readdir(`${guest}/t`)).sort()).toEqual(['a', 'b']);
    } finally {
      top.close();
    }
  });

  test('what is stopped leaves nothing of directories that their owner may not empty', async () => {
    const files = ['a/f', 'a/b/f', 'c/f', 'd/f', 'd/e/f'];
    for (const file of files) {
      await fs.mkdir(`${guest}/t/${file.slice(0, -2)}`, { recursive: true });
      await fs.writeFile(`${guest}/t/${file}`, 'xx');
    }
    for (const [name, mode] of Object.entries({ 'a/b': 0o555, a: 0o555, c: 0, 'd/e': 0o300, d: 0 }))
      await fs.chmod(`${guest}/t/${name}`, mode);
    // The last file is one too many, whichever it is.
    const stopped = out(`${guest}/t`, join(host, 't'), { maxBytes: 2 * files.length - 1 });
    await expect(stopped).rejects.toEqual(code('EFBIG'));
    expect(readdirSync(host)).toEqual([]);
  });

  test('names that are not UTF-8', async () => {
    const name = Buffer.concat([Buffer.from(`${host}/`), Buffer.from([0x66, 0xff])]);
    writeFileSync(name, 'odd');
    await into(`${host}/.`, guest);
    const back = join(host, 'back');
    await out(guest, back);
    expect(readdirSync(back, { encoding: 'buffer' })).toEqual([Buffer.from([0x66, 0xff])]);
  });

  /** Makes a chain of directories from the inside of each. */
  function makeDeep(path: string, depth: number): void {
    mkdirSync(path);
    const script =
      'for (let i = 0; i < process.argv[1]; i++) { require("fs").mkdirSync("d"); process.chdir("d"); }' +
      'require("fs").writeFileSync("end", "end")';
    execFileSync(process.execPath, ['-e', script, String(depth)], { cwd: path });
  }

  test('a tree 10,000 deep is removed, with a few descriptors', async () => {
    const path = join(shared, guest.slice(6), 'deep');
    makeDeep(path, 10_000);
    const pid = agentPid(box);
    let most = 0;
    const timer = setInterval(() => {
      most = Math.max(most, existsSync(`/proc/${pid}`) ? openFiles(pid) : 0);
    }, 20);
    await fs.rm(`${guest}/deep`, { recursive: true });
    clearInterval(timer);
    expect(await fs.readdir(guest)).toEqual([]);
    expect(most).toBeLessThan(30);
  });

  test('a tree 3,000 deep is copied out and in', async () => {
    makeDeep(join(host, 'deep'), 3000);
    expect(await into(join(host, 'deep'), guest)).toMatchObject({ directories: 3001, files: 1 });
    const result = await out(`${guest}/deep`, join(host, 'back'));
    expect(result).toMatchObject({ directories: 3001, files: 1 });
    await fs.rm(`${guest}/deep`, { recursive: true });
    execFileSync('rm', ['-r', join(host, 'deep'), join(host, 'back')]);
  });
});

/** Descriptors of a process; 0 where only root may look. */
function openFiles(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
}

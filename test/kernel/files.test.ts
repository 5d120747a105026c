import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { FileAgent } from '../../lib/files/agent.js';
import type { FileSystem } from '../../lib/files/fileSystem.js';
import { callError } from '../../lib/files/paths.js';
import { removeTree } from '../../lib/files/remove.js';
import { type FileBox, fileBox } from '../helpers/fileAgents.js';
import { linux, manyIds, memoryAttributes, suite } from '../helpers/needs.js';

let box: FileBox;
let fs: FileSystem;
/** A fresh directory of the container for each test. */
let dir: string;

function code(expected: string, facts: object = {}) {
  return expect.objectContaining({ code: expected, ...facts });
}

suite('files of a container', [linux], () => {
  beforeAll(async () => {
    box = await fileBox({
      mounts: [
        {
          type: 'tmpfs',
          source: 'tmpfs',
          destination: '/big',
          options: ['size=256m', 'nr_inodes=100000'],
        },
      ],
    });
    fs = box.fs;
  });
  afterAll(() => box.end());
  beforeEach(async () => {
    dir = await fs.mkdtemp('/big/test-');
  });

  describe('reading and writing', () => {
    test('a whole file: text, bytes, encodings, flags', async () => {
      const path = `${dir}/file`;
      await fs.writeFile(path, 'häftig');
      expect(await fs.readFile(path, 'utf8')).toBe('häftig');
      expect(await fs.readFile(path)).toEqual(Buffer.from('häftig'));
      expect(await fs.readFile(path, { encoding: 'hex' })).toBe('68c3a466746967');
      await fs.appendFile(path, Buffer.from('!'), { flag: undefined });
      expect(await fs.readFile(path, 'utf8')).toBe('häftig!');
      await fs.writeFile(path, '00ff', 'hex');
      expect(await fs.readFile(path)).toEqual(Buffer.from([0, 255]));
      await expect(fs.writeFile(path, '', { flag: 'wx' })).rejects.toEqual(code('EEXIST'));
    });

    test('what an iterable or a stream gives', async () => {
      await fs.writeFile(`${dir}/a`, ['one', Buffer.from('two')]);
      await fs.writeFile(`${dir}/b`, fs.createReadStream(`${dir}/a`));
      expect(await fs.readFile(`${dir}/b`, 'utf8')).toBe('onetwo');
    });

    test('an empty file, a file of proc with no size, and more than was expected', async () => {
      await fs.writeFile(`${dir}/empty`, '');
      expect(await fs.readFile(`${dir}/empty`, 'utf8')).toBe('');
      expect(await fs.readFile('/proc/self/status', 'utf8')).toMatch(/^Name:\tringfort-files\n/);
      await fs.writeFile(`${dir}/big`, Buffer.alloc(3_000_000, 'x'));
      expect((await fs.readFile(`${dir}/big`)).length).toBe(3_000_000);
      await expect(fs.readFile(`${dir}/big`, { maxBytes: 2_999_999 })).rejects.toEqual(
        code('ERR_FS_FILE_TOO_LARGE'),
      );
    });

    test('the mode of a new file is asked for less the umask', async () => {
      await fs.writeFile(`${dir}/a`, '', { mode: 0o777 });
      await fs.writeFile(`${dir}/b`, '');
      const modes = [`${dir}/a`, `${dir}/b`].map(async (path) => (await fs.stat(path)).mode);
      expect(await Promise.all(modes)).toEqual([0o100755, 0o100644]);
    });

    test('a handle: positions, truncation, state, owner, closing', async () => {
      const file = await fs.open(`${dir}/f`, 'w+');
      expect(await file.write('0123456789')).toMatchObject({ bytesWritten: 10 });
      expect(await file.write(Buffer.from('abc'), 1, 2, 4)).toMatchObject({ bytesWritten: 2 });
      const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 3);
      expect([buffer.toString(), bytesRead]).toEqual(['3bc6', 4]);
      await file.truncate(5);
      expect(await file.stat()).toMatchObject({ size: 5, uid: 0, gid: 0 });
      await file.chmod(0o600);
      await file.utimes(1, new Date(2000));
      await file.sync();
      await file.datasync();
      expect(await file.stat()).toMatchObject({ mode: 0o100600, atimeMs: 1000, mtimeMs: 2000 });
      const reading = file.read(Buffer.alloc(1), 0, 1, 0);
      await Promise.all([file.close(), file.close()]);
      expect((await reading).bytesRead).toBe(1);
      expect(file.fd).toBe(-1);
      await expect(file.stat()).rejects.toEqual(code('EBADF'));
    });

    test('a handle: whole files and streams, from where it is', async () => {
      const file = await fs.open(`${dir}/f`, 'w+');
      await file.writeFile('one ');
      await file.writeFile(Buffer.from('two '));
      await file.appendFile(['74', '68'], 'hex');
      const stream = file.createWriteStream({ autoClose: false, start: 10 });
      await pipeline([' ', 'four'], stream, { end: false });
      await new Promise((resolve) => stream.end(resolve));
      expect(await file.readFile('utf8')).toBe(' four');
      const read = file.createReadStream({ autoClose: false, start: 0, end: 6 });
      expect(Buffer.concat(await read.toArray()).toString()).toBe('one two');
      const last = file.createWriteStream({ start: 15 });
      // More than one buffer: written together.
      last.cork();
      for (const piece of [' fi', 've']) last.write(piece);
      await new Promise((resolve) => last.end(resolve));
      await once(last, 'close');
      expect(file.fd).toBe(-1);
      expect(await fs.readFile(`${dir}/f`, 'utf8')).toBe('one two th four five');
    });

    test('a handle that is closed under its streams: nothing of them goes into the next file', async () => {
      const piece = Buffer.alloc(16 << 20, 'x');
      const file = await fs.open(`${dir}/f`, 'w+');
      const stream = file.createWriteStream();
      const ended = once(stream, 'close').catch((error) => error.code);
      // Then the next is begun at once.
      await new Promise((resolve) => stream.write('x', resolve));
      stream.write(piece);
      stream.end(piece);
      await file.close();
      // It gets the number that has become free.
      await using next = await fs.open(`${dir}/next`, 'w+');
      const end = await ended;
      const sizes = [(await fs.stat(`${dir}/f`)).size, (await next.stat()).size];
      expect([end, ...sizes]).toEqual(['EBADF', 1 + piece.length, 0]);
      const again = await fs.open(`${dir}/f`);
      const reading = again.createReadStream();
      await once(reading, 'readable');
      await again.close();
      await expect(reading.toArray()).rejects.toEqual(code('EBADF', { syscall: 'read' }));
      await fs.unlink(`${dir}/f`);
    });

    test('64 MiB through streams in both directions', async () => {
      const piece = Buffer.alloc(1 << 20);
      for (let i = 0; i < piece.length; i += 4) piece.writeUInt32LE((i * 2654435761) >>> 0, i);
      const hash = createHash('sha256');
      function* pieces() {
        for (let i = 0; i < 64; i++) {
          piece.writeUInt32LE(i, 0);
          hash.update(piece);
          yield Buffer.from(piece);
        }
      }
      await pipeline(pieces(), fs.createWriteStream(`${dir}/big`));
      expect((await fs.stat(`${dir}/big`)).size).toBe(64 << 20);
      const read = createHash('sha256');
      await pipeline(fs.createReadStream(`${dir}/big`, { highWaterMark: 1 << 18 }), read);
      expect(read.digest('hex')).toBe(hash.digest('hex'));
      await fs.unlink(`${dir}/big`);
    });

    test('a large file that nobody reads on waits where it is', async () => {
      const handle = await fs.open(`${dir}/large`, 'w');
      await handle.truncate(1 << 30);
      await handle.close();
      const stream = fs.createReadStream(`${dir}/large`);
      try {
        await once(stream, 'readable');
        // Later than any read that did not wait.
        for (let turn = 0; turn < 50; turn++) await sleep(2);
        expect(stream.bytesRead).toBeGreaterThan(0);
        expect(stream.bytesRead).toBeLessThanOrEqual(2 * stream.readableHighWaterMark);
      } finally {
        stream.destroy();
        await fs.unlink(`${dir}/large`);
      }
    });

    test('streams take start and end, and say what is wrong', async () => {
      await fs.writeFile(`${dir}/f`, '0123456789');
      const parts: Buffer[] = [];
      for await (const part of fs.createReadStream(`${dir}/f`, { start: 3, end: 5 }))
        parts.push(part as Buffer);
      expect(Buffer.concat(parts).toString()).toBe('345');
      await pipeline(['ab'], fs.createWriteStream(`${dir}/f`, { flags: 'r+', start: 2 }));
      expect(await fs.readFile(`${dir}/f`, 'utf8')).toBe('01ab456789');
      const missing = fs.createReadStream(`${dir}/none`);
      await expect(missing.toArray()).rejects.toEqual(code('ENOENT'));
      const handle = await fs.open(`${dir}/f`);
      await pipeline(handle.createReadStream({ start: 8 }), async (stream) => {
        for await (const part of stream) parts.push(part as Buffer);
      });
      expect(parts.at(-1)?.toString()).toBe('89');
    });
  });

  describe('names', () => {
    test('directories', async () => {
      expect(await fs.mkdir(`${dir}/a`)).toBeUndefined();
      expect(await fs.mkdir(`${dir}/a/b/c`, { recursive: true })).toBe(`${dir}/a/b`);
      expect(await fs.mkdir(`${dir}/a/b/c/`, { recursive: true })).toBeUndefined();
      await fs.mkdir(`${dir}/m`, 0o700);
      expect((await fs.stat(`${dir}/m`)).mode).toBe(0o40700);
      await expect(fs.mkdir(`${dir}/a`)).rejects.toEqual(code('EEXIST'));
      await expect(fs.rmdir(`${dir}/a`)).rejects.toEqual(code('ENOTEMPTY'));
      await fs.rmdir(`${dir}/a/b/c/`);
      await fs.writeFile(`${dir}/a/f`, '');
      await fs.symlink('/nowhere', `${dir}/a/l`);
      expect((await fs.readdir(`${dir}/a`)).sort()).toEqual(['b', 'f', 'l']);
      const typed = await fs.readdir(dir, { withFileTypes: true, recursive: true });
      const shown = typed.map((entry) => [
        entry.parentPath,
        entry.name,
        entry.isDirectory() ? 'd' : entry.isSymbolicLink() ? 'l' : entry.isFile() ? 'f' : '?',
      ]);
      expect(shown.sort()).toEqual([
        [dir, 'a', 'd'],
        [dir, 'm', 'd'],
        [`${dir}/a`, 'b', 'd'],
        [`${dir}/a`, 'f', 'f'],
        [`${dir}/a`, 'l', 'l'],
      ]);
      expect((await fs.readdir(dir, { recursive: true })).sort()).toEqual([
        'a',
        'a/b',
        'a/f',
        'a/l',
        'm',
      ]);
    });

    test('links, renames and removals', async () => {
      await fs.writeFile(`${dir}/a`, 'a');
      await fs.link(`${dir}/a`, `${dir}/b`);
      expect((await fs.stat(`${dir}/b`)).nlink).toBe(2);
      await fs.rename(`${dir}/b`, `${dir}/c`);
      await expect(fs.stat(`${dir}/b`)).rejects.toEqual(code('ENOENT'));
      await fs.symlink('a', `${dir}/l`);
      expect(await fs.readlink(`${dir}/l`)).toBe('a');
      expect((await fs.lstat(`${dir}/l`)).isSymbolicLink()).toBe(true);
      expect((await fs.stat(`${dir}/l`)).isFile()).toBe(true);
      await expect(fs.readlink(`${dir}/a`)).rejects.toEqual(code('EINVAL'));
      await fs.unlink(`${dir}/l`);
      await fs.rm(`${dir}/c`);
      await expect(fs.rm(`${dir}/c`)).rejects.toEqual(code('ENOENT'));
      await fs.rm(`${dir}/c`, { force: true });
      await expect(fs.rm(dir)).rejects.toEqual(code('ERR_FS_EISDIR'));
      await fs.rm(dir, { recursive: true });
      await expect(fs.lstat(dir)).rejects.toEqual(code('ENOENT'));
    });

    test('links resolve inside, absolute ones and relative ones, through every call', async () => {
      await fs.mkdir(`${dir}/d`);
      await fs.writeFile(`${dir}/d/f`, 'inside');
      await fs.symlink(`${dir}/d`, `${dir}/absolute`);
      await fs.symlink('../../../../../../big', `${dir}/up`);
      const through = [`${dir}/absolute/f`, `${dir}/up/${dir.slice(5)}/d/f`];
      for (const path of through) expect(await fs.readFile(path, 'utf8')).toBe('inside');
      expect(await fs.realpath(`${dir}/absolute/../absolute/f`)).toBe(`${dir}/d/f`);
      expect(await fs.realpath('/')).toBe('/');
      await fs.symlink('loop', `${dir}/loop`);
      const path = `${dir}/loop`;
      const calls = [fs.readFile(path), fs.stat(path), fs.realpath(path), fs.chmod(path, 0o600)];
      for (const call of await Promise.allSettled(calls))
        expect(call).toMatchObject({ status: 'rejected', reason: { code: 'ELOOP' } });
    });

    test('names that are not UTF-8, long names, bad arguments', async () => {
      const odd = Buffer.concat([Buffer.from(`${dir}/`), Buffer.from([0xff, 0xfe])]);
      await fs.writeFile(odd, 'odd');
      expect(await fs.readFile(odd, 'utf8')).toBe('odd');
      await fs.rm(dir, { recursive: true });
      await expect(fs.stat('x'.repeat(4096))).rejects.toEqual(code('ENAMETOOLONG'));
      await expect(fs.stat(`/big/${'x'.repeat(256)}`)).rejects.toEqual(code('ENAMETOOLONG'));
      await expect(fs.stat('a\0b')).rejects.toEqual(code('ERR_INVALID_ARG_VALUE'));
      await expect(fs.stat(7 as never)).rejects.toEqual(code('ERR_INVALID_ARG_TYPE'));
      await expect(fs.stat('')).rejects.toEqual(code('ENOENT'));
      expect((await fs.stat(new URL('file:///big'))).isDirectory()).toBe(true);
    });

    test('the root has no name to make or remove', async () => {
      await expect(fs.mkdir('/')).rejects.toEqual(code('EEXIST'));
      await expect(fs.rmdir('/')).rejects.toThrow();
      await expect(fs.unlink('/')).rejects.toThrow();
      await expect(fs.rename('/', `${dir}/x`)).rejects.toThrow();
    });
  });

  describe('attributes', () => {
    test('mode, times, size', async () => {
      const path = `${dir}/f`;
      await fs.writeFile(path, '12345');
      await fs.symlink('f', `${dir}/l`);
      await fs.chmod(`${dir}/l`, '640');
      await fs.utimes(`${dir}/l`, 10.25, new Date(20_500));
      await fs.lutimes(`${dir}/l`, 1, 2);
      await fs.truncate(`${dir}/l`, 3);
      expect(await fs.stat(path)).toMatchObject({ mode: 0o100640, size: 3, atimeMs: 10_250 });
      expect((await fs.lstat(`${dir}/l`)).mtimeMs).toBe(2000);
      await fs.utimes(path, 10.25, new Date(20_500));
      expect((await fs.stat(path)).mtime).toEqual(new Date(20_500));
      await fs.access(path, constants.R_OK | constants.W_OK);
      await expect(fs.access(path, constants.X_OK)).rejects.toEqual(code('EACCES'));
      await expect(fs.truncate(dir, 1)).rejects.toEqual(code('EISDIR'));
      expect(await fs.statfs(dir)).toMatchObject({ type: 0x01021994, bsize: 4096 });
    });

    suite('owners', [manyIds], () => {
      test('are ids of the container', async () => {
        await fs.writeFile(`${dir}/f`, '');
        await fs.symlink('f', `${dir}/l`);
        await fs.chown(`${dir}/l`, 5, 6);
        await fs.lchown(`${dir}/l`, 7, -1);
        expect(await fs.stat(`${dir}/l`)).toMatchObject({ uid: 5, gid: 6 });
        expect(await fs.lstat(`${dir}/l`)).toMatchObject({ uid: 7, gid: 0 });
        await using file = await fs.open(`${dir}/f`);
        await file.chown(8, 9);
        expect(await file.stat()).toMatchObject({ uid: 8, gid: 9 });
        // Whoever owns it: the agent is the container's root.
        await fs.chmod(`${dir}/f`, 0);
        await fs.writeFile(`${dir}/f`, 'x');
        expect(await fs.readFile(`${dir}/f`, 'utf8')).toBe('x');
      });
    });

    suite('on this kernel', [memoryAttributes], () => {
      test('extended attributes and whiteouts, for layers', async () => {
        const { agent } = box;
        const path = Buffer.from(`${dir}/f`);
        const about = { syscall: 'xattr' };
        await fs.writeFile(path, '');
        const name = Buffer.from('user.ringfort');
        const data = Buffer.from('va\0lue');
        // tmpfs has user.* since Linux 6.6.
        const set = agent.call('setxattr', { path, path2: name, data, numbers: [0] }, about);
        const kept = await set.then(
          () => true,
          (error: NodeJS.ErrnoException) => error.code !== 'ENOTSUP' && Promise.reject(error),
        );
        if (kept) {
          expect((await agent.call('getxattr', { path, path2: name }, about)).data).toEqual(data);
          expect((await agent.call('listxattr', { path }, about)).data.toString()).toContain(
            'user.ringfort\0',
          );
          await agent.call('removexattr', { path, path2: name }, about);
          await expect(agent.call('getxattr', { path, path2: name }, about)).rejects.toEqual(
            code('ENODATA'),
          );
        }
        await agent.call('whiteout', { path: Buffer.from(`${dir}/gone`) }, { syscall: 'mknod' });
        const stats = await fs.lstat(`${dir}/gone`);
        expect([stats.isCharacterDevice(), stats.rdev]).toEqual([true, 0]);
      });
    });
  });

  test('copyFile', async () => {
    await fs.writeFile(`${dir}/a`, 'contents', { mode: 0o755 });
    await fs.copyFile(`${dir}/a`, `${dir}/b`);
    expect(await fs.readFile(`${dir}/b`, 'utf8')).toBe('contents');
    expect((await fs.stat(`${dir}/b`)).mode).toBe(0o100755);
    const excl = fs.copyFile(`${dir}/a`, `${dir}/b`, constants.COPYFILE_EXCL);
    await expect(excl).rejects.toEqual(code('EEXIST'));
    await expect(fs.copyFile(`${dir}/a`, `${dir}/a`)).rejects.toEqual(code('EINVAL'));
    expect(await fs.readFile(`${dir}/a`, 'utf8')).toBe('contents');
  });

  test('errors are those of node:fs', async () => {
    const path = `${dir}/none`;
    const error = await fs.readFile(path).catch((found: unknown) => found);
    expect(error).toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'open', path });
    expect((error as Error).message).toBe(`ENOENT: no such file or directory, open '${path}'`);
    await expect(fs.rename(path, `${dir}/x`)).rejects.toEqual(
      code('ENOENT', { syscall: 'rename', path, dest: `${dir}/x` }),
    );
    await expect(fs.readdir(path)).rejects.toEqual(code('ENOENT', { syscall: 'scandir' }));
    await expect(fs.writeFile('/usr/x', '')).rejects.toEqual(code('EROFS'));
    await expect(fs.readFile(dir)).rejects.toEqual(code('EISDIR'));
  });

  test('a directory of 20,000 entries', async () => {
    const names = Array.from({ length: 20_000 }, (_, i) => `entry-${String(i).padStart(40, '0')}`);
    await Promise.all(names.map((name) => fs.symlink('x', `${dir}/${name}`)));
    expect((await fs.readdir(dir)).sort()).toEqual(names);
    await fs.rm(dir, { recursive: true });
    await expect(fs.lstat(dir)).rejects.toEqual(code('ENOENT'));
  });

  describe('a removal', () => {
    test('of a tree in which a name comes back on the way down', async () => {
      for (const name of ['first', 'second'])
        await fs.mkdir(`${dir}/order/${name}`, { recursive: true });
      const newestFirst = (await fs.readdir(`${dir}/order`))[0] === 'second';
      const tree = `${dir}/tree`;
      for (let level = 0, at = tree; level < 25; level++, at += '/B/A') {
        await fs.mkdir(at, { recursive: true });
        for (const name of newestFirst ? ['B', 'A'] : ['A', 'B']) await fs.mkdir(`${at}/${name}`);
        expect(await fs.readdir(at)).toEqual(['A', 'B']);
      }
      await fs.rm(tree, { recursive: true });
      await expect(fs.lstat(tree)).rejects.toEqual(code('ENOENT'));
    });

    test('ends also where two deep trees are filled again and again', async () => {
      for (const name of ['A', 'B'])
        await fs.mkdir(`${dir}/${name}/${'x/'.repeat(10)}`, { recursive: true });
      // As if a guest always came in between.
      const filled = {
        call: (...args: Parameters<FileAgent['call']>) =>
          args[0] === 'rmdir' ? Promise.reject(callError(39, args[2])) : box.agent.call(...args),
      } as FileAgent;
      await expect(removeTree(filled, dir)).rejects.toEqual(code('ENOTEMPTY'));
    });
  });

  describe('giving up', () => {
    test('a call that was aborted before, and one on its way', async () => {
      const signal = AbortSignal.abort('why');
      await expect(fs.readFile(`${dir}/x`, { signal })).rejects.toEqual(
        code('ABORT_ERR', { cause: 'why' }),
      );
      await fs.writeFile(`${dir}/f`, 'x');
      const stop = new AbortController();
      const calls = Array.from({ length: 500 }, () => fs.open(`${dir}/f`, 'r', 0, stop));
      stop.abort();
      const results = await Promise.allSettled(calls);
      expect(results.every(({ status }) => status === 'rejected')).toBe(true);
      expect(await fs.readFile(`${dir}/f`, 'utf8')).toBe('x');
    });

    test('a state, a copy, and what a handle reads or writes', async () => {
      await fs.writeFile(`${dir}/f`, 'x'.repeat(3 << 20));
      await using file = await fs.open(`${dir}/f`, 'r+');
      const calls = (signal: AbortSignal): Promise<unknown>[] => [
        fs.stat(`${dir}/f`, { signal }),
        fs.lstat(`${dir}/f`, { signal }),
        fs.copyFile(`${dir}/f`, `${dir}/copy`, 0, { signal }),
        file.readFile({ signal }),
        file.writeFile('y'.repeat(3 << 20), { signal }),
      ];
      const aborted = { status: 'rejected', reason: code('ABORT_ERR', { name: 'AbortError' }) };
      for (const result of await Promise.allSettled(calls(AbortSignal.abort())))
        expect(result).toEqual(aborted);
      const stop = new AbortController();
      const pending = calls(stop.signal);
      stop.abort();
      for (const result of await Promise.allSettled(pending)) expect(result).toEqual(aborted);
      expect(await fs.readdir(dir)).toEqual(['f']);
    });

    test('a long write', async () => {
      const stop = new AbortController();
      const endless = async function* () {
        for (let i = 0; ; i++) {
          if (i === 3) stop.abort();
          yield 'x'.repeat(1000);
        }
      };
      const writing = fs.writeFile(`${dir}/f`, endless(), { signal: stop.signal });
      await expect(writing).rejects.toEqual(code('ABORT_ERR'));
    });
  });

  test('more listings and removals at once than the agent holds directories', async () => {
    const paths = Array.from({ length: 300 }, (_, i) => `${dir}/${i}`);
    await Promise.all(
      paths.map((path) => fs.mkdir(`${path}/${'x/'.repeat(10)}`, { recursive: true })),
    );
    const listings = Array.from({ length: 1000 }, (_, i) => fs.readdir(`${dir}/${i % 300}`));
    for (const names of await Promise.all(listings)) expect(names).toEqual(['x']);
    const stop = new AbortController();
    const { signal } = stop;
    const aborted = Promise.allSettled(paths.map((path) => fs.readdir(path, { signal })));
    stop.abort();
    for (const result of await aborted) expect(result).toMatchObject({ reason: code('ABORT_ERR') });
    await Promise.all([
      ...paths.map((path) => fs.rm(path, { recursive: true })),
      ...paths.map(() => fs.readdir('/usr/bin')),
    ]);
    expect(await fs.readdir(dir)).toEqual([]);
  });

  test('1000 calls at once are answered each with its own', async () => {
    const numbers = Array.from({ length: 1000 }, (_, i) => i);
    await Promise.all(numbers.map((i) => fs.writeFile(`${dir}/${i}`, String(i))));
    const read = await Promise.all(numbers.map((i) => fs.readFile(`${dir}/${i}`, 'utf8')));
    expect(read).toEqual(numbers.map(String));
  });
});

import { randomBytes } from 'node:crypto';
import { chmodSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type FileBox, fileBox } from '../helpers/fileAgents.js';
import { linux, suite } from '../helpers/needs.js';

const { S_IFREG, S_IFIFO, S_IFSOCK, S_IFCHR, S_IFBLK, S_IFDIR, S_IFLNK } = constants;

let shared: string;
let box: FileBox;

const code = (expected: string) => expect.objectContaining({ code: expected });
const bytes = (path: string) => Buffer.from(path);

function mknod(path: string, mode: number) {
  const request = { path: bytes(path), numbers: [mode] };
  return box.agent.call('mknod', request, { syscall: 'mknod', path });
}

/** One request. @returns where to go on, and whether that is the end */
async function copy(from: string, to: string, numbers = [0, 1 << 30]): Promise<[number, boolean]> {
  const request = { path: bytes(from), path2: bytes(to), numbers };
  const { data, last } = await box.agent.call('copyData', request, { syscall: 'copyfile' });
  return [Number(data.readBigUInt64LE()), last];
}

suite('what the file agent does for layers', [linux], () => {
  beforeAll(async () => {
    shared = mkdtempSync(join(tmpdir(), 'ringfort-files-'));
    chmodSync(shared, 0o755);
    box = await fileBox({ mounts: [`${shared}:/work`] });
  });
  afterAll(async () => {
    for (const name of await box.fs.readdir('/work')) await box.fs.unlink(`/work/${name}`);
    await box.end();
    rmSync(shared, { recursive: true });
  });

  test('files, FIFOs and sockets can be made, and nothing that is more than a name', async () => {
    for (const [i, type] of [S_IFREG, S_IFIFO, S_IFSOCK].entries()) {
      await mknod(`/tmp/made${i}`, type | 0o4640);
      expect((await box.fs.stat(`/tmp/made${i}`)).mode).toBe(type | 0o4640);
      await expect(mknod(`/tmp/made${i}`, type)).rejects.toEqual(code('EEXIST'));
    }
    for (const type of [0, S_IFCHR, S_IFBLK, S_IFDIR, S_IFLNK])
      await expect(mknod('/tmp/not', type | 0o600)).rejects.toEqual(code('EPERM'));
    await expect(box.fs.lstat('/tmp/not')).rejects.toEqual(code('ENOENT'));
  });

  describe.each([
    ['within a file system', '/work', '/work'],
    ['from memory to disk', '/tmp', '/work'],
    ['from disk to memory', '/work', '/tmp'],
  ])('data %s', (_, one, other) => {
    const [from, to] = [`${one}/from`, `${other}/to`];

    test('is the same, at once and in pieces', async () => {
      const data = randomBytes(300_000);
      await box.fs.writeFile(from, data);
      for (const most of [1 << 30, 65_536]) {
        await box.fs.writeFile(to, '');
        let pieces = 0;
        for (let at = 0, last = false; !last; pieces++)
          [at, last] = await copy(from, to, [at, most]);
        expect(pieces).toBe(Math.ceil(data.length / most));
        expect((await box.fs.readFile(to)).equals(data)).toBe(true);
      }
    });

    test('keeps its holes', async () => {
      await box.fs.writeFile(from, '');
      await box.fs.writeFile(to, '');
      await box.fs.truncate(from, 2 ** 40);
      const middle = await box.fs.open(from, 'r+');
      await middle.write(bytes('middle'), 0, 6, 2 ** 39);
      await middle.close();
      expect(await copy(from, to)).toEqual([2 ** 40, true]);
      const { size, blocks } = await box.fs.stat(to);
      expect(size).toBe(2 ** 40);
      expect(blocks).toBeLessThan(1000);
      const copied = await box.fs.open(to, 'r');
      const found = Buffer.alloc(8);
      await copied.read(found, 0, 8, 2 ** 39 - 1);
      await copied.close();
      expect(found.toString()).toBe('\0middle\0');
    });
  });

  test('of an empty file there is nothing, and what is no file has none', async () => {
    await box.fs.writeFile('/tmp/empty', '');
    await box.fs.writeFile('/tmp/target', '');
    expect(await copy('/tmp/empty', '/tmp/target')).toEqual([0, true]);
    await mknod('/tmp/fifo', S_IFIFO | 0o600);
    for (const path of ['/tmp/fifo', '/tmp', '/dev/null']) {
      await expect(copy(path, '/tmp/target')).rejects.toEqual(code('EINVAL'));
      await expect(copy('/tmp/empty', path)).rejects.toEqual(code('EINVAL'));
    }
    await expect(copy('/tmp/empty', '/tmp/none')).rejects.toEqual(code('ENOENT'));
    await box.fs.writeFile('/tmp/filled', 'filled');
    for (const beyond of [-1, 7]) {
      const copied = copy('/tmp/filled', '/tmp/target', [beyond, 10]);
      await expect(copied).rejects.toEqual(code('EINVAL'));
    }
  });
});

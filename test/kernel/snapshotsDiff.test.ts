import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type Change, type Container, createContainer } from '../../lib/index.js';
import { changes } from '../../lib/layers/changes.js';
import { Maintenance } from '../../lib/layers/maintenance.js';
import { LayerBench, python } from '../helpers/layers.js';
import { cgroups, command, linux, suite } from '../helpers/needs.js';

let bench: LayerBench;
let box: Container;

const lower = {
  'data/changed': 'old',
  'data/dir2file/x': 'x',
  'data/file2dir': 'file',
  'data/gone': 'gone',
  'data/gonedir/x': 'x',
  'data/hidden/both/kept': 'old',
  'data/hidden/both/lost': 'old',
  'data/hidden/old': 'old',
  'data/hidden/stays': 'old',
  'data/merged/x': 'x',
  'data/mode': 'mode',
  'data/modedir/x': 'x',
  'data/renamed/x': 'x',
};

async function shell(script: string): Promise<string> {
  const { exitCode, stdout, stderr } = await box.shell(script);
  if (exitCode !== 0) throw new Error(`${exitCode}: ${stderr}`);
  return stdout;
}

async function listed(): Promise<string[]> {
  const all: string[] = [];
  for await (const { kind, type, path } of box.diff()) all.push(`${kind} ${type} ${path}`);
  return all;
}

suite('what a container has changed', [linux, cgroups], () => {
  beforeEach(async () => {
    bench = new LayerBench(lower);
    box = await createContainer(bench.options);
  });
  afterEach(async () => {
    await box[Symbol.asyncDispose]();
    await bench.remove();
  });

  test('nothing at first, then each thing by its name, in order', async () => {
    expect(await listed()).toEqual([]);
    await shell(`cd /data && cat keep changed > /dev/null && echo new > new && echo >> changed &&
      rm gone && rm -r gonedir && rm -r dir2file && echo x > dir2file && rm file2dir &&
      mkdir file2dir && echo x > file2dir/in && mv renamed moved && chmod 600 mode &&
      chmod 711 modedir && rm -r hidden && mkdir -p hidden/both && echo new > hidden/stays &&
      echo new > hidden/both/kept && mkdir merged/sub && ln -s keep link && mkfifo pipe &&
      echo > never && rm never`);
    const expected = [
      'modified file /data/changed',
      'modified file /data/dir2file',
      'modified directory /data/file2dir',
      'added file /data/file2dir/in',
      'deleted file /data/gone',
      'deleted directory /data/gonedir',
      'modified file /data/hidden/both/kept',
      'deleted file /data/hidden/both/lost',
      'deleted file /data/hidden/old',
      'modified file /data/hidden/stays',
      'added symlink /data/link',
      'added directory /data/merged/sub',
      'modified file /data/mode',
      'modified directory /data/modedir',
      'added directory /data/moved',
      'added file /data/moved/x',
      'added file /data/new',
      'added fifo /data/pipe',
      'deleted directory /data/renamed',
    ];
    expect(await listed()).toEqual(expected);
    await box.pause();
    expect(await listed()).toEqual(expected);
    expect(box.state).toBe('paused');
    await box[Symbol.asyncDispose]();
    expect(await listed()).toEqual(expected);
    await using forked = await box.fork({ path: bench.at('fork') });
    box = forked;
    expect(await listed()).toEqual(expected);
  });

  test('with no room for many names it is the same', async () => {
    await shell(`cd /data && rm -r hidden && mkdir -p hidden a/b/c && for dir in . a hidden a/b/c; do
      touch $(seq 50 | sed "s,^,$dir/,"); done; rm mode gone`);
    const expected = await listed();
    expect(expected.length).toBeGreaterThan(200);
    const { lower: below, upper } = bench.rootfs;
    const maintenance = await Maintenance.open({}, [{ source: upper, at: '/upper' }], below);
    try {
      for (const most of [1, 2, 7, 60]) {
        const found: string[] = [];
        const layer = { agent: maintenance.agent, label: upper };
        for await (const { kind, type, path } of changes(layer, '/upper', '/lower', most))
          found.push(`${kind} ${type} ${path}`);
        expect(found).toEqual(expected);
      }
    } finally {
      await maintenance[Symbol.asyncDispose]();
    }
  });

  test('a listing that is left half read, and one that is aborted, end', async () => {
    await shell('cd /data && mkdir many && cd many && touch $(seq 1000)');
    const seen: Change[] = [];
    for await (const change of box.diff()) {
      seen.push(change);
      if (seen.length === 10) break;
    }
    expect(seen.at(-1)).toEqual({ kind: 'added', type: 'file', path: '/data/many/105' });
    const stop = new AbortController();
    const aborted = async () => {
      for await (const _ of box.diff({ signal: stop.signal })) stop.abort();
    };
    await expect(aborted()).rejects.toMatchObject({ code: 'ABORT_ERR' });
    await shell('true');
  });

  suite('a layer that means harm', [command('python3')], () => {
    test('is copied and listed as it is', async () => {
      await box[Symbol.asyncDispose]();
      mkdirSync(join(bench.rootfs.upper, 'deep'));
      const deep = `const fs = require('fs');
        for (let i = 0; i < 2500; i++) { fs.mkdirSync('d'); process.chdir('d'); }
        fs.writeFileSync('end', 'end');`;
      execFileSync(process.execPath, ['-e', deep], { cwd: join(bench.rootfs.upper, 'deep') });
      box = await createContainer(bench.options);
      await python(
        box,
        `import os, socket
os.chdir(b'/data')
for name in [b'new\\nline', b'\\xff\\xfe', b'x' * 255, b'-rf', b' ', b'\\x1b[31m', b'...']:
    open(name, 'w').write('x')
os.symlink('/etc/shadow', 'shadow')
os.symlink('.', 'loop')
os.symlink('x' * 4000, 'long')
socket.socket(socket.AF_UNIX).bind('socket')
os.mkfifo('fifo')
os.truncate(os.open('huge', os.O_CREAT | os.O_WRONLY), 1 << 40)
os.mkdir('closed', 0)
for i in range(300): os.link('-rf', 'link%d' % i)`,
      );
      const taken = await box.snapshot({ path: bench.at('taken') });
      const layer = await bench.listing(bench.rootfs.upper);
      expect(await bench.listing(join(taken.path, 'upper'))).toEqual(layer);
      expect(statSync(join(taken.path, 'upper/data/huge'))).toMatchObject({
        size: 2 ** 40,
        blocks: 0,
      });
      const all = await listed();
      const paths = ['/data/new\nline', '/data/\ufffd\ufffd', '/data/-rf', '/data/shadow'];
      expect(all.map((line) => line.replace(/^\S+ \S+ /, ''))).toEqual(
        expect.arrayContaining(paths),
      );
      expect(all).toContain('added socket /data/socket');
      expect(all).toContain(`added file /deep${'/d'.repeat(2500)}/end`);
    });
  });
});

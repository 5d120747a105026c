import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import {
  type Change,
  Container,
  type CreateOptions,
  createContainer,
  loadSnapshot,
  removeSnapshot,
  snapshotRoot,
} from '../../lib/index.js';
import { createElsewhere, removeAll, runtimeDir } from '../helpers/detached.js';
import { inside, LayerBench, python } from '../helpers/layers.js';
import { expectNoLeaks, type Snapshot, snapshot, testMount } from '../helpers/leaks.js';
import { cgroups, command, linux, manyIds, memoryIdmaps, root, suite } from '../helpers/needs.js';

const lower = {
  'data/changed': 'old',
  'data/gone': 'gone',
  'data/gonedir/x': 'x',
  'data/hidden/old': 'old',
  'data/hidden/stays': 'old',
  'data/renamed/x': 'x',
  'data/sub/deep/x': 'x',
};

/** Something of every kind that a layer can hold. */
const changes = `cd /data && echo new > changed && rm gone && rm -r gonedir &&
  rm -r hidden && mkdir hidden && echo new > hidden/stays && mv renamed moved &&
  echo deep > sub/deep/new && ln changed second && ln changed sub/third && rm -r sub/deep/x &&
  ln -s ../nowhere link && mkfifo pipe && chmod 4755 second && mkdir -m 1777 tmp && chmod 700 sub &&
  truncate -s 1G holes && echo end >> holes && touch -d '2001-02-03 04:05:06.789' sub keep &&
  touch -h -d '2002-02-03' link && touch -d '2003-02-03' .`;

let bench: LayerBench;
let box: Container;
let before: Snapshot;

async function start(options: CreateOptions = {}): Promise<Container> {
  box = await createContainer({ ...bench.options, ...options });
  return box;
}

async function shell(script: string, of = box): Promise<string> {
  const { exitCode, stdout, stderr } = await of.shell(script);
  if (exitCode !== 0) throw new Error(`${exitCode}: ${stderr}`);
  return stdout;
}

/** A layer that takes a while. */
function fill(count: number): void {
  mkdirSync(join(bench.rootfs.upper, 'many'));
  for (let i = 0; i < count; i++) writeFileSync(join(bench.rootfs.upper, `many/${i}`), `${i}`);
}

async function until(condition: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await condition())) await sleep(5);
}

const code = (expected: string) => expect.objectContaining({ code: expected });

suite('snapshots of a file system', [linux, cgroups], () => {
  beforeAll(async () => {
    await using first = await createContainer();
    await first.exec('true');
    // Node's own threads are there from its first work on a file.
    await stat('/');
    before = snapshot();
  });
  beforeEach(() => {
    bench = new LayerBench(lower);
  });
  afterEach(async () => {
    await box[Symbol.asyncDispose]();
    await bench.remove();
  });
  afterAll(() => expectNoLeaks(before));

  test('a snapshot holds everything that the layer does, and is made for its owner alone', async () => {
    await start();
    await shell(changes);
    const taken = await box.snapshot({ path: bench.at('taken') });
    expect(taken).toEqual({
      path: bench.at('taken'),
      lower: bench.rootfs.lower,
      createdAt: expect.any(Number),
      from: box.id,
    });
    expect(statSync(taken.path).mode & 0o7777).toBe(0o700);
    expect(readdirSync(taken.path).sort()).toEqual(['snapshot.json', 'upper']);
    const layer = await bench.listing(bench.rootfs.upper);
    expect(Object.keys(layer).length).toBeGreaterThan(18);
    expect(await bench.listing(join(taken.path, 'upper'))).toEqual(layer);
    expect(statSync(join(taken.path, 'upper/data/holes')).blocks).toBeLessThan(100);
    expect(box.state).toBe('running');
    await using other = await createContainer({ ...bench.options, rootfs: snapshotRoot(taken) });
    expect(await inside(other)).toBe(await inside(box));
  });

  suite('owners and attributes', [manyIds, command('python3')], () => {
    test('owners, set-ID bits, file capabilities, user attributes survive', async () => {
      const capabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'SETFCAP'].map(
        (name) => `CAP_${name}`,
      );
      await start({ capabilities });
      await shell(`cd /data && cp keep owned && chown 1000:50 owned && chmod 6755 owned &&
        cp keep able && mkdir dir && chown 7:8 dir && ln -s x link && chown -h 9:10 link`);
      await python(
        box,
        `import os, struct
os.setxattr('/data/able', 'security.capability', struct.pack('<5I', 0x02000001, 0x400, 0, 0, 0))
os.setxattr('/data/owned', 'user.long', b'v' * 3000)
os.setxattr('/data/dir', 'user.empty', b'')`,
      );
      const misspelt = box.snapshot({ path: bench.at('taken'), signl: 1 } as never);
      await expect(misspelt).rejects.toMatchObject({ option: 'signl' });
      const taken = await box.snapshot({ path: bench.at('taken') });
      const layer = await bench.listing(bench.rootfs.upper);
      expect(layer['/data/owned']).toMatch(/^106755 1000 50 .*user.long=(76){3000} /);
      expect(layer['/data/able']).toContain('security.capability=');
      expect(await bench.listing(join(taken.path, 'upper'))).toEqual(layer);
      await using forked = await box.fork({ path: bench.at('fork') });
      expect(await inside(forked)).toBe(await inside(box));
      await python(
        forked,
        `import os, struct
assert struct.unpack('<5I', os.getxattr('/data/able', 'security.capability'))[1] == 0x400`,
      );
    });
  });

  test('a fork is another container, and neither sees what the other changes', async () => {
    await start({ labels: { who: 'first' }, env: { KEPT: 'yes' } });
    await shell(changes);
    const path = bench.at('fork');
    await using forked = await box.fork({ path, labels: { who: 'second' }, env: undefined });
    expect(forked.id).not.toBe(box.id);
    expect(forked.labels).toEqual({ who: 'second' });
    expect(await inside(forked)).toBe(await inside(box));
    await shell('rm /data/changed; echo 1 > /data/mine; echo $KEPT', box);
    expect(await shell('cat /data/changed; echo 2 > /data/yours; echo $KEPT', forked)).toBe(
      'new\nyes\n',
    );
    expect(await shell('cd /data; ls changed mine yours 2>/dev/null || :', box)).toBe('mine\n');
    expect(await shell('cd /data; ls changed mine yours 2>/dev/null || :', forked)).toBe(
      'changed\nyours\n',
    );
    await using again = await forked.fork({ path: bench.at('again') });
    expect(await inside(again)).toBe(await inside(forked));
    await forked[Symbol.asyncDispose]();
    await removeSnapshot({ path });
    expect(existsSync(path)).toBe(false);
    await expect(removeSnapshot({ path })).rejects.toEqual(code('ERR_SNAPSHOT_NOT_FOUND'));
    await expect(removeSnapshot(undefined as never)).rejects.toEqual(code('ERR_INVALID_OPTION'));
  });

  test('a fork has the volumes that the original has, wherever this process is now', async () => {
    mkdirSync(bench.at('volume'));
    writeFileSync(bench.at('volume/file'), 'of the volume');
    const home = process.cwd();
    process.chdir(bench.path);
    try {
      await start({ mounts: [...(bench.options.mounts ?? []), './volume:/mnt:ro'] });
    } finally {
      process.chdir(home);
    }
    await using forked = await box.fork({ path: bench.at('fork') });
    expect(await shell('cat /mnt/file', forked)).toBe('of the volume');
  });

  test('rollback puts everything back, and starts it anew under its name', async () => {
    await start({ id: `rollback-${process.pid}`, labels: { who: 'me' } });
    await shell(changes);
    const taken = await box.snapshot({ path: bench.at('taken') });
    const [seen, layer] = [await inside(box), await bench.listing(bench.rootfs.upper)];
    box.spawn('sleep', ['600']).on('error', () => {});
    await shell('rm -r /data/*; rm /bin; echo x > /data/x; mkdir /data/changed');
    // What a Node that was killed would have left.
    mkdirSync(bench.at('.upper.ringfort-rollback/upper/junk'), { recursive: true });
    const old = box;
    box = await old.rollback(taken);
    expect([old.state, box.state, box.id, box.labels]).toEqual([
      'stopped',
      'running',
      old.id,
      { who: 'me' },
    ]);
    expect(await inside(box)).toBe(seen);
    expect(await bench.listing(bench.rootfs.upper)).toEqual(layer);
    expect(await box.top()).toHaveLength(1);
    expect(readdirSync(bench.path).sort()).toEqual(['lower', 'taken', 'upper', 'work']);
    const refused = code('ERR_CONTAINER_REPLACED');
    await expect(old.rollback(taken)).rejects.toEqual(refused);
    await expect(old.snapshot({ path: bench.at('no') })).rejects.toEqual(refused);
    await shell('echo again > /data/changed');
    box = await box.rollback(await loadSnapshot(taken.path));
    expect(await inside(box)).toBe(seen);
  });

  test('a rollback that cannot remove the old layer returns the new container', async () => {
    await start();
    await shell('echo then > /data/x');
    const taken = await box.snapshot({ path: bench.at('taken') });
    await shell('echo later > /data/x');
    const aside = bench.at('.upper.ringfort-rollback');
    const rolling = box.rollback(taken);
    await until(() => existsSync(join(aside, 'upper')));
    // What is not of a layer's is not removed.
    writeFileSync(join(aside, 'mine'), 'mine');
    box = await rolling;
    expect(await shell('cat /data/x')).toBe('then\n');
    expect(readdirSync(aside)).toEqual(['mine']);
    await expect(box.rollback(taken)).rejects.toEqual(code('ENOTEMPTY'));
    expect(await shell('cat /data/x')).toBe('then\n');
  });

  test('a rollback that cannot be leaves the container as it is', async () => {
    await start();
    await shell('echo 1 > /data/one');
    const taken = await box.snapshot({ path: bench.at('taken') });
    const option = code('ERR_INVALID_OPTION');
    await expect(box.rollback({ ...taken, lower: ['/srv'] })).rejects.toEqual(option);
    await expect(box.rollback('taken' as never)).rejects.toEqual(option);
    const missing = box.rollback({ ...taken, path: bench.at('no') });
    await expect(missing).rejects.toEqual(code('ERR_SOURCE_NOT_FOUND'));
    const aborted = box.rollback(taken, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toEqual(code('ABORT_ERR'));
    expect(readdirSync(bench.path).sort()).toEqual(['lower', 'taken', 'upper', 'work']);
    expect(await shell('cat /data/one')).toBe('1\n');
  });

  test('a snapshot under load is of one moment, and the load goes on', async () => {
    fill(300);
    await start();
    const writer = box.spawn('sh', [
      '-c',
      `cd /data; i=0; while :; do i=$((i+1)); for name in a b; do
        echo $i > $name.tmp; mv $name.tmp $name; done; done`,
    ]);
    writer.on('error', () => {});
    const count = async () => Number(await shell('cat /data/b 2>/dev/null || echo 0'));
    await until(async () => (await count()) > 3);
    for (let round = 0; round < 5; round++) {
      const taken = await box.snapshot({ path: bench.at(`taken${round}`) });
      const read = (name: string) =>
        Number(readFileSync(join(taken.path, 'upper/data', name), 'utf8'));
      expect(read('a') - read('b')).toBeGreaterThanOrEqual(0);
      expect(read('a') - read('b')).toBeLessThanOrEqual(1);
      const then = read('b');
      await until(async () => (await count()) > then);
    }
  });

  test('a paused container stays paused, one that has ended can be copied still', async () => {
    await start();
    await shell('echo x > /data/x');
    await box.pause();
    await box.snapshot({ path: bench.at('one') });
    expect(box.state).toBe('paused');
    await box.resume();
    await box[Symbol.asyncDispose]();
    await box.snapshot({ path: bench.at('two') });
    const [one, two] = [bench.at('one/upper'), bench.at('two/upper')];
    expect(await bench.listing(two)).toEqual(await bench.listing(one));
    await using forked = await box.fork({ path: bench.at('fork') });
    expect(await shell('cat /data/x', forked)).toBe('x\n');
  });

  test('an abort leaves nothing, and the container runs', async () => {
    fill(3000);
    await start();
    for (const way of ['snapshot', 'fork'] as const) {
      const path = bench.at(way);
      const stop = new AbortController();
      const taking = box[way]({ path, signal: stop.signal });
      taking.catch(() => {});
      await until(() => existsSync(join(path, 'upper/many')));
      stop.abort();
      await expect(taking).rejects.toEqual(code('ABORT_ERR'));
      expect(existsSync(path)).toBe(false);
      expect(box.state).toBe('running');
    }
    expect(await shell('ls /many | wc -l')).toBe('3000\n');
  });

  test('a rollback that is aborted while it copies leaves the container as it is', async () => {
    fill(3000);
    await start();
    const taken = await box.snapshot({ path: bench.at('taken') });
    await shell('echo later > /later');
    const stop = new AbortController();
    const rolling = box.rollback(taken, { signal: stop.signal });
    rolling.catch(() => {});
    await until(() => existsSync(bench.at('.upper.ringfort-rollback/upper/many')));
    stop.abort();
    await expect(rolling).rejects.toEqual(code('ABORT_ERR'));
    expect(readdirSync(bench.path).sort()).toEqual(['lower', 'taken', 'upper', 'work']);
    expect(box.state).toBe('running');
    expect(await shell('cat /later; ls /many | wc -l')).toBe('later\n3000\n');
  });

  test('what cannot be is refused, and nothing is left', async () => {
    await start();
    await shell('echo x > /data/x');
    const path = bench.at('there');
    mkdirSync(path);
    chmodSync(path, 0o755);
    await expect(box.snapshot({ path })).rejects.toEqual(code('EEXIST'));
    await expect(box.snapshot({ path: bench.at('no/no') })).rejects.toEqual(code('ENOENT'));
    await expect(box.snapshot({} as never)).rejects.toEqual(code('ERR_INVALID_OPTION'));
    for (const layer of [
      bench.rootfs.upper,
      bench.rootfs.work,
      join(bench.rootfs.lower[0], 'data'),
    ]) {
      const within = box.snapshot({ path: join(layer, 'snapshot') });
      await expect(within).rejects.toEqual(code('ERR_INVALID_OPTION'));
    }
    const unknown = box.fork({ path: bench.at('fork'), command: ['no-such-program'] });
    await expect(unknown).rejects.toEqual(code('ERR_PROGRAM_NOT_FOUND'));
    for (const call of ['snapshot', 'fork', 'rollback'] as const)
      await expect(box[call](undefined as never)).rejects.toEqual(code('ERR_INVALID_OPTION'));
    expect(readdirSync(path)).toEqual([]);
    expect(readdirSync(bench.path).sort()).toEqual(['lower', 'there', 'upper', 'work']);
    expect(box.state).toBe('running');
    const rootfs = { lower: bench.rootfs.lower };
    await using forgetful = await createContainer({ ...bench.options, rootfs });
    const refused = expect.objectContaining({ code: 'ERR_NO_LAYER', hint: expect.any(String) });
    await expect(forgetful.snapshot({ path: bench.at('a') })).rejects.toEqual(refused);
    await expect(forgetful.diff().next()).rejects.toEqual(refused);
  });

  test('snapshots are found again, also elsewhere; what is none is refused', async () => {
    await start();
    const taken = await box.snapshot({ path: bench.at('taken') });
    expect(await loadSnapshot(taken.path)).toEqual(taken);
    renameSync(taken.path, bench.at('moved'));
    expect(await loadSnapshot(bench.at('moved'))).toEqual({ ...taken, path: bench.at('moved') });
    await expect(loadSnapshot(taken.path)).rejects.toEqual(code('ERR_SNAPSHOT_NOT_FOUND'));
    for (const text of ['{', '[]', 'null', '{"version":1}', '{"version":2}']) {
      writeFileSync(bench.at('moved/snapshot.json'), text);
      await expect(loadSnapshot(bench.at('moved'))).rejects.toEqual(code('ERR_SNAPSHOT_INVALID'));
    }
    expect(() => snapshotRoot({} as never)).toThrow(code('ERR_INVALID_OPTION'));
    writeFileSync(bench.at('moved/mine'), 'mine');
    const kept = removeSnapshot({ path: bench.at('moved') });
    await expect(kept).rejects.toEqual(code('ENOTEMPTY'));
    expect(readdirSync(bench.at('moved'))).toEqual(['mine']);
  });
});

suite('snapshots of a detached container', [linux, cgroups, runtimeDir], () => {
  beforeEach(() => {
    bench = new LayerBench(lower);
  });
  afterEach(async () => {
    await removeAll();
    await bench.remove();
  });

  test('that is found again, and once it has ended; a new one starts from them', async () => {
    const id = await createElsewhere(bench.options);
    box = await Container.open(id);
    await shell('echo new > /data/changed');
    const taken = await box.snapshot({ path: bench.at('taken') });
    expect(box.state).toBe('running');
    const found: Change[] = [];
    for await (const change of box.diff()) found.push(change);
    expect(found).toContainEqual({ kind: 'modified', path: '/data/changed', type: 'file' });
    await shell('echo newer > /data/changed');
    const rootfs = snapshotRoot(taken);
    {
      await using other = await createContainer({ ...bench.options, rootfs });
      expect(await shell('cat /data/changed', other)).toBe('new\n');
    }
    const detached = code('ERR_CONTAINER_DETACHED');
    await expect(box.fork({ path: bench.at('fork') })).rejects.toEqual(detached);
    await expect(box.rollback(taken)).rejects.toEqual(detached);
    // What another process has done to it is not undone.
    const other = await Container.open(id);
    await other.pause();
    await box.snapshot({ path: bench.at('paused') });
    expect([box.state, other.state]).toEqual(['paused', 'paused']);
    await box.resume();
    await other.pause();
    await box.resume();
    const told: string[] = [];
    const telling = (async () => {
      for await (const { type } of other.events()) told.push(type);
    })();
    await other.snapshot({ path: bench.at('running') });
    expect([box.state, other.state]).toEqual(['running', 'running']);
    box.kill('SIGKILL');
    await box.wait();
    await telling;
    expect(told).toEqual(expect.arrayContaining(['paused', 'resumed']));
    const last = await (await Container.open(id)).snapshot({ path: bench.at('last') });
    await using again = await createContainer({ ...bench.options, rootfs: snapshotRoot(last) });
    expect(await shell('cat /data/changed', again)).toBe('newer\n');
  });
});

suite('snapshots by root', [linux, cgroups, root], () => {
  beforeEach(() => {
    bench = new LayerBench();
  });
  afterEach(async () => {
    await box[Symbol.asyncDispose]();
    await bench.remove();
  });

  suite('on a tmpfs', [memoryIdmaps], () => {
    test('a file system that is full leaves nothing, and the container runs', async () => {
      await start();
      await shell('head -c 3M /dev/urandom > /data/large');
      const full = bench.at('full');
      mkdirSync(full);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', testMount, full]);
      try {
        const taking = box.snapshot({ path: join(full, 'taken') });
        await expect(taking).rejects.toEqual(code('ENOSPC'));
        expect(readdirSync(full)).toEqual([]);
      } finally {
        execFileSync('umount', [full]);
      }
      expect(await shell('wc -c < /data/large')).toBe(`${3 << 20}\n`);
    });

    test('a rollback that has no room leaves nothing, and the container runs on', async () => {
      const disk = bench.at('disk');
      mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', testMount, disk]);
      try {
        for (const name of ['upper', 'work']) mkdirSync(join(disk, name));
        const rootfs = { ...bench.rootfs, upper: join(disk, 'upper'), work: join(disk, 'work') };
        await start({ rootfs });
        await shell('head -c 3M /dev/urandom > /data/large');
        const taken = await box.snapshot({ path: bench.at('taken') });
        await shell('echo later > /data/later');
        await expect(box.rollback(taken)).rejects.toEqual(code('ENOSPC'));
        expect(readdirSync(disk).sort()).toEqual(['upper', 'work']);
        expect(box.state).toBe('running');
        expect(await shell('cat /data/later; wc -c < /data/large')).toBe(`later\n${3 << 20}\n`);
        await box[Symbol.asyncDispose]();
      } finally {
        execFileSync('umount', [disk]);
      }
    });
  });

  test('a device that somebody has put there is not copied in silence', async () => {
    execFileSync('mknod', [join(bench.rootfs.upper, 'null'), 'c', '1', '3']);
    await start();
    await expect(box.snapshot({ path: bench.at('taken') })).rejects.toEqual(code('EPERM'));
    expect(existsSync(bench.at('taken'))).toBe(false);
  });
});

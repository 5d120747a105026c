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
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Container, createContainer } from '../../lib/index.js';
import { cgroups, manyIds, suite } from '../helpers/needs.js';

suite('copies into a container and out of it', [cgroups, manyIds], () => {
  let box: Container;
  let directory: string;
  let source: string;
  beforeAll(async () => {
    box = await createContainer();
    directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
    source = join(directory, 'tree');
    mkdirSync(join(source, 'inner'), { recursive: true });
    writeFileSync(join(source, 'inner/tool'), 'tool');
    chmodSync(join(source, 'inner/tool'), 0o4750);
    chmodSync(join(source, 'inner'), 0o710);
    symlinkSync('inner/tool', join(source, 'link'));
  });
  afterAll(async () => {
    await box[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true });
  });

  /** Owner, group and mode of names in it, as a user of it sees them: its root has no capabilities. */
  async function seen(path: string, user = '0:0'): Promise<string[]> {
    const names = [`${path}/inner`, `${path}/inner/tool`, `${path}/link`];
    const { stdout } = await box.exec('stat', ['-c', '%u %g %a', ...names], { user });
    return stdout.trim().split('\n');
  }

  test('are its root’s, with the mode of the source', async () => {
    const { files, directories, symlinks, bytes } = await box.copyIn(source, '/tmp/plain');
    expect([files, directories, symlinks, bytes]).toEqual([1, 2, 1, 4]);
    expect(await seen('/tmp/plain')).toEqual(['0 0 710', '0 0 4750', '0 0 777']);
  });

  test('are whose they are said to be, with the mode that is said', async () => {
    await box.copyIn(source, '/tmp/given', { uid: 1000, gid: 100, mode: 0o640 });
    const own = ['1000 100 750', '1000 100 640', '1000 100 777'];
    expect(await seen('/tmp/given', '1000:100')).toEqual(own);
    const { exitCode } = await box.exec('ls', ['/tmp/given/inner'], { user: '1001:1001' });
    expect(exitCode).toBe(2);
  });

  test('are watched as the guest changes them', async () => {
    await box.exec('mkdir', ['/tmp/watched']);
    const script = 'cd /tmp/watched; while :; do echo >x; mv x y; sleep 0.01; done';
    const program = box.spawn('sh', ['-c', script], { stdio: 'ignore' });
    const wanted = new Set(['rename x', 'change x', 'rename y']);
    let events = 0;
    for await (const { eventType, filename } of box.fs.watch('/tmp/watched')) {
      wanted.delete(`${eventType} ${filename}`);
      if (wanted.size === 0 || ++events === 1000) break;
    }
    await program[Symbol.asyncDispose]();
    expect(wanted).toEqual(new Set());
  });

  test('outside are the caller’s, without set-ID bits, whoever owned them inside', async () => {
    await box.exec('sh', ['-c', 'mkdir /tmp/out; echo x >/tmp/out/x; chmod 6711 /tmp/out/x']);
    await box.exec('chown', ['-R', '1000:1000', '/tmp/out']);
    await box.copyOut('/tmp/out', join(directory, 'out'));
    const { uid, gid, mode } = statSync(join(directory, 'out/x'));
    expect([uid, gid, mode & 0o7777]).toEqual([process.getuid?.(), process.getgid?.(), 0o711]);
    await box.copyOut('/tmp/out/x', join(directory, 'y'), { mode: 0o600 });
    expect(statSync(join(directory, 'y')).mode & 0o7777).toBe(0o600);
  });
});

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { NotFoundError, PermissionError, run } from '../../lib/index.js';
import { inTime } from '../helpers/inTime.js';
import { cgroups, command, suite } from '../helpers/needs.js';

const out = async (script: string, options = {}) => {
  const { stdout, stderr, exitCode } = await run('sh', ['-c', script], options);
  expect({ stderr, exitCode }).toEqual({ stderr: '', exitCode: 0 });
  return stdout.trimEnd();
};

suite('the process that run makes', [cgroups], () => {
  describe('environment', () => {
    test('is empty unless given', async () => {
      process.env.RINGFORT_SECRET = 'host';
      const names = (await run('env')).stdout;
      delete process.env.RINGFORT_SECRET;
      expect(names).toBe('');
    });

    test('is exactly what is given', async () => {
      const env = { B: '2', A: 'x=y', EMPTY: '', LINES: 'one\ntwo' };
      expect((await run('env', ['-0'], { env })).stdout).toBe(
        'B=2\0A=x=y\0EMPTY=\0LINES=one\ntwo\0',
      );
    });
  });

  describe('directory, mask and ids', () => {
    test('cwd is the private home unless given', async () => {
      expect(await out('pwd; echo x > here')).toBe('/root');
      expect(await out('pwd', { cwd: '/usr/bin' })).toBe('/usr/bin');
    });

    test('a cwd that is not there', async () => {
      await expect(run('true', [], { cwd: '/nowhere' })).rejects.toMatchObject({
        name: 'NotFoundError',
        code: 'ERR_CWD',
        phase: 'process',
        syscall: 'chdir',
        path: '/nowhere',
      });
    });

    test('umask', async () => {
      expect(await out('umask')).toBe('0022');
      expect(await out('umask; touch /tmp/f; stat -c %a /tmp/f', { umask: 0o077 })).toBe(
        '0077\n600',
      );
    });

    test('root without anything, unless said otherwise', async () => {
      expect(await out('id -u; id -g; id -G')).toBe('0\n0\n0');
    });

    test('names and ids', async () => {
      expect(await out('hostname')).toMatch(/^[0-9a-f]{12}$/);
      expect(
        await out('hostname; cat /proc/sys/kernel/domainname', {
          hostname: 'box',
          domainname: 'example.org',
        }),
      ).toBe('box\nexample.org');
    });
  });

  describe('the program', () => {
    let root: string;
    beforeAll(() => {
      root = mkdtempSync(join(tmpdir(), 'ringfort-bin-'));
      writeFileSync(join(root, 'script'), '#!/bin/sh\necho "script $0 $1"\n', { mode: 0o755 });
      writeFileSync(join(root, 'plain'), '#!/bin/sh\n', { mode: 0o644 });
      writeFileSync(join(root, 'garbage'), 'no program', { mode: 0o755 });
      writeFileSync(join(root, 'orphan'), '#!/no/such/interpreter\n', { mode: 0o755 });
      mkdirSync(join(root, 'second'));
      writeFileSync(join(root, 'second', 'plain'), '#!/bin/sh\necho second\n', { mode: 0o755 });
      mkdirSync(join(root, 'folder'));
    });
    afterAll(() => rmSync(root, { recursive: true }));
    const mounts = () => [`${root}:/opt`];

    test('is looked for in the PATH of its environment', async () => {
      const env = { PATH: '/nowhere:/opt:/opt/second' };
      expect(await run('script', ['x'], { mounts: mounts(), env })).toMatchObject({
        stdout: 'script /opt/script x\n',
      });
      // execvp(3) goes on past one that may not be executed.
      expect(await run('plain', [], { mounts: mounts(), env })).toMatchObject({
        stdout: 'second\n',
      });
      await expect(run('sh', [], { env })).rejects.toBeInstanceOf(NotFoundError);
    });

    test('needs no shell, and gets none', async () => {
      const { stdout } = await run('printf', ['%s|', '$HOME', '`id`', 'a b', '']);
      expect(stdout).toBe('$HOME|`id`|a b||');
    });

    test.each([
      ['no-such-program', 'no-such-program'],
      ['a path', '/no/such/program'],
      ['a path below a file', '/usr/bin/env/x'],
      ['one without its interpreter', '/opt/orphan'],
    ])('missing: %s', async (_, file) => {
      const error = await run(file, [], { mounts: mounts() }).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(NotFoundError);
      expect(error).toMatchObject({
        code: 'ERR_PROGRAM_NOT_FOUND',
        phase: 'exec',
        syscall: 'execve',
        path: file,
      });
      expect(error.hint).toContain('not in the container');
    });

    test.each([
      ['a file without the x bit', '/opt/plain'],
      ['a file of no known format', '/opt/garbage'],
      ['a directory', '/opt/folder'],
    ])('not executable: %s', async (_, file) => {
      const error = await run(file, [], { mounts: mounts() }).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(PermissionError);
      expect(error).toMatchObject({
        code: 'ERR_PROGRAM_NOT_EXECUTABLE',
        phase: 'exec',
        path: file,
      });
    });

    test('the empty string is no program', async () => {
      await expect(run('')).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION', option: 'file' });
    });
  });

  describe('pid 1', () => {
    test('is our init, and the program is pid 2', async () => {
      expect(await out('echo $$ $PPID; cat /proc/1/comm')).toBe('2 1\nringfort-init');
    });

    test('reaps 5,000 orphans', async () => {
      const script = `
        i=0; while [ $i -lt 5000 ]; do (true &); i=$((i+1)); done
        tries=0
        while left=$(grep -s '^State:.Z' /proc/[0-9]*/status) && [ $tries -lt 200 ]; do
          sleep 0.05; tries=$((tries+1))
        done
        [ -z "$left" ] || echo "$left"
        exit 7`;
      // More than all of them: how fast they are reaped is not what this is about.
      expect(await run('sh', ['-c', script], { limits: { pids: 6000 } })).toMatchObject({
        stdout: '',
        exitCode: 7,
        reason: 'exit',
      });
    });

    test('passes signals on to the program', async () => {
      const script = `trap 'echo caught; exit 5' USR1; echo ready; while :; do sleep 0.01; done`;
      const passed = await inTime('ready\n', 500, (timeout) =>
        run('sh', ['-c', script], { timeout, killSignal: 'SIGUSR1' }),
      );
      expect(passed).toMatchObject({
        stdout: 'ready\ncaught\n',
        exitCode: 5,
        reason: 'timeout',
      });
    });

    test('cannot be ended by its guest', async () => {
      const script = `kill -KILL 1; kill -STOP 1; echo alive`;
      expect(await run('sh', ['-c', script])).toMatchObject({ stdout: 'alive\n', exitCode: 0 });
    });
  });

  test('nothing of one run is seen by the next', async () => {
    const places = '/tmp /var/tmp /run /dev/shm /root';
    await out(`for d in ${places}; do touch "$d/left"; done`);
    expect(await out(`ls -A ${places} | grep left || :`)).toBe('');
  });

  suite('System V shared memory', [command('ipcmk')], () => {
    test('is gone with its container', async () => {
      expect(await out('ipcmk -M 4096 >/dev/null && ipcs -m | grep -c 4096')).toBe('1');
      expect(await out('ipcs -m | grep -c 4096 || :')).toBe('0');
    });
  });
});

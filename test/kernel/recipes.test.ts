import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { type RunOptions, run } from '../../lib/index.js';
import { cgroups, command, root, suite } from '../helpers/needs.js';

const shell = (script: string, options: RunOptions = {}) =>
  run('/bin/sh', ['-c', script], { ...options, encoding: 'utf8' });

suite('launches of the same options', [cgroups], () => {
  test('each has its own id, wherever it stands, and no other', async () => {
    const script = 'hostname; cat /etc/hostname; grep 127.0.1.1 /etc/hosts';
    const seen = new Set<string>();
    for (let i = 0; i < 3; i++) {
      const { stdout } = await shell(script);
      const [name = '', file, hosts] = String(stdout).split('\n');
      expect(name).toMatch(/^[0-9a-f]{12}$/);
      expect(file).toBe(name);
      expect(hosts).toBe(`127.0.1.1\t${name}`);
      seen.add(name);
    }
    expect(seen.size).toBe(3);
  });

  suite('of root', [root], () => {
    test('at the same time they have ids of their own', async () => {
      const script = 'cat /proc/self/uid_map /proc/self/gid_map; sleep 0.3';
      const maps = await Promise.all(Array.from({ length: 4 }, () => shell(script)));
      const bases = maps.map(({ stdout }) => {
        const [uid, gid] = String(stdout).split('\n');
        expect(gid).toBe(uid);
        return uid?.trim().split(/\s+/)[1];
      });
      expect(new Set(bases).size).toBe(4);
    });
  });

  suite('with the network of the host', [root, command('unshare')], () => {
    test('its resolv.conf is looked at each time', async () => {
      const lib = new URL('../../lib/index.js', import.meta.url).href;
      const script = `
        import { execFileSync } from 'node:child_process';
        import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
        import { run } from '${lib}';
        const dir = mkdtempSync('/tmp/ringfort-');
        const seen = async () =>
          console.log((await run('cat', ['/etc/resolv.conf'], { network: 'host' })).stdout);
        for (const [name, text] of [['a', '# a'], ['b', '# b'], ['b', '# b'], ['c', '']]) {
          writeFileSync(dir + '/' + name, text);
          execFileSync('mount', ['--bind', dir + '/' + name, '/etc/resolv.conf']);
          await seen();
        }
        execFileSync('umount', Array(4).fill('/etc/resolv.conf'));
        rmSync(dir, { recursive: true });`;
      const args = ['--mount', process.execPath, '--input-type=module', '--eval', script];
      const { stdout } = await promisify(execFile)('unshare', args);
      expect(stdout).toBe('# a\n# b\n# b\n\n');
    });
  });

  test('what differs in the options differs inside', async () => {
    for (const word of ['one', 'two', 'one']) {
      const { stdout } = await shell('echo $WORD', { env: { WORD: word } });
      expect(stdout).toBe(`${word}\n`);
    }
    const { stdout } = await shell('hostname', { hostname: 'named' });
    expect(stdout).toBe('named\n');
  });

  test('an error says the name of its own container', async () => {
    const start = () => run('/no/such/program').catch((error) => error);
    for (let i = 0; i < 2; i++) {
      expect(await start()).toMatchObject({
        code: 'ERR_PROGRAM_NOT_FOUND',
        path: '/no/such/program',
      });
    }
    expect(String((await shell('exit 3')).exitCode)).toBe('3');
  });

  test('hidden fields and getters reach nobody else', async () => {
    const read = ['/proc/self/status'];
    const caps = async (options: RunOptions) => {
      const { stdout } = await run('/bin/cat', read, { ...options, encoding: 'utf8' });
      return /^CapPrm:\s+(\w+)/m.exec(String(stdout))?.[1];
    };
    const hidden = Object.defineProperty({}, 'capabilities', { value: ['CAP_CHOWN'] });
    await run('/bin/cat', read, hidden);
    expect(await caps({})).toBe('0000000000000000');
    let reads = 0;
    const env = Object.defineProperty({}, 'WORD', {
      enumerable: true,
      get: () => ['a', 'b'][reads++ % 2],
    });
    for (let i = 0; i < 2; i++) {
      await shell('echo $WORD', { env });
      expect((await shell('echo $WORD', { env: { WORD: 'a' } })).stdout).toBe('a\n');
    }
  });

  test('a result is the caller’s to change', async () => {
    const first = await shell('true');
    first.isolation.asked.length = 0;
    first.isolation.missing.push({ wall: 'x', why: 'y' });
    const second = await shell('true');
    expect(second.isolation.asked.length).toBeGreaterThan(5);
    expect(second.isolation.missing).not.toContainEqual({ wall: 'x', why: 'y' });
  });
});

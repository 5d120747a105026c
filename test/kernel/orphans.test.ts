import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import { createContainer, run } from '../../lib/index.js';
import { expectNoLeaks, snapshot, warmUp } from '../helpers/leaks.js';
import { cgroups, command, suite, x64 } from '../helpers/needs.js';

const library = new URL('../../lib/index.js', import.meta.url).href;

suite('Node as pid 1, which reaps nobody but its own children', [cgroups], () => {
  /** Prints what the script does, run by a Node that is the first of its pid namespace. */
  async function asPidOne(script: string): Promise<string> {
    const whole = `import { createContainer, run } from '${library}'; ${script}`;
    const user = process.getuid?.() === 0 ? [] : ['--user', '--map-current-user'];
    const { stdout } = await promisify(execFile)('unshare', [
      ...user,
      ...['--pid', '--fork', '--mount-proc', '--kill-child'],
      ...[process.execPath, '--input-type=module', '-e', whole],
    ]);
    return stdout;
  }

  test('a program that joined is ended with its container', async () => {
    const script = `
      const box = await createContainer({ command: ['sleep', '600'] });
      const program = box.spawn('sleep', ['600']);
      await new Promise((resolve) => program.once('spawn', resolve));
      await box[Symbol.asyncDispose]();
      console.log(process.pid, 'gone');`;
    expect(await asPidOne(script)).toBe('1 gone\n');
  });

  test('no zombie stays of what outlives its parents', async () => {
    const script = `
      const { readdirSync, readFileSync } = await import('node:fs');
      await run('sh', ['-c', '(sleep 0.1 & sleep 0.2 &) & exit'], { namespaces: { pid: 'host' } });
      const box = await createContainer({ command: ['sleep', '600'] });
      for (let i = 0; i < 5; i++) {
        const program = box.spawn('sleep', ['600']);
        await new Promise((resolve) => program.once('spawn', resolve));
        program.kill('SIGKILL');
        await new Promise((resolve) => program.once('close', resolve));
      }
      await box[Symbol.asyncDispose]();
      const zombies = () => readdirSync('/proc').filter((name) => {
        try {
          return / Z /.test(readFileSync('/proc/' + name + '/stat', 'utf8'));
        } catch {
          return false;
        }
      });
      while (zombies().length > 0) await new Promise((resolve) => setTimeout(resolve, 10));
      console.log('none');`;
    expect(await asPidOne(script)).toBe('none\n');
  });
});

suite('a guest that makes children of the launcher', [cgroups, command('perl'), x64], () => {
  test('holds nobody up, and nothing of them is left', async () => {
    await warmUp();
    await run('true');
    const before = snapshot();
    {
      await using box = await createContainer({ command: ['sleep', '600'] });
      await box.exec('true');
      // clone(2): CLONE_PARENT | SIGCHLD. Where the parent is no init of a pid namespace, it is its
      // parent's child that comes.
      const script = 'while (1) { my $p = syscall(56, 0x8011, 0, 0, 0, 0); exit if $p == 0 }';
      const floods = [1, 2, 3].map(() => box.spawn('perl', ['-e', script]));
      const stops = box.spawn('sh', [
        '-c',
        'sleep 600 & while :; do kill -STOP $!; kill -CONT $!; done',
      ]);
      await Promise.all([...floods, stops].map((each) => once(each, 'spawn')));
      for (let i = 0; i < 50; i++) expect((await run('true')).exitCode).toBe(0);
      expect(floods.map(({ exitCode }) => exitCode)).toEqual([null, null, null]);
    }
    await expectNoLeaks(before);
  });
});

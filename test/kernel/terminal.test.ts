import { expect, test } from '@jest/globals';
import { run } from '../../lib/run.js';
import { cgroups, linux, suite } from '../helpers/needs.js';

const env = { PATH: '/usr/bin:/bin' };
const pty = { cols: 100, rows: 30 };

suite('run with a terminal', [linux, cgroups], () => {
  test('stdin, stdout and stderr are one terminal of the size that was asked for', async () => {
    const script = 'tty; tty <&1; tty <&2; stty size';
    const { stdout, stderr } = await run('sh', ['-c', script], { env, pty });
    expect(stdout.split('\r\n')).toEqual([...Array(3).fill('/dev/pts/0'), '30 100', '']);
    expect(stderr).toBe('');
  });

  test('nothing of the output is lost at the end', async () => {
    const lines = Array.from({ length: 5000 }, (_, i) => `${i + 1}\r\n`).join('');
    for (let i = 0; i < 30; i++) {
      const { stdout } = await run('seq', ['1', '5000'], { env, pty });
      expect(stdout).toBe(lines);
    }
  });
});

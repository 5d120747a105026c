import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { cgroups, inUsr, suite } from '../helpers/needs.js';

const program = fileURLToPath(new URL('../helpers/load.js', import.meta.url));

// 500 of them: npm run test:load.
suite('bombs in some containers beside traffic in others', [cgroups, inUsr('perl')], () => {
  test('nothing is lost, mixed up or left', async () => {
    const size = ['--containers', '24', '--bombs', '6', '--seconds', '2', '--rounds', '1'];
    const { stdout, status } = await new Promise<{ stdout: string; status: unknown }>((resolve) => {
      execFile(process.execPath, [program, ...size], (error, out) =>
        resolve({ stdout: out, status: error?.code ?? 0 }),
      );
    });
    // It says what was.
    expect(stdout).toMatch(/\nnothing lost, mixed up or left\n$/);
    expect(status).toBe(0);
  }, 1_800_000);
});

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cgroups, suite } from '../helpers/needs.js';

const program = fileURLToPath(new URL('../helpers/cycles.js', import.meta.url));
const library = new URL('../../lib/index.js', import.meta.url).href;

// All of them: npm run test:cycles.
suite('containers and programs that come and go leave nothing', [cgroups], () => {
  let temporary: string;
  beforeAll(() => {
    temporary = mkdtempSync(join(tmpdir(), 'rf-cycles-'));
  });
  afterAll(() => rmSync(temporary, { recursive: true }));

  test('150 cycles one after another and 32 at once, then 150 programs in one container', async () => {
    const node = ['--expose-gc', program, '--count', '150', '--execs', '150', '--warm', '500'];
    const env = { ...process.env, TMPDIR: temporary };
    const { stdout, status } = await new Promise<{ stdout: string; status: unknown }>((resolve) => {
      execFile(process.execPath, node, { env }, (error, out) =>
        resolve({ stdout: out, status: error?.code ?? 0 }),
      );
    });
    // The table says what was not.
    expect(stdout).toMatch(/\nall at baseline\n$/);
    expect(status).toBe(0);
    expect(readdirSync(temporary)).toEqual([]);
  });

  test('a program that waits for nothing but the end of a container goes on after it', async () => {
    const script = `
      const { createContainer } = await import('${library}');
      const box = await createContainer();
      await box[Symbol.asyncDispose]();
      await createContainer({ signal: AbortSignal.timeout(1) }).then(
        (late) => late[Symbol.asyncDispose](),
        () => {},
      );
      console.log('after');`;
    const node = ['--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, node);
    expect(stdout).toBe('after\n');
  });
});

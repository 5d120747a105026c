import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Container, createContainer, type RunOptions, run } from '../../lib/index.js';
import { linux, suite } from '../helpers/needs.js';

/** Numbers that any descriptor of the launcher's has had. */
const numbers = Array.from({ length: 40 }, (_, i) => i + 3);

// Landlock would refuse it, too: this is about hosts that have none.
const options = (): RunOptions => ({
  landlock: 'off',
  limits: 'none',
  mounts: [`${dir}:/links:ro`],
});
let dir: string;

// A process may use its own magic links: execve(2) follows them while the descriptor is open.
suite('a link of the guest to a descriptor of ours', [linux], () => {
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'ringfort-links-'));
    for (const n of numbers) {
      mkdirSync(join(dir, `${n}`));
      symlinkSync(`/proc/self/fd/${n}/usr/bin/true`, join(dir, `${n}`, 'absolute'));
      symlinkSync(`/proc/self/fd/${n}`, join(dir, `${n}`, 'itself'));
    }
  });
  afterAll(() => {
    rmSync(dir, { recursive: true });
  });

  /** Every link is refused, whether something is missing behind it or nothing may be executed. */
  async function leadsNowhere(start: (file: string) => Promise<unknown>): Promise<void> {
    for (const n of numbers) {
      for (const name of ['absolute', 'itself']) {
        const started = start(`/links/${n}/${name}`);
        await expect(started).rejects.toMatchObject({
          code: expect.stringMatching(/^ERR_PROGRAM_NOT_(FOUND|EXECUTABLE)$/),
        });
      }
    }
  }

  async function inside(box: Container): Promise<void> {
    await using it = box;
    expect((await it.exec('/usr/bin/true')).exitCode).toBe(0);
    await leadsNowhere((file) => it.exec(file));
  }

  test('runs nothing of the host as the only program', async () => {
    expect((await run('/usr/bin/true', [], options())).exitCode).toBe(0);
    await leadsNowhere((file) => run(file, [], options()));
  });

  test('nor below an init', async () => {
    await leadsNowhere((file) => run(file, [], { ...options(), init: true }));
  });

  test('nor as a program that our init starts', async () => {
    await inside(await createContainer(options()));
  });

  test('nor as one that joins', async () => {
    await inside(await createContainer({ ...options(), command: ['/usr/bin/sleep', '600'] }));
  });
});

import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { cgroups, command, root, suite } from '../helpers/needs.js';

/** Runs a built example as a user would. */
function example(name: string): string {
  const file = fileURLToPath(new URL(`../../examples/${name}.js`, import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [file], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout;
}

suite('examples', [cgroups], () => {
  test('hello', () => {
    const out = example('hello');
    expect(out).toMatch(/^hello from [0-9a-f]{12}, pid 2, uid 0$/m);
    expect(out).toContain('exit code 0');
    expect(out).toContain('seccomp');
  });
});

suite('the judge', [cgroups, command('gcc')], () => {
  test('gives every verdict', () => {
    const verdicts = example('judge')
      .trim()
      .split('\n')
      .map((line) => line.replace(/ \(.*$/, '').replace(/ +/, ' '));
    expect(verdicts).toEqual([
      'OK adds two numbers',
      'WA adds wrongly',
      'TLE never ends',
      'TLE sleeps for ever',
      'MLE eats memory',
      'OLE never stops talking',
      'RE crashes',
      'CE does not compile',
    ]);
  });
});

// Its id map is one that only root may write.
suite('a runtime of your own', [root], () => {
  test('prints its plan, then the inside of its container', () => {
    const out = example('own-runtime');
    expect(out).toMatch(/^prepare$/m);
    expect(out).toMatch(/^mine\nbin\nlib\nlib64\nproc\nusr\npid 2\nended: 0$/m);
  });
});

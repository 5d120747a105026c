import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cgroups, command, inUsr, root, suite } from '../helpers/needs.js';

/** Runs a built example as a user would. */
function example(name: string, ...args: string[]): string {
  const file = fileURLToPath(new URL(`../../examples/${name}.js`, import.meta.url));
  const command = [file, ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { encoding: 'utf8' });
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

suite('the sandbox of an agent', [cgroups, inUsr('python3')], () => {
  let workspace: string;
  beforeAll(() => {
    workspace = mkdtempSync(join(tmpdir(), 'ringfort-agent-'));
  });
  afterAll(() => rmSync(workspace, { recursive: true }));

  test('tells the agent what came of each action, and keeps its workspace', () => {
    const out = example('agent-sandbox', workspace);
    const answers = new Map(
      out
        .split('\n> ')
        .slice(1)
        .map((part) => part.split(/\n([\s\S]*)/, 2).map((text) => text.trim()) as [string, string]),
    );
    const endOf = (asked: string) => answers.get(asked)?.split('\n').at(-1)?.trim();
    expect(answers.get('run python3 primes.py 30')).toBe('10 primes below 30\n  [exit 0]');
    expect(answers.get('read primes.txt')).toBe('2 3 5 7 11 13 17 19 23 29');
    expect(answers.get('read no-such-file')).toBe('refused: ENOENT');
    expect(answers.get('run python3 primes.py many')).toMatch(/ValueError[\s\S]*\[exit 1\]$/);
    expect(endOf('run sleep 600')).toBe('[stopped: timeout]');
    expect(endOf("run python3 -c 'x = bytearray(200 << 20)'")).toBe('[stopped: oom]');
    expect(answers.get('run yes')).toMatch(/^y\n[\s\S]*\[cut\]\n {2}\[stopped: output\]$/);
    expect(endOf('run for i in $(seq 100); do sleep 600 & done')).toBe('[stopped: pids]');
    expect(out).toContain('Network is unreachable');
    // What it leads to in the container, where there is no such file.
    expect(answers.get('read notes.txt')).toBe('refused: ENOENT');
    expect(answers.get('read ../../proc/1/environ')).toMatch(/^refused: E/);
    expect(answers.get('run echo still here; ls')).toMatch(/^still here[\s\S]*primes\.txt/);
    expect(answers.get('run cat primes.txt')).toBe('2 3 5 7 11 13 17 19 23 29\n  [exit 0]');
    expect(readFileSync(join(workspace, 'primes.txt'), 'utf8')).toBe('2 3 5 7 11 13 17 19 23 29');
  });
});

suite('the host of plug-ins', [cgroups, inUsr('node')], () => {
  test('survives them, and says what each has done', () => {
    const said = example('plugin-host/host').trimEnd().split('\n');
    const good = ['  shout.mjs says "transform is asked for"', 'shout.mjs: "HELLO"'];
    expect(said).toEqual([
      ...good,
      expect.stringMatching(/^hostile\.mjs spy: \{.*\}$/),
      'hostile.mjs refuse: no result: I will not',
      'hostile.mjs exit: no result: exit code 7',
      'hostile.mjs hang: no result: no answer within 5000 ms',
      'hostile.mjs memory: no result: oom',
      'hostile.mjs fork: no result: pids',
      'hostile.mjs flood: no result: a message of more than 65536 characters',
      'hostile.mjs chatter: no result: more than 100 calls of its own',
      'hostile.mjs forge: no result: an answer to nothing',
      'hostile.mjs garbage: no result: a line that is no JSON',
      ...good,
    ]);
    expect(JSON.parse(said[2]?.replace('hostile.mjs spy: ', '') ?? '')).toEqual({
      shadow: expect.stringMatching(/^E(NOENT|ACCES)$/),
      secrets: [],
      home: expect.stringMatching(/^E(NOENT|ACCES)$/),
      processes: 1,
      code: 'EROFS',
      online: 'ENETUNREACH',
    });
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

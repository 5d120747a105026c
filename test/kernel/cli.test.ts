import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { inTime } from '../helpers/inTime.js';
import { cgroups, command, linux, suite } from '../helpers/needs.js';

const main = fileURLToPath(new URL('../../lib/cli/main.js', import.meta.url));

interface Finished {
  code: number | null;
  stdout: string;
  stderr: string;
}

function finished(child: ChildProcess): Promise<Finished> {
  let stdout = '';
  let stderr = '';
  child.stdout?.on('data', (chunk) => {
    stdout += chunk;
  });
  child.stderr?.on('data', (chunk) => {
    stderr += chunk;
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
}

/** Runs the built program to its end. */
function ringfort(args: string[], input = '', env = process.env): Promise<Finished> {
  const child = spawn(process.execPath, [main, ...args], { env });
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  return finished(child);
}

const sh = (script: string, ...flags: string[]) =>
  ringfort(['run', ...flags, '--', 'sh', '-c', script]);

/** Runs it in a terminal of script(1); `$ringfort` is the command. The terminal's ends are \r\n. */
async function inTerminal(script: string): Promise<Finished> {
  const child = spawn('script', ['-qec', script, '/dev/null'], {
    env: { ...process.env, SHELL: '/bin/sh', ringfort: `${process.execPath} ${main}` },
    // An end of stdin would be typed into the terminal.
    stdio: 'pipe',
  });
  const result = await finished(child);
  return { ...result, stdout: result.stdout.replaceAll('\r', '') };
}

/** Starts a program that prints `ready`, sends signals to the command once it has, and waits. */
async function signalled(script: string, ...signals: NodeJS.Signals[]): Promise<Finished> {
  const child = spawn(process.execPath, [main, 'run', '--', 'sh', '-c', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const result = finished(child);
  for (const signal of signals) {
    // The program says that it is ready for each.
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill(signal);
  }
  return result;
}

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'ringfort-cli-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

suite('ringfort run', [linux, cgroups], () => {
  test('the main job: the inside of a container', async () => {
    const { code, stdout, stderr } = await sh('id; hostname; ls /; echo $$');
    expect(stderr).toBe('');
    expect(code).toBe(0);
    const [id, hostname, ...rest] = stdout.trimEnd().split('\n');
    expect(id).toMatch(/^uid=0\(root\) gid=0\(root\)/);
    expect(hostname).toMatch(/^[0-9a-f]{12}$/);
    expect(rest).toEqual(expect.arrayContaining(['dev', 'proc', 'tmp', 'usr']));
    expect(Number(rest.at(-1))).toBeLessThan(5);
  });

  test.each([
    ['the program’s own', ['sh', '-c', 'exit 7'], 7],
    ['128 and the signal', ['sh', '-c', 'kill -KILL $$'], 137],
    ['a program that is not there', ['no-such-program'], 127],
    ['a program that does not execute', ['/etc/passwd'], 126],
    ['a usage error', ['--memroy', '1g', 'true'], 125],
    ['a wrong value', ['-m', '1m', 'true'], 125],
    ['no program', [], 125],
  ])('exit code: %s', async (_, args, code) => {
    expect(await ringfort(['run', ...args])).toMatchObject({ code, stdout: '' });
  });

  test('errors name the flag, and say what to do', async () => {
    expect((await ringfort(['run', '--memroy', '1g', 'true'])).stderr).toContain(
      "ringfort: unknown option '--memroy'",
    );
    expect((await ringfort(['run', '-m', '1m', 'true'])).stderr).toMatch(
      /^ringfort: --memory: expected at least \d+ bytes, got "1m"\n$/,
    );
    expect((await ringfort(['run', 'no-such-program'])).stderr).toMatch(
      /^ringfort: .*no-such-program.*\n {10}\S.*\n$/,
    );
  });

  test('NODE_DEBUG=ringfort shows where an error came from', async () => {
    const env = { ...process.env, NODE_DEBUG: 'ringfort' };
    const { stderr } = await ringfort(['run', '-m', '1m', 'true'], '', env);
    expect(stderr).toMatch(/^RINGFORT \d+: .*\n +at .*\.js:\d+/m);
  });

  test('stdin is connected with -i alone', async () => {
    expect(await ringfort(['run', '-i', 'cat'], 'input')).toMatchObject({ stdout: 'input' });
    expect(await ringfort(['run', 'cat'], 'input')).toMatchObject({ stdout: '', code: 0 });
  });

  test('a slow reader of stdout gets everything', async () => {
    // More than a pipe holds: a program whose stdout were non-blocking would fail here.
    const pipe = '"$0" "$1" run seq 1 50000 | { sleep 0.5; wc -l; }';
    const child = spawn('sh', ['-c', pipe, process.execPath, main], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(await finished(child)).toEqual({ code: 0, stdout: '50000\n', stderr: '' });
  });

  test('environment, user, directory, host name', async () => {
    const file = join(directory, 'env');
    writeFileSync(file, '# comment\nA=file\nB=file\n');
    const { stdout } = await sh(
      'echo $A $B $HOME; id -u; pwd; hostname; env | sort | cut -d= -f1',
      ...['-e', 'A=flag', '--env-file', file, '-h', 'box', '-w', '/tmp'],
    );
    expect(stdout.split('\n')).toEqual([
      ...['flag file /root', '0', '/tmp', 'box', 'A', 'B', 'HOME', 'PATH', 'PWD', ''],
    ]);
  });

  test('limits', async () => {
    const flags = ['-m', '64m', '--pids-limit', '9', '--ulimit', 'nofile=100:200'];
    expect((await sh('ulimit -n; ulimit -Hn', ...flags)).stdout).toBe('100\n200\n');
  });

  test('a limit that ends the program says so', async () => {
    const hog = 'head -c 200000000 /dev/zero | tail >/dev/null';
    expect(await sh(hog, '-m', '16m')).toMatchObject({
      code: 137,
      stderr: expect.stringContaining('ringfort: killed: out of memory (limit 16m)\n'),
    });
    expect(await sh('while :; do :; done', '--timeout', '200ms', '--stop-signal', 'KILL')).toEqual({
      code: 137,
      stdout: '',
      stderr: 'ringfort: killed: timeout after 200 ms\n',
    });
    expect(await sh('while :; do :; done', '--cpu-time', '200')).toEqual({
      code: 137,
      stdout: '',
      stderr: 'ringfort: killed: 200 ms of CPU time are used up\n',
    });
    const obeys = 'trap "exit 0" TERM; echo ready; sleep 60 & wait';
    const heard = await inTime('ready\n', 500, (ms) => sh(obeys, '--timeout', `${ms}ms`));
    expect(heard).toMatchObject({ code: 124, stdout: 'ready\n' });
  });

  test('mounts: -v, --mount, --tmpfs; a read-only root', async () => {
    writeFileSync(join(directory, 'data'), 'content\n');
    const script = `
      cat /a/data /b/data
      for dir in /a /b /c / ; do touch $dir/new 2>/dev/null && echo "$dir written"; done
      stat -f -c %T /c`;
    const { stdout } = await sh(
      script,
      ...['-v', `${directory}:/a:ro`, '--mount', `type=bind,"src=${directory}",dst=/b`],
      ...['--tmpfs', '/c:size=1m', '--read-only'],
    );
    expect(stdout).toBe('content\ncontent\n/b written\n/c written\ntmpfs\n');
    expect(readFileSync(join(directory, 'new'), 'utf8')).toBe('');
    expect(await ringfort(['run', '--read-only=false', 'true'])).toMatchObject({
      code: 125,
      stderr: expect.stringMatching(/^ringfort: --read-only: /),
    });
  });

  test('no capability unless it is added', async () => {
    const read = 'grep CapEff /proc/self/status';
    expect((await sh(read)).stdout).toMatch(/\t0{16}\n/);
    expect((await sh(read, '--cap-drop', 'ALL', '--cap-add', 'net_raw')).stdout).toMatch(
      /\t0{12}2000\n/,
    );
  });

  test('a signal goes to the program, which may exit as it likes', async () => {
    const script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done";
    expect(await signalled(script, 'SIGTERM')).toMatchObject({ code: 5, stderr: '' });
    const untrapped = 'echo ready; while :; do sleep 0.05; done';
    expect(await signalled(untrapped, 'SIGINT')).toMatchObject({ code: 130 });
  });

  test('a second signal ends it whatever it does', async () => {
    const script = "trap 'echo caught' INT; echo ready; while :; do sleep 0.05; done";
    expect(await signalled(script, 'SIGINT', 'SIGTERM')).toMatchObject({ code: 143 });
  });
});

suite('ringfort run -t', [linux, cgroups, command('script'), command('stty')], () => {
  test('the program has a terminal of our size; ours is as before', async () => {
    const { stdout, code } = await inTerminal(`
      stty rows 30 cols 100; before=$(stty -g)
      $ringfort run -it sh -c 'tty; stty size; echo $TERM; exit 3'; echo "exit $?"
      [ "$(stty -g)" = "$before" ] && echo same`);
    expect(code).toBe(0);
    const lines = stdout.trimEnd().split('\n');
    expect(lines.slice(0, 2)).toEqual(['/dev/pts/0', '30 100']);
    expect(lines.slice(3)).toEqual(['exit 3', 'same']);
  });

  test('a change of our window reaches the program', async () => {
    const { stdout } = await inTerminal(`
      stty rows 30 cols 100
      (until [ -e ${directory}/sized ]; do sleep 0.05; done; stty rows 40 cols 120 </dev/tty) &
      $ringfort run -it -v ${directory}:/d -- sh -c '
        stty size; touch /d/sized
        until [ "$(stty size)" = "40 120" ]; do sleep 0.05; done; echo resized'`);
    expect(stdout).toBe('30 100\nresized\n');
  });

  test('a signal to us goes to the program, and the terminal is as before', async () => {
    const { stdout } = await inTerminal(`
      before=$(stty -g)
      (until [ -e ${directory}/ready ]; do sleep 0.05; done; kill -TERM $(cat ${directory}/pid)) &
      sh -c 'echo $$ >${directory}/pid; exec $ringfort "$@"' -- run -it -v ${directory}:/d -- sh -c '
        trap "exit 4" TERM; touch /d/ready; while :; do sleep 0.05; done'
      echo "exit $?"; [ "$(stty -g)" = "$before" ] && echo same`);
    expect(stdout).toBe('exit 4\nsame\n');
  });

  test('nothing of the output is lost at the end', async () => {
    for (let i = 0; i < 10; i++) {
      const { stdout } = await ringfort(['run', '-t', 'seq', '1', '5000']);
      expect(stdout.slice(-12)).toBe('4999\r\n5000\r\n');
    }
  });

  test('without -i the program is only watched, and stdin may be anything', async () => {
    const { stdout, code } = await ringfort(['run', '-t', 'sh', '-c', 'tty; exit 6'], 'ignored');
    expect([code, stdout]).toEqual([6, '/dev/pts/0\r\n']);
    expect(await ringfort(['run', '-it', 'tty'], 'input')).toMatchObject({
      code: 125,
      stderr: expect.stringContaining('the input device is not a TTY'),
    });
  });
});

suite('ringfort', [linux, cgroups], () => {
  test('explain prints the plan of run and makes nothing', async () => {
    const { stdout, code } = await ringfort(['explain', '-it', '-m', '64m', 'sh', '-c', 'exit 9']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^prepare$[\s\S]*^child$[\s\S]*^teardown$/m);
    expect(stdout).toContain('67108864');
    expect(stdout.endsWith('\n')).toBe(true);
    expect(stdout).not.toMatch(/\n\n$/);
  });

  test('doctor says whether containers run here', async () => {
    const text = await ringfort(['doctor']);
    expect(text).toMatchObject({ code: 0, stderr: '' });
    expect(text.stdout).toMatch(/\ncontainers run here\n$/);
    const json = await ringfort(['doctor', '--json']);
    expect(json.code).toBe(0);
    expect(JSON.parse(json.stdout)).toMatchObject({ usable: true, items: expect.any(Array) });
  });

  test('help of a command, as --help has it', async () => {
    const { stdout } = await ringfort(['run', '--help']);
    expect(await ringfort(['help', 'run'])).toEqual({ code: 0, stdout, stderr: '' });
    const unknown = await ringfort(['help', 'nonesuch']);
    expect(unknown).toMatchObject({ code: 125, stdout: '' });
  });

  test('--version and --help', async () => {
    const manifest = fileURLToPath(new URL('../../../package.json', import.meta.url));
    const { version } = JSON.parse(readFileSync(manifest, 'utf8'));
    expect(await ringfort(['--version'])).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
    for (const args of [['--help'], ['run', '--help'], ['doctor', '--help']]) {
      const { code, stdout } = await ringfort(args);
      expect(code).toBe(0);
      expect(stdout).toMatch(/^Usage: ringfort /);
    }
    expect(await ringfort(['rnu'])).toMatchObject({
      code: 125,
      stderr: expect.stringContaining("ringfort: unknown command 'rnu'"),
    });
  });
});

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { type Finished, killStarted, ringfort, Started, succeed } from '../helpers/cli.js';
import { freshId, leftOf, removeAll, runtimeDir } from '../helpers/detached.js';
import { until } from '../helpers/launches.js';
import { cgroups, linux, notRoot, suite } from '../helpers/needs.js';

/** `ringfort run -d`; what is made so is removed after the test. */
async function detached(flags: string[] = [], ...command: string[]): Promise<string> {
  const id = freshId();
  expect(await succeed(['run', '-d', '--name', id, ...flags, '--', ...command])).toBe(`${id}\n`);
  return id;
}

const sh = (script: string) => ['sh', '-c', script];

/** Lines of JSON. */
function parsed(text: string): Record<string, unknown>[] {
  return text
    .trimEnd()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
}

suite('ringfort on detached containers', [linux, cgroups, runtimeDir], () => {
  afterEach(() => {
    killStarted();
    return removeAll();
  });

  test('run -d, ps, wait, rm: from its start to nothing', async () => {
    const id = await detached(['-l', 'job=7', '-l', 'bare'], ...sh('read line </dev/zero'));
    const idle = await detached();
    const mine = ['--filter', `name=${id}`];
    const [running] = parsed(await succeed(['ps', '--format', 'json', ...mine]));
    expect(running).toMatchObject({
      ID: id,
      Command: '"sh -c read line </dev/zero"',
      State: 'running',
      Labels: 'job=7,bare=',
      Status: expect.stringMatching(/^Up /),
    });
    const table = await succeed(['ps', ...mine]);
    expect(table).toMatch(/^CONTAINER ID +COMMAND +CREATED +STATUS\n/);
    expect(table).toContain(`${id}   "sh -c read line </d…"   `);
    expect(await succeed(['ps', '--no-trunc', ...mine])).toContain('"sh -c read line </dev/zero"');
    for (const filter of ['label=job', 'label=job=7', 'label=bare'])
      expect(await succeed(['ps', '-q', '--filter', filter, ...mine])).toBe(`${id}\n`);
    expect(await succeed(['ps', '-q', '--filter', 'label=job=8', ...mine])).toBe('');
    expect(await succeed(['ps', '--filter', `id=${idle}`])).toContain(`${idle}   ""   `);

    const waiting = new Started(['wait', id]);
    expect(await succeed(['kill', '-s', 'TERM', id])).toBe(`${id}\n`);
    expect((await waiting.finished).stdout).toBe('143\n');
    expect(await succeed(['ps', '-q', ...mine])).toBe('');
    expect(await succeed(['ps', '-a', ...mine])).toMatch(/Exited \(143\) .* ago\n/);
    expect(await succeed(['rm', id])).toBe(`${id}\n`);
    expect(leftOf(id)).toEqual([]);
    expect(await ringfort(['rm', idle])).toEqual({
      code: 1,
      stdout: '',
      stderr: `ringfort: container ${idle} runs\n          stop it first, or use \`rm -f\`\n`,
    });
    expect(await succeed(['rm', '-f', idle])).toBe(`${idle}\n`);
    expect(leftOf(idle)).toEqual([]);
  });

  test('the beginning of an id will do where it is no other’s', async () => {
    const id = await detached();
    const other = `${id}x`;
    try {
      await succeed(['run', '-d', '--name', other]);
      expect(await ringfort(['top', id.slice(0, -1)])).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('several containers begin so'),
      });
      expect(await succeed(['top', id])).toContain('ringfort');
    } finally {
      await succeed(['rm', '-f', other]);
    }
    expect(await succeed(['top', id.slice(0, -1)])).toContain('ringfort');
    expect(await ringfort(['top', 'nobody'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'ringfort: there is no detached container nobody\n',
    });
  });

  test('what run -d refuses', async () => {
    const refused: [string[], RegExp][] = [
      [['-d', '--rm', 'true'], /--rm: not with -d/],
      [['-d', '--timeout', '5s', 'true'], /--timeout: not with -d/],
      [['-d', '-it'], /without a program/],
      [['--name', 'x', 'true'], /--name: only with -d/],
      [['-d', '--name', 'no/name'], /^ringfort: --name: /],
      [['-d', '--log-opt', 'tag=x', 'true'], /max-size/],
      [[], /missing required argument 'program'/],
    ];
    for (const [args, message] of refused) {
      const { code, stdout, stderr } = await ringfort(['run', ...args]);
      expect([code, stdout]).toEqual([125, '']);
      expect(stderr).toMatch(message);
    }
    const id = await detached();
    expect((await ringfort(['run', '-d', '--name', id])).code).toBe(125);
    const lost = freshId();
    expect((await ringfort(['run', '-d', '--name', lost, 'nope'])).code).toBe(127);
    expect(leftOf(lost)).toEqual([]);
  });

  test('exec: streams, environment, user, exit codes', async () => {
    const id = await detached(['-e', 'A=1', '-e', 'B=1']);
    const exec = (...args: string[]) => ringfort(['exec', ...args]);
    expect(await exec('-i', id, 'cat')).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await ringfort(['exec', '-i', id, 'cat'], { input: 'typed' })).stdout).toBe('typed');
    const script = 'echo $A $B; pwd; id -u; echo err >&2; exit 7';
    const flags = ['-e', 'B=2', '-w', '/tmp', '-u', '1'];
    const manyIds = process.getuid?.() === 0;
    const user = manyIds ? flags : flags.slice(0, -2);
    expect(await exec(...user, id, ...sh(script))).toEqual({
      code: 7,
      stdout: `1 2\n/tmp\n${manyIds ? 1 : 0}\n`,
      stderr: 'err\n',
    });
    expect((await exec(id, ...sh('kill -KILL $$'))).code).toBe(137);
    expect(await exec(id, 'nope')).toMatchObject({ code: 127, stdout: '' });
    expect((await exec(id, '/etc/passwd')).code).toBe(126);
    expect((await exec('nobody', 'true')).code).toBe(1);
    expect((await exec(id)).code).toBe(125);
    expect((await exec(id, '--')).code).toBe(125);
    expect((await exec(id, '--', 'echo', '--')).stdout).toBe('--\n');
    expect(await exec('-t', id, 'tty')).toEqual({ code: 0, stdout: '/dev/pts/0\r\n', stderr: '' });
  });

  test('exec: a signal to us goes to the program', async () => {
    const id = await detached();
    const script = "trap 'exit 5' TERM; echo ready; while :; do :; done";
    const running = new Started(['exec', id, ...sh(script)]);
    await until(() => running.stdout === 'ready\n');
    running.child.kill('SIGTERM');
    expect((await running.finished).code).toBe(5);
  });

  test('exec -d: the program goes on without us, and ends with the container', async () => {
    const id = await detached();
    expect(await succeed(['exec', '-d', id, ...sh('echo $$ >/tmp/pid; sleep 1000')])).toBe('');
    expect(await succeed(['top', id])).toContain('sleep 1000');
    expect(await ringfort(['exec', '-d', id, 'nope'])).toMatchObject({
      code: 127,
      stderr: expect.stringContaining('nope'),
    });
    await succeed(['rm', '-f', id]);
    expect(leftOf(id)).toEqual([]);
  });

  test('logs: all, the last lines, with times, followed to the end', async () => {
    const script = 'echo a; echo b >&2; printf c; read line; echo d; exit 3';
    const id = await detached(['-i'], ...sh(script));
    const following = new Started(['logs', '-f', id]);
    await until(() => following.stdout === 'a\nc' && following.stderr === 'b\n');
    const attached = new Started(['attach', id]);
    attached.child.stdin.write('\n');
    expect(await following.finished).toEqual({ code: 0, stdout: 'a\ncd\n', stderr: 'b\n' });
    expect((await attached.finished).code).toBe(3);
    // The last line of both: whether `b` came before `c` is not said.
    expect((await ringfort(['logs', '-n', '1', id])).stdout).toMatch(/^c?d\n$/);
    const { stdout, stderr } = await ringfort(['logs', '-t', id]);
    const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z`;
    expect(stdout).toMatch(new RegExp(`^${time} a\n${time} cd\n$`));
    expect(stderr).toMatch(new RegExp(`^${time} b\n$`));
    expect(await succeed(['logs', '--since', `${Date.now() / 1000 + 60}`, id])).toBe('');
  });

  test('a reader that goes away ends a command in silence', async () => {
    const id = await detached([], 'yes');
    const following = new Started(['logs', '-f', id]);
    await until(() => following.stdout.length > 0);
    following.child.stdout.destroy();
    expect(await following.finished).toMatchObject({ code: 141, stderr: '' });
  });

  test('attach: what it prints and its stdin; signals are its own', async () => {
    const script = "trap 'echo caught; exit 4' INT; echo up; while read line; do echo $line; done";
    const id = await detached(['-i'], ...sh(script));
    const attached = new Started(['attach', id]);
    // To its end: a shell that is about to read runs its trap when the next line has come.
    const talk = setInterval(() => attached.child.stdin.write('hello\n'), 100);
    await until(() => attached.stdout.includes('hello\n'));
    attached.child.kill('SIGINT');
    const { code, stdout } = await attached.finished;
    clearInterval(talk);
    expect(code).toBe(4);
    expect(stdout).toMatch(/caught\n$/);
    expect((await ringfort(['attach', id])).code).toBe(1);
  });

  test('pause, unpause and resume from one process to the next', async () => {
    const id = await detached();
    expect(await succeed(['pause', id])).toBe(`${id}\n`);
    expect(await succeed(['ps', '--filter', 'status=paused', '--filter', `id=${id}`])).toMatch(
      /Up .* \(Paused\)\n/,
    );
    expect(await ringfort(['exec', id, 'true'])).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/is paused\n {10}`ringfort unpause` it first\n$/),
    });
    expect(await succeed(['unpause', id])).toBe(`${id}\n`);
    expect(await succeed(['exec', id, 'echo', 'runs'])).toBe('runs\n');
    await succeed(['pause', id]);
    await succeed(['resume', id]);
    await succeed(['pause', id]);
    expect(await succeed(['stop', id])).toBe(`${id}\n`);
  });

  test('stop: the signal that run named, then SIGKILL', async () => {
    const trap = "trap 'exit 9' USR1; trap '' TERM; echo up; while :; do :; done";
    const started = async (...flags: string[]) => {
      const id = await detached(flags, ...sh(trap));
      const log = new Started(['logs', '-f', id]);
      await until(() => log.stdout === 'up\n');
      return { id, log };
    };
    const named = await started('--stop-signal', 'USR1');
    await succeed(['stop', named.id]);
    expect(await succeed(['wait', named.id])).toBe('9\n');
    const stubborn = await started();
    await succeed(['stop', '-t', '0', stubborn.id]);
    expect(await succeed(['wait', stubborn.id])).toBe('137\n');
    const killed = await ringfort(['kill', stubborn.id]);
    expect(killed).toMatchObject({ code: 1, stderr: expect.stringContaining('is not running') });
    expect(await succeed(['stop', stubborn.id])).toBe(`${stubborn.id}\n`);
    await Promise.all([named.log.finished, stubborn.log.finished]);
  });

  test('several at once: each is named, what fails too', async () => {
    const ids = [await detached(), await detached()];
    const { code, stdout, stderr } = await ringfort(['rm', '-f', ...ids, 'nobody']);
    expect(code).toBe(1);
    expect(stdout.trimEnd().split('\n').sort()).toEqual([...ids].sort());
    expect(stderr).toBe('ringfort: there is no detached container nobody\n');
  });

  test('cp that ^C meets leaves nothing of what it has begun', async () => {
    const id = await detached();
    const directory = mkdtempSync(join(tmpdir(), 'ringfort-'));
    try {
      const begun = () => readdirSync(directory).some((name) => name.startsWith('.ringfort-'));
      const copying = new Started(['cp', `${id}:/usr`, join(directory, 'out')]);
      await until(begun);
      copying.child.kill('SIGINT');
      expect(await copying.finished).toEqual({ code: 130, stdout: '', stderr: '' });
      expect(readdirSync(directory)).toEqual([]);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('cp: in and out', async () => {
    const id = await detached();
    const directory = mkdtempSync(join(tmpdir(), 'ringfort-cp-'));
    try {
      writeFileSync(join(directory, 'in'), 'content\n', { mode: 0o640 });
      expect(await succeed(['cp', join(directory, 'in'), `${id}:/tmp/`])).toBe('');
      expect(await succeed(['exec', id, 'cat', '/tmp/in'])).toBe('content\n');
      await succeed(['cp', `${id}:tmp/in`, join(directory, 'out')]);
      expect(readFileSync(join(directory, 'out'), 'utf8')).toBe('content\n');
      mkdirSync(join(directory, 'tree/inner'), { recursive: true });
      writeFileSync(join(directory, 'tree/inner/file'), 'deep\n', { mode: 0o600 });
      await succeed(['cp', '-a', join(directory, 'tree'), `${id}:/tmp/tree`]);
      const mode = ['exec', id, 'stat', '-c', '%a %n', '/tmp/tree/inner/file'];
      expect(await succeed(mode)).toBe('600 /tmp/tree/inner/file\n');
      await succeed(['cp', `${id}:/tmp/tree`, join(directory, 'back')]);
      expect(readFileSync(join(directory, 'back/inner/file'), 'utf8')).toBe('deep\n');
      expect((await ringfort(['cp', '-', `${id}:/tmp`])).stderr).toMatch(/no tar streams/);
      const missing = await ringfort(['cp', `${id}:/nothing`, directory]);
      expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('ENOENT') });
      expect(existsSync(join(directory, 'nothing'))).toBe(false);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('top, inspect, stats, update', async () => {
    const id = await detached(['-l', 'a=b'], 'sleep', '1000');
    const top = await succeed(['top', id]);
    expect(top).toMatch(/^UID +PID +PPID +STAT +RSS +TIME +CMD\n/);
    expect(top).toMatch(/ {3}00:00:00 {3}sleep 1000\n/);
    const [info] = JSON.parse(await succeed(['inspect', id]));
    expect(info).toMatchObject({
      id,
      state: 'running',
      command: ['sleep', '1000'],
      labels: { a: 'b' },
    });
    expect(await ringfort(['inspect', 'nobody'])).toMatchObject({ code: 1, stdout: '[]\n' });
    expect(await succeed(['update', '--memory', '64m', '--pids-limit', '20', id])).toBe(`${id}\n`);
    const stats = await succeed(['stats', '--no-stream', id]);
    expect(stats).toMatch(/^CONTAINER ID +CPU % +MEM USAGE \/ LIMIT +MEM % +BLOCK I\/O +PIDS\n/);
    expect(stats).toMatch(/ \/ 64MiB /);
    const [line] = parsed(await succeed(['stats', '--no-stream', '--format', 'json', id]));
    expect(line).toMatchObject({ ID: id, CPUPerc: expect.stringMatching(/%$/) });
    expect(await succeed(['update', '--pids-limit', '-1', id])).toBe(`${id}\n`);
    expect(await ringfort(['update', id])).toMatchObject({ code: 1 });
  });

  test('events: those of several processes, until it has ended', async () => {
    const id = await detached();
    const all = new Started(['events', '--format', 'json']);
    const one = new Started(['events', id]);
    const seen = () =>
      [all, one].every(({ stdout }) => /paused.*resumed|resumed.*paused/s.test(stdout));
    // Both look now and then, from some time on.
    while (!seen()) {
      await succeed(['pause', id]);
      await succeed(['unpause', id]);
    }
    const short = await detached([], 'true');
    await until(() => parsed(all.stdout).some((each) => each.type === 'died' && each.id === short));
    await succeed(['rm', '-f', id]);
    const { code, stdout } = await one.finished;
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^\\S+ ${id} paused$`, 'm'));
    expect(stdout).toMatch(new RegExp(`\\S+ ${id} died signal=SIGKILL reason=signal\n$`));
    await until(() => parsed(all.stdout).some((each) => each.type === 'died' && each.id === id));
    all.child.kill('SIGINT');
    await all.finished;
    const types = parsed(all.stdout).filter((each) => each.id === short);
    expect(types.map(({ type }) => type)).toEqual(['started', 'died']);
  });
});

suite('ringfort without a place for detached containers', [linux, notRoot], () => {
  test('says what to do', async () => {
    const { XDG_RUNTIME_DIR: _, ...env } = process.env;
    const told: Finished = {
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/XDG_RUNTIME_DIR.*\n {10}set it to /) as unknown as string,
    };
    expect(await ringfort(['ps'], { env })).toEqual(told);
    expect(await ringfort(['run', '-d'], { env })).toEqual({ ...told, code: 125 });
  });
});

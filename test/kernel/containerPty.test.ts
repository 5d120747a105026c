import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type Container,
  type ContainerProcess,
  type CreateOptions,
  createContainer,
} from '../../lib/index.js';
import { until } from '../helpers/launches.js';
import { expectNoLeaks, type Snapshot, snapshot, warmUp } from '../helpers/leaks.js';
import { cgroups, command, suite } from '../helpers/needs.js';

/** The two ways that a program gets into a container. */
const styles: [string, CreateOptions][] = [
  ['by the init', {}],
  ['by joining', { command: ['sleep', '600'] }],
];

const pty = { cols: 80, rows: 24 };
const env = { PS1: '$ ', TERM: 'dumb', PATH: '/usr/bin:/bin' };

/** A terminal and all that has come from it. */
class Screen {
  text = '';
  end: { exitCode: number; signal?: number } | undefined;
  readonly ended: Promise<void>;

  constructor(readonly program: ContainerProcess) {
    program.onData((data) => {
      this.text += data;
    });
    this.ended = new Promise((resolve) => {
      program.onExit((end) => {
        this.end = end;
        resolve();
      });
    });
  }

  /** Waits for something that is printed after `from`. */
  async shows(what: RegExp | string, from = 0): Promise<void> {
    await until(() => {
      const rest = this.text.slice(from);
      return typeof what === 'string' ? rest.includes(what) : what.test(rest);
    });
  }

  /** Types a line; waits until a line of the program's own answers. */
  async ask(line: string, answer: RegExp | string): Promise<void> {
    const { length } = this.text;
    this.program.write(`${line}\n`);
    await this.shows(answer, length);
  }
}

suite('terminals of programs in a container', [cgroups], () => {
  let before: Snapshot;
  beforeAll(async () => {
    await warmUp();
    await using box = await createContainer();
    await box.exec('true');
    const program = box.spawn('true', [], { pty });
    program.stdout?.resume();
    await once(program, 'close');
    before = snapshot();
  });
  afterAll(() => expectNoLeaks(before));

  describe.each(styles)('%s', (_, style) => {
    let box: Container;
    beforeAll(async () => {
      box = await createContainer(style);
    });
    afterAll(() => box[Symbol.asyncDispose]());

    const open = (file: string, args: string[] = [], size = pty) =>
      new Screen(box.spawn(file, args, { pty: size, env }));
    const shell = async () => {
      const screen = open('sh');
      await screen.shows('$ ');
      return screen;
    };

    test('100 times a burst and the end at once: no line is lost', async () => {
      const script =
        'i=0; while [ $i -lt 200 ]; do printf "%03d %0400d\\n" $i $i; i=$((i+1)); done';
      const lines = Array.from(
        { length: 200 },
        (__, i) => `${`${i}`.padStart(3, '0')} ${`${i}`.padStart(400, '0')}\r\n`,
      ).join('');
      expect(lines.length).toBeGreaterThan(65536);
      const bad: string[] = [];
      const round = async () => {
        const screen = open('sh', ['-c', script]);
        await screen.ended;
        if (screen.text !== lines) bad.push(`${screen.text.length} of ${lines.length}`);
      };
      for (let i = 0; i < 25; i++) await Promise.all([round(), round(), round(), round()]);
      expect(bad).toEqual([]);
    });

    test('a reader that is slow loses nothing either', async () => {
      const program = box.spawn('seq', ['1', '20000'], { pty });
      let text = '';
      await once(program, 'spawn');
      for await (const chunk of program.stdout ?? []) {
        text += chunk;
        if (Math.random() < 0.2) await new Promise((resolve) => setTimeout(resolve, 1));
      }
      expect(text).toBe(Array.from({ length: 20000 }, (__, i) => `${i + 1}\r\n`).join(''));
    });

    test('its size at the start, and after a change that is announced by SIGWINCH', async () => {
      const screen = open(
        'sh',
        ['-c', 'trap "echo changed; stty size" WINCH; stty size; while :; do sleep 0.05; done'],
        {
          cols: 91,
          rows: 17,
        },
      );
      await screen.shows('17 91\r\n');
      expect(screen.program.resize({ cols: 132, rows: 43 })).toBe(true);
      await screen.shows('changed\r\n43 132\r\n');
      screen.program.kill('SIGKILL');
      await screen.ended;
      expect(screen.end).toEqual({ exitCode: 0, signal: 9 });
    });

    test('a size before it is there is kept, and after it is gone is not set', async () => {
      const screen = open('sh', ['-c', 'until stty size | grep "^41 131"; do sleep 0.05; done']);
      expect(screen.program.resize({ cols: 131, rows: 41 })).toBe(true);
      await screen.ended;
      expect(screen.program.resize({ cols: 1, rows: 1 })).toBe(false);
      expect(screen.end).toEqual({ exitCode: 0 });
    });

    test('^C ends the program in the foreground and not the shell, ^D the shell', async () => {
      const screen = await shell();
      screen.program.write('sleep 600; echo "was $?"\n');
      await screen.shows('was $?"\r\n');
      const running = () => box.exec('sh', ['-c', 'ps -eo args | grep -c "^sleep 600$"']);
      const others = style.command === undefined ? 0 : 1;
      while (Number((await running()).stdout) <= others);
      screen.program.write('\x03');
      // dash gives up the whole line, as it should; a shell that does not says 130.
      await screen.ask('echo still" "here', 'still here\r\n');
      expect(screen.program.exitCode).toBeNull();
      await screen.ask('(exit 3)', '$ ');
      screen.program.write('\x04');
      await screen.ended;
      expect(screen.end).toEqual({ exitCode: 3 });
    });

    test('bytes that are no text, in both directions', async () => {
      const program = box.spawn('sh', ['-c', 'stty raw -echo; echo ready; head -c 256; exit 5'], {
        pty,
      });
      const bytes = Buffer.from(Array.from({ length: 256 }, (__, i) => i));
      const chunks: Buffer[] = [];
      program.stdout?.on('data', (chunk: Buffer) => chunks.push(chunk));
      await until(() => Buffer.concat(chunks).includes('ready\n'));
      program.write(bytes);
      await once(program, 'close');
      expect(program.exitCode).toBe(5);
      expect(Buffer.concat(chunks).subarray('ready\n'.length).equals(bytes)).toBe(true);
    });

    test('characters that are cut between two reads are whole', async () => {
      const screen = open('sh', ['-c', 'for i in $(seq 1 3000); do printf "€"; done']);
      await screen.ended;
      expect(screen.text).toBe('€'.repeat(3000));
    });

    test('two at once do not see each other', async () => {
      const [a, b] = await Promise.all([shell(), shell()]);
      await a.ask('tty', /\/dev\/pts\/\d+\r\n/);
      await b.ask('tty', /\/dev\/pts\/\d+\r\n/);
      const [ttyA, ttyB] = [a, b].map(({ text }) => /\/dev\/pts\/\d+/.exec(text)?.[0]);
      expect(ttyA).not.toBe(ttyB);
      await a.ask('echo only" "a', 'only a\r\n');
      await b.ask('echo only" "b', 'only b\r\n');
      expect(a.text).not.toContain('only b');
      expect(b.text).not.toContain('only a');
      // The container's own devpts: these two and nothing of the host's.
      const { stdout } = await box.exec('ls', ['/dev/pts']);
      expect(stdout.trim().split('\n').sort()).toEqual(
        [ttyA, ttyB]
          .map((tty) => tty?.slice('/dev/pts/'.length))
          .concat('ptmx')
          .sort(),
      );
      a.program.write('exit\n');
      await a.ended;
      await b.ask('echo b" "goes on', 'b goes on\r\n');
      b.program.write('exit\n');
      await b.ended;
    });

    test('a grandchild that keeps it open holds back the close, and not the exit', async () => {
      const script =
        'trap "" HUP; (sleep 0.3; echo late; echo done >/tmp/late) & echo early; exit 7';
      const program = box.spawn('sh', ['-c', script], { pty });
      const screen = new Screen(program);
      await once(program, 'exit');
      expect(program.exitCode).toBe(7);
      await screen.ended;
      expect(await box.fs.readFile('/tmp/late', 'utf8')).toBe('done\n');
      expect(screen.text).toMatch(/^early\r\n/);
      expect(screen.program.resize(pty)).toBe(false);
    });

    test('one that keeps it for ever goes with killTree, and its terminal too', async () => {
      const program = box.spawn('sh', ['-c', 'trap "" HUP; sleep 600 & echo up; exit 0'], { pty });
      program.stdout?.resume();
      await once(program, 'exit');
      await program[Symbol.asyncDispose]();
      expect(program.resize(pty)).toBe(false);
    });

    test('input that nobody reads makes the writer wait, and nothing grows', async () => {
      const program = box.spawn('sh', ['-c', 'stty raw -echo; echo ready; sleep 600'], { pty });
      const screen = new Screen(program);
      await screen.shows('ready');
      const { stdin } = program;
      let written = 0;
      while (written < 64 << 20 && program.write(Buffer.alloc(65536, 120))) written += 65536;
      expect(written).toBeLessThan(4 << 20);
      expect(stdin?.writableNeedDrain).toBe(true);
      // Nobody else waits for it.
      expect((await box.exec('echo', ['through'])).stdout).toBe('through\n');
      await program[Symbol.asyncDispose]();
    });

    test('what is typed before there is a terminal arrives', async () => {
      const program = box.spawn('sh', ['-c', 'read x; echo "got $x"'], { pty });
      program.write('early\n');
      const screen = new Screen(program);
      await screen.ended;
      expect(screen.text).toMatch(/got early\r\n$/);
    });

    test('a paste of a megabyte arrives whole', async () => {
      const program = box.spawn(
        'sh',
        ['-c', 'stty raw -echo; echo ready; head -c 1048576 | cksum'],
        {
          pty,
        },
      );
      const screen = new Screen(program);
      await screen.shows('ready');
      const bytes = Buffer.alloc(1 << 20, 'abcdefgh');
      for (let at = 0; at < bytes.length; at += 65536)
        if (!program.write(bytes.subarray(at, at + 65536)) && program.stdin !== null)
          await once(program.stdin, 'drain');
      await screen.ended;
      const plain = await box.exec('cksum', [], { input: bytes });
      expect(screen.text.split('\n').at(-2)?.trim()).toBe(plain.stdout.trim());
    });

    test('100 that are opened, and ended in each way, leave no descriptor', async () => {
      const fds = () => readdirSync('/proc/self/fd').length;
      const open = fds();
      for (let i = 0; i < 100; i++) {
        const program = box.spawn('sh', ['-c', 'echo hello; sleep 600'], { pty });
        if (i % 4 === 1) await once(program, 'spawn');
        if (i % 4 === 2) await once(program.stdout as NodeJS.ReadableStream, 'readable');
        if (i % 4 === 3) program.stdout?.destroy();
        await program[Symbol.asyncDispose]();
      }
      await until(() => fds() <= open);
    });

    test('a program that cannot be started leaves none', async () => {
      const program = box.spawn('no-such', [], { pty });
      const [error] = await once(program, 'error');
      expect(error).toMatchObject({ code: 'ENOENT' });
      expect(program.resize(pty)).toBe(false);
    });

    test('exec with one: everything is stdout', async () => {
      const { stdout, stderr } = await box.exec('sh', ['-c', 'tty; echo err >&2'], { pty });
      expect(stdout).toMatch(/^\/dev\/pts\/\d+\r\nerr\r\n$/);
      expect(stderr).toBe('');
    });

    suite('job control', [command('bash')], () => {
      test('^Z stops the foreground program, fg goes on with it', async () => {
        const screen = open('bash', ['--norc', '-i']);
        await screen.shows('$ ');
        screen.program.write('sleep 600\n');
        await screen.shows('sleep 600\r\n');
        // A key is for whoever has the terminal: bash itself, until it has handed it over.
        const script = 'ps -eo stat,tty,args | grep -E "^S[^ ]*[+] +pts.* sleep 600"';
        const handedOver = async () => {
          while ((await box.exec('sh', ['-c', script])).exitCode !== 0);
        };
        await handedOver();
        screen.program.write('\x1a');
        await screen.shows('Stopped');
        await screen.ask('jobs', 'Stopped');
        screen.program.write('fg\n');
        await screen.shows('fg\r\nsleep 600\r\n');
        await handedOver();
        screen.program.write('\x03');
        await screen.ask('echo "was $?"', 'was 130');
        screen.program.write('exit\n');
        await screen.ended;
      });
    });
  });

  test('the main program of a container with a terminal', async () => {
    const box = await createContainer({ command: ['sh'], pty, env });
    const screen = new Screen(box.main as ContainerProcess);
    await screen.shows('$ ');
    await screen.ask('stty size', '24 80');
    expect(box.main?.resize({ cols: 100, rows: 30 })).toBe(true);
    await screen.ask('stty size', '30 100');
    screen.program.write('exit 4\n');
    await screen.ended;
    expect((await box.wait()).exitCode).toBe(4);
    await box[Symbol.asyncDispose]();
  });
});

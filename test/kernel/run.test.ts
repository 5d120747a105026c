import { once } from 'node:events';
import {
  closeSync,
  createReadStream,
  createWriteStream,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ExitError, run } from '../../lib/index.js';
import { cgroups, command, suite } from '../helpers/needs.js';
import { inChild } from '../helpers/sysChild.js';

const sh = (script: string, options = {}) => run('sh', ['-c', script], options);

suite('run', [cgroups], () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringfort-run-'));
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  suite('the example of the README', [command('python3')], () => {
    test('computes 6 × 7', async () => {
      const r = await run('python3', ['-c', 'print(6*7)'], {
        timeout: 60_000,
        limits: { memory: '128MiB', pids: 32, cpus: 0.5 },
      });
      expect(r).toMatchObject({ stdout: '42\n', exitCode: 0, reason: 'exit' });
      expect(r.usage.peakMemoryBytes).toBeGreaterThan(0);
      expect(r.usage.cpuTimeMs).toBeGreaterThan(0);
    });
  });

  test('a result says everything that there is to say', async () => {
    expect(await sh('echo out; echo err >&2')).toEqual({
      command: ['sh', '-c', 'echo out; echo err >&2'],
      exitCode: 0,
      signal: null,
      reason: 'exit',
      stdout: 'out\n',
      stderr: 'err\n',
      truncated: { stdout: false, stderr: false },
      failed: false,
      timedOut: false,
      isCanceled: false,
      isMaxBuffer: false,
      durationMs: expect.any(Number),
      usage: expect.objectContaining({ cpuTimeMs: expect.any(Number) }),
      isolation: expect.objectContaining({ missing: expect.any(Array) }),
    });
  });

  describe('the end of the program', () => {
    test.each([0, 1, 42, 126, 127, 255])('exit code %d', async (exitCode) => {
      const result = await sh(`exit ${exitCode}`);
      expect(result).toMatchObject({ exitCode, signal: null, reason: 'exit' });
      expect(result.failed).toBe(exitCode !== 0);
    });

    test.each(['SIGSEGV', 'SIGKILL', 'SIGTERM', 'SIGABRT', 'SIGUSR1'])(
      'its own %s',
      async (signal) => {
        const result = await sh(`kill -${signal.slice(3)} $$`);
        expect(result).toMatchObject({ exitCode: null, signal, reason: 'signal', failed: true });
      },
    );

    test('with init: false the program is pid 1, and its end is the same', async () => {
      expect(await sh('echo $$; exit 3', { init: false })).toMatchObject({
        stdout: '1\n',
        exitCode: 3,
        reason: 'exit',
      });
    });

    test('reject: true makes an ExitError with the result of it', async () => {
      const error = await sh('echo no; exit 9', { reject: true }).catch((thrown) => thrown);
      expect(error).toBeInstanceOf(ExitError);
      expect(error).toMatchObject({
        code: 'ERR_EXIT',
        message: 'sh exited with code 9',
        result: { exitCode: 9, stdout: 'no\n' },
      });
      expect(await sh('true', { reject: true })).toMatchObject({ exitCode: 0 });
    });

    test('what the program has started ends with it', async () => {
      const result = await sh('sleep 1000 & sleep 1000 & echo done');
      expect(result).toMatchObject({ stdout: 'done\n', exitCode: 0 });
    });
  });

  describe('output', () => {
    test('bytes stay what they are with encoding: buffer', async () => {
      const bytes = Buffer.from([0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x0a, 0]);
      const result = await run('cat', [], { input: bytes, encoding: 'buffer' });
      expect(result.stdout).toEqual(bytes);
      expect(result.stderr).toEqual(Buffer.alloc(0));
    });

    test('text in the encoding asked for', async () => {
      expect((await run('printf', ['hi'], { encoding: 'hex' })).stdout).toBe('6869');
      expect((await run('printf', ['%s', 'grüße ☕'])).stdout).toBe('grüße ☕');
    });

    test('a closed stream is no end of the other', async () => {
      const result = await sh('exec >&-; echo later >&2');
      expect(result).toMatchObject({ stdout: '', stderr: 'later\n', exitCode: 0 });
    });
  });

  describe('input', () => {
    const large = Buffer.alloc(5 << 20, 'ringfort\n');

    test.each<[string, () => string | Uint8Array | Readable]>([
      ['a string', () => large.toString()],
      ['a Buffer', () => large],
      ['a Uint8Array', () => new Uint8Array(large)],
      ['a Readable', () => Readable.from([large.subarray(0, 99), large.subarray(99)])],
    ])('%s of 5 MiB goes through cat', async (_, input) => {
      const result = await run('cat', [], { input: input(), encoding: 'buffer' });
      expect(result.exitCode).toBe(0);
      expect(result.stdout.equals(large)).toBe(true);
    });

    test('a program that does not read is not waited for', async () => {
      expect(await run('true', [], { input: large })).toMatchObject({ exitCode: 0 });
      expect(await run('head', ['-c', '8'], { input: large })).toMatchObject({
        stdout: 'ringfort',
        exitCode: 0,
      });
    });

    test('a Readable that never ends is given up with the program', async () => {
      const endless = new Readable({ read: () => {} });
      const closed = new Promise((resolve) => endless.once('close', resolve));
      expect(await run('true', [], { input: endless })).toMatchObject({ exitCode: 0 });
      await closed;
      expect(endless.destroyed).toBe(true);
    });

    test('a Readable that fails half-way is no end of the input', async () => {
      const cause = new Error('broken');
      const broken = Readable.from(
        (async function* () {
          yield 'abc';
          throw cause;
        })(),
      );
      const error = await run('cat', [], { input: broken }).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'ERR_INPUT', option: 'input', cause });
    });

    test('a file that cannot be opened fails the run, not this process', async () => {
      const input = createReadStream(join(directory, 'missing'));
      const error = await run('cat', [], { input }).catch((thrown) => thrown);
      expect(error).toMatchObject({ code: 'ERR_INPUT', cause: { code: 'ENOENT' } });
    });

    test('without input there is nothing to read', async () => {
      expect(await run('cat')).toMatchObject({ stdout: '', exitCode: 0 });
    });
  });

  describe('stdio', () => {
    test('descriptors and streams of this process', async () => {
      const file = join(directory, 'out');
      const fd = openSync(file, 'w');
      const stream = createWriteStream(join(directory, 'err'));
      await once(stream, 'open');
      writeFileSync(join(directory, 'in'), 'from a file');
      const input = createReadStream(join(directory, 'in'));
      await once(input, 'open');
      const result = await sh('cat; echo err >&2', { stdio: [input, fd, stream] });
      closeSync(fd);
      stream.destroy();
      input.destroy();
      expect(result).toMatchObject({ stdout: '', stderr: '', exitCode: 0 });
      expect(readFileSync(file, 'utf8')).toBe('from a file');
      expect(readFileSync(join(directory, 'err'), 'utf8')).toBe('err\n');
    });

    test("'ignore' is /dev/null", async () => {
      const result = await sh('readlink /proc/self/fd/0; echo lost >&2', {
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      expect(result).toMatchObject({ stdout: '/dev/null\n', stderr: '', exitCode: 0 });
    });

    test('a stream without a descriptor is refused', async () => {
      const stdio = ['pipe', new (await import('node:stream')).PassThrough(), 'pipe'];
      await expect(run('true', [], { stdio } as never)).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        option: 'stdio[1]',
      });
    });

    test('a closed descriptor is refused', async () => {
      await expect(run('true', [], { stdio: ['pipe', 987654, 'pipe'] })).rejects.toMatchObject({
        code: 'ERR_INVALID_OPTION',
        option: 'stdio[1]',
      });
    });

    test('in a worker, every descriptor is closed by the side that opened it', () => {
      const lib = new URL('../../lib/index.js', import.meta.url).href;
      const seen = inChild(`
        const { Worker } = await import('node:worker_threads');
        const worker = new Worker(\`
          const warnings = [];
          process.on('warning', ({ message }) => warnings.push(message));
          Promise.all([import('${lib}'), import('node:worker_threads')]).then(
            async ([{ run }, { parentPort }]) => {
              const { stdout } = await run('cat', [], { input: 'through' });
              setImmediate(() => parentPort.postMessage([stdout, warnings]));
            },
          );\`, { eval: true });
        worker.on('message', report);`);
      expect(seen).toEqual(['through', []]);
    });
  });
});

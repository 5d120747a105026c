import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createContainer } from '../../lib/container/create.js';
import type { Container, ContainerProcess } from '../../lib/index.js';
import { cgroups, linux, suite } from '../helpers/needs.js';

async function printed(program: ContainerProcess): Promise<string> {
  let text = '';
  for await (const { data } of program) text += data;
  return text;
}

// An 'error' that nobody has listened to would end the worker of this suite.
suite('what a program tells whoever only iterates it or has its terminal', [linux, cgroups], () => {
  let box: Container;
  beforeAll(async () => {
    box = await createContainer();
  });
  afterAll(() => box[Symbol.asyncDispose]());

  test('iterating rejects with what kept it from starting', async () => {
    await expect(printed(box.spawn('nonesuch'))).rejects.toMatchObject({ code: 'ENOENT' });
    const pty = { cols: 80, rows: 24 };
    await expect(printed(box.spawn('nonesuch', { pty }))).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('iterating rejects after an abort, also one that comes later', async () => {
    const aborted = { name: 'AbortError', code: 'ABORT_ERR' };
    const late = box.spawn('sleep', ['60'], { signal: AbortSignal.timeout(100) });
    await expect(printed(late)).rejects.toMatchObject(aborted);
    const early = box.spawn('sleep', ['60'], { signal: AbortSignal.abort() });
    await expect(printed(early)).rejects.toMatchObject(aborted);
  });

  test('iterating one that runs says nothing of errors', async () => {
    expect(await printed(box.spawn('echo', ['text']))).toBe('text\n');
  });

  test('iterating can be left while it waits: the streams are destroyed', async () => {
    const program = box.spawn('sleep', ['600']);
    const pieces = program[Symbol.asyncIterator]();
    const next = pieces.next();
    await once(program, 'spawn');
    expect(await pieces.return()).toEqual({ done: true, value: undefined });
    expect(await next).toEqual({ done: true, value: undefined });
    expect([program.stdout?.destroyed, program.stderr?.destroyed]).toEqual([true, true]);
    expect(program.exitCode).toBeNull();
    await program[Symbol.asyncDispose]();
  });

  test('a stream that is destroyed while a piece is looked at is no rejection of nobody’s', async () => {
    const unheard: unknown[] = [];
    const hear = (error: unknown) => unheard.push(error);
    process.on('unhandledRejection', hear);
    await using program = box.spawn('sh', ['-c', 'echo x; sleep 600']);
    for await (const { kind } of program) {
      expect(kind).toBe('stdout');
      program.stdout?.destroy();
      await new Promise((resolve) => setTimeout(resolve, 20));
      break;
    }
    process.off('unhandledRejection', hear);
    expect(unheard).toEqual([]);
  });

  test("node-pty's face tells of it as an end", async () => {
    const program = box.spawn('nonesuch', { pty: { cols: 80, rows: 24 } });
    const end = await new Promise<{ exitCode: number }>((resolve) => {
      program.onExit(resolve);
    });
    expect(end.exitCode).not.toBe(0);
    const other = box.spawn('nonesuch', { pty: { cols: 80, rows: 24 } });
    other.onData(() => {});
    await new Promise((resolve) => other.once('close', resolve));
  });

  test('a terminal has the size that it was given in the turn of its spawn', async () => {
    for (let turn = 0; turn < 10; turn++) {
      const program = box.spawn('stty', ['size'], { pty: { cols: 80, rows: 24 } });
      expect(program.resize({ cols: 100 + turn, rows: 30 })).toBe(true);
      expect(await printed(program)).toBe(`30 ${100 + turn}\r\n`);
    }
  });

  test.each([{ cols: 0, rows: 1 }, { cols: Number.NaN, rows: 1 }, { cols: 1 } as never])(
    'a size that no terminal has is refused at once: %p',
    async (size) => {
      await using program = box.spawn('sleep', ['60'], { pty: { cols: 80, rows: 24 } });
      expect(() => program.resize(size)).toThrow(/size/);
    },
  );

  test('disposing is the end of it', async () => {
    await box.spawn('nonesuch')[Symbol.asyncDispose]();
  });
});

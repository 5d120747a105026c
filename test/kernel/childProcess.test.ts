import { type ChildProcess, spawn as nodeSpawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  createMessageConnection,
  StreamMessageReader,
  StreamMessageWriter,
} from 'vscode-jsonrpc/node';
import { type Container, createContainer } from '../../lib/index.js';
import { lives, type Spawn, streams } from '../helpers/childScenarios.js';
import { cgroups, inUsr, linux, suite } from '../helpers/needs.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const env = { PATH: '/usr/bin:/bin' };

suite('code that was written for child_process', [linux, cgroups], () => {
  let box: Container;
  beforeAll(async () => {
    box = await createContainer();
  });
  afterAll(() => box[Symbol.asyncDispose]());

  const theirs: Spawn = (file, args, options = {}) => nodeSpawn(file, args, { ...options, env });
  // The one line that changes.
  const ours: Spawn = (file, args, options) => box.spawn(file, args, { ...options, env } as object);

  test.each(Object.entries({ ...lives, ...streams }))('%s', async (_, scenario) => {
    const expected = await scenario(theirs);
    expect(expected).toBeDefined();
    expect(await scenario(ours)).toEqual(expected);
  });

  test('arguments may be left out', async () => {
    const child = box.spawn('/bin/true', { stdio: ['ignore'], windowsHide: true });
    const closed = once(child, 'close');
    expect([child.spawnargs, child.stdin, child.stdio.length]).toEqual([['/bin/true'], null, 3]);
    expect(await closed).toEqual([0, null]);
  });

  test('what a container cannot give is refused, not left out', () => {
    const ipc = { stdio: ['pipe', 'pipe', 'pipe', 'ipc'] } as object;
    expect(() => box.spawn('/bin/true', [], ipc)).toThrow(/stdio/);
    expect(() => box.spawn('/bin/true', [], { shell: true } as object)).toThrow(/shell/);
    expect(() => box.spawn('/bin/true', [], { detached: true } as object)).toThrow(/detached/);
    expect(() => box.spawn('/bin/true', [], { argv0: 'x' } as object)).toThrow(/argv0: .* link/);
    expect(() => box.spawn('/bin/true', { cwd: new URL('http://a/') })).toThrow(
      /cwd: .* file: URL/,
    );
    expect(() => box.spawn('/bin/true', 'x' as never)).toThrow(/args: expected an array/);
    const swapped = () => box.spawn('/bin/true', {} as never, { timeout: 1 });
    expect(swapped).toThrow(/args: .* before the options/);
  });

  test('variables may be numbers, and cwd null', async () => {
    const numbers = { ...env, A: 1, B: undefined };
    const child = box.spawn('sh', ['-c', 'echo "$A"; env | grep -c B='], {
      env: numbers,
      cwd: null,
    });
    let text = '';
    for await (const { data } of child) text += data;
    expect(text).toBe('1\n0\n');
  });
});

/** What an editor does with a language server, given its process. */
async function editorSession(server: ChildProcess): Promise<unknown[]> {
  const connection = createMessageConnection(
    new StreamMessageReader(server.stdout as Readable),
    new StreamMessageWriter(server.stdin as Writable),
  );
  const said: unknown[] = [];
  const checked = new Promise<void>((resolve) => {
    connection.onNotification('textDocument/publishDiagnostics', (found) => {
      said.push(found);
      resolve();
    });
  });
  const closed = new Promise<void>((resolve) => connection.onClose(resolve));
  const ended = once(server, 'exit');
  connection.listen();
  said.push(await connection.sendRequest('initialize', { processId: null, rootUri: null }));
  await connection.sendNotification('textDocument/didOpen', { uri: 'a:b', text: 'x\n\ty\n' });
  await checked;
  said.push(await connection.sendRequest('textDocument/hover', { uri: 'a:b' }));
  said.push(
    await connection
      .sendRequest('textDocument/hover', { uri: 'a:c' })
      .catch(({ code, message }) => ({ code, message })),
  );
  // More than a pipe holds, there and back.
  await connection.sendNotification('textDocument/didOpen', { uri: 'big', text: 'é'.repeat(1e6) });
  said.push(await connection.sendRequest('textDocument/hover', { uri: 'big' }));
  said.push(await connection.sendRequest('shutdown'));
  await connection.sendNotification('exit');
  said.push(await ended);
  await closed;
  return said;
}

suite('a language server', [linux, cgroups, inUsr('node')], () => {
  const file = fileURLToPath(new URL('../helpers/languageServer.js', import.meta.url));
  const args = ['/usr/bin/node', [file]] as const;

  test('talks to vscode-jsonrpc from within a container as from beside it', async () => {
    const expected = await editorSession(nodeSpawn(...args));
    await using box = await createContainer({ mounts: [`${root}:${root}:ro`] });
    expect(await editorSession(box.spawn(...args))).toEqual(expected);
    expect(expected.slice(0, 3)).toEqual([
      { capabilities: { hoverProvider: true }, serverInfo: { name: 'tabs' } },
      { uri: 'a:b', diagnostics: [{ line: 1, message: 'a tab' }] },
      { contents: '5 characters' },
    ]);
  });

  test('that crashes closes the connection', async () => {
    await using box = await createContainer({ mounts: [`${root}:${root}:ro`] });
    const server = box.spawn(...args);
    const connection = createMessageConnection(
      new StreamMessageReader(server.stdout as Readable),
      new StreamMessageWriter(server.stdin as Writable),
    );
    const closed = new Promise<void>((resolve) => connection.onClose(resolve));
    const ended = once(server, 'exit');
    connection.listen();
    await connection.sendNotification('crash');
    expect(await ended).toEqual([3, null]);
    await closed;
  });
});

suite('the process that calls spawn', [linux, cgroups], () => {
  const file = fileURLToPath(new URL('../helpers/childProgram.js', import.meta.url));
  const call = (whose: 'node' | 'ringfort', scenario: string) => {
    const options = { input: 'to cat\n', encoding: 'utf8' } as const;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [file, whose, scenario],
      options,
    );
    return { status, stdout, stderr };
  };

  test.each([
    ['inherit', { stdout: 'to cat\nnull null 0\n', stderr: 'err\n' }],
    [
      'throwing',
      {
        stdout:
          'uncaught: in spawn\nexit 0\nuncaught: in close\nuncaught: spawn no-such-program ENOENT\n',
        stderr: '',
      },
    ],
    ['backpressure', { stdout: 'null 0 true true\ntrue true\n', stderr: '' }],
  ])('%s', (scenario, said) => {
    expect(call('node', scenario)).toEqual({ status: 0, ...said });
    expect(call('ringfort', scenario)).toEqual({ status: 0, ...said });
  });

  test('may leave an iteration early: the program finds its output closed', () => {
    expect(call('ringfort', 'leaving')).toEqual({
      status: 0,
      stdout: "stdout\n[ null, 'SIGPIPE' ]\n",
      stderr: '',
    });
  });

  test('may end before a program that was let go by unref', () => {
    const { status, stdout, stderr } = call('node', 'unref');
    process.kill(Number(stdout));
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(call('ringfort', 'unref')).toEqual({
      status: 0,
      stdout: 'not known yet\n',
      stderr: '',
    });
  });
});

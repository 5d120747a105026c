import { randomBytes, randomInt } from 'node:crypto';
import {
  fstatSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { ContainerGoneError } from '../../lib/errors.js';
import { FileAgent } from '../../lib/files/agent.js';
import { copyOut } from '../../lib/files/copyOut.js';
import { Directory } from '../../lib/files/directory.js';
import { FileSystem } from '../../lib/files/fileSystem.js';
import { encodeRequest, type FileOp, fileOps, fileProtocol } from '../../lib/files/protocol.js';
import { loadBinding } from '../../lib/native/load.js';
import { close } from '../../lib/sys/files.js';
import { agentPid, fileBox, type RawFileBox, rawFileBox } from '../helpers/fileAgents.js';
import { hasEnded, until } from '../helpers/launches.js';
import { expectNoLeaks, snapshot, warmUp } from '../helpers/leaks.js';
import { linux, root, suite } from '../helpers/needs.js';

/** Watches a directory until something happens in it. */
async function watchOnce(files: FileSystem): Promise<void> {
  const watch = files.watch('/tmp');
  const next = watch.next();
  // The watch is asked for before what is asked after this turn of the event loop.
  await new Promise(setImmediate);
  await files.writeFile('/tmp/g', '');
  await next;
  await watch.return();
}

/** A request of random numbers that is well-formed, for an op that takes a path. */
function plausible(): Uint8Array {
  const ops = Object.entries(fileOps).filter(([, [paths, data]]) => paths === 1 && data === 0);
  const [op] = ops[randomInt(ops.length)] as (typeof ops)[number];
  const numbers = [0, 0, 0, 0].map(() => randomBytes(8).readBigUInt64LE() >> BigInt(randomInt(64)));
  const dir = randomInt(3) === 0 ? fileProtocol.cwd : randomInt(300);
  const path = Buffer.from(['/', '.', '', '/tmp/x', '..'][randomInt(5)] as string);
  return encodeRequest(op as FileOp, 1, { dir, path, flags: randomInt(4), numbers });
}

suite('the agent', [linux], () => {
  test('that is killed ends every call with a typed error, and leaves nothing', async () => {
    // The launcher starts with the first.
    await (await fileBox()).end();
    await warmUp();
    const leaks = snapshot();
    const made = await fileBox();
    const { fs: files } = made;
    const watch = files.watch('/tmp').next();
    await files.writeFile('/tmp/f', 'x');
    const handle = await files.open('/tmp/f');
    const calls = Array.from({ length: 200 }, () => files.readdir('/usr/bin'));
    process.kill(agentPid(made), 'SIGKILL');
    const gone = { code: 'ERR_CONTAINER_GONE', name: 'ContainerGoneError' };
    for (const result of await Promise.allSettled([...calls, watch])) {
      if (result.status === 'rejected') expect(result.reason).toMatchObject(gone);
    }
    await until(() => made.agent.gone !== undefined);
    const after = [
      files.stat('/'),
      files.rm('/tmp', { recursive: true }),
      files.watch('/tmp').next(),
      copyOut(made.agent, '/tmp', tmpdir()),
      handle.stat(),
      files.createReadStream('/tmp/f').toArray(),
    ];
    for (const result of await Promise.allSettled(after))
      expect(result).toMatchObject({ status: 'rejected', reason: gone });
    expect(made.agent.gone).toBeInstanceOf(ContainerGoneError);
    // What is open is open.
    expect(await handle.readFile('utf8')).toBe('x');
    await handle.close();
    await made.end();
    await expectNoLeaks(leaks);
  });

  test('ends when Node closes its end', async () => {
    const made = await fileBox();
    const pid = agentPid(made);
    const pending = made.fs.stat('/');
    made.agent.close();
    made.agent.close();
    await expect(pending).rejects.toMatchObject({ code: 'ERR_CONTAINER_GONE' });
    await until(() => hasEnded(pid));
    await made.end();
  });

  test('descriptors are where they were after much work, failed and aborted too', async () => {
    const made = await fileBox();
    const { fs: files } = made;
    const copies = mkdtempSync(join(tmpdir(), 'ringfort-copies-'));
    await files.mkdir('/tmp/a/b/c', { recursive: true });
    await files.writeFile('/tmp/a/f', 'x');
    await files.readdir('/tmp');
    // The agent's inotify descriptor comes with the first watch, and stays.
    await watchOnce(files);
    const leaks = snapshot();
    for (let i = 0; i < 50; i++) {
      const stop = new AbortController();
      const { signal } = stop;
      const calls = [
        files.readFile('/tmp/a/f', { signal }),
        files.open('/tmp/none', 'r', 0, { signal }),
        files.readdir('/tmp', { recursive: true, signal }),
        copyOut(made.agent, '/tmp/a', join(copies, `copy${i}`), { signal }),
        files.readFile('/dev/null'),
      ];
      if (i % 2 === 0) setImmediate(() => stop.abort());
      await Promise.allSettled(calls);
    }
    await watchOnce(files);
    await expectNoLeaks(leaks);
    expect(await files.readFile('/tmp/a/f', 'utf8')).toBe('x');
    rmSync(copies, { recursive: true });
    await made.end();
  });

  test('survives requests of random bytes', async () => {
    const made = await rawFileBox();
    const { MessageSocket } = loadBinding();
    let answers = 0;
    let ended = false;
    const socket = new MessageSocket(
      made.fd,
      (message, fds) => {
        if (message.readUInt32LE(0) === fileProtocol.kindReply) answers++;
        for (const fd of fds) close(fd);
      },
      () => {},
      () => {
        ended = true;
      },
    );
    let sent = 0;
    for (let i = 0; sent < 2500 && !ended; i++) {
      const taken = socket.send(i % 2 === 0 ? plausible() : randomBytes(randomInt(1, 400)), []);
      if (taken) sent++;
      if (!taken || i % 50 === 0) await new Promise(setImmediate);
    }
    await until(() => ended || answers >= sent);
    expect([ended, answers]).toEqual([false, sent]);
    socket.close();
    made.kill();
    await made.ended;
  });

  suite('seen from outside', [root], () => {
    test('cannot be traced by its container, and holds three descriptors', async () => {
      const made = await fileBox();
      const pid = agentPid(made);
      await made.fs.readdir('/');
      // Requests are carried out in order: the directory is closed by now.
      await made.fs.stat('/');
      // A process that is not dumpable has proc files of the host's root (proc(5)), not of its own.
      const status = readFileSync(`/proc/${pid}/status`, 'utf8');
      expect(status).not.toMatch(/^Uid:\t0\t/m);
      expect(lstatSync(`/proc/${pid}/mem`).uid).toBe(0);
      expect(status).toMatch(/^NoNewPrivs:\t1$/m);
      expect(status).toMatch(/^CapEff:\t000000000000000b$/m);
      expect(readdirSync(`/proc/${pid}/fd`)).toEqual(['3', '4', '5']);
      await made.end();
    });
  });
});

/** An agent that is started again after it was killed. */
function restartable(): { agent: FileAgent; killed(): Promise<void>; end(): Promise<void> } {
  const boxes: RawFileBox[] = [];
  const agent = new FileAgent(async () => {
    const made = await rawFileBox();
    boxes.push(made);
    return made.fd;
  });
  const killed = async () => {
    const { generation } = agent;
    boxes.at(-1)?.kill();
    await until(() => agent.generation > generation);
  };
  const end = async () => {
    agent.close();
    for (const made of boxes) made.kill();
    await Promise.all(boxes.map(({ ended }) => ended));
  };
  return { agent, killed, end };
}

suite('an agent that is started again', [linux], () => {
  const gone = { code: 'ERR_CONTAINER_GONE', name: 'ContainerGoneError' };

  test('ends the watches of the one before it', async () => {
    const { agent, killed, end } = restartable();
    const files = new FileSystem(agent);
    const old = ['/tmp', '/tmp', '/'].map((path) => files.watch(path));
    const ends = old.map((watch) => watch.next());
    // They are asked for one after the other.
    for (const _ of old) {
      await new Promise(setImmediate);
      await files.stat('/');
    }
    await killed();
    for (const result of await Promise.allSettled(ends))
      expect(result).toMatchObject({ status: 'rejected', reason: gone });
    // The kernel gives the same number again.
    await watchOnce(files);
    await Promise.all(old.map((watch) => watch.return()));
    await watchOnce(files);
    await end();
  });

  test('knows nothing of a directory of the one before it', async () => {
    const { agent, killed, end } = restartable();
    const context = { agent, about: { syscall: 'scandir' } };
    const open = (path: string) => Directory.open(context, { path: Buffer.from(path) });
    const old = await open('/tmp');
    await killed();
    // The agent gives the same number again.
    const fresh = await open('/usr');
    await expect(old.lstat(Buffer.from('bin'))).rejects.toMatchObject(gone);
    const both = { dir: fresh.handle, path: Buffer.from('a'), dir2: old.handle };
    await expect(agent.call('rename', both, context.about)).rejects.toMatchObject(gone);
    old.close();
    expect((await fresh.lstat(Buffer.from('bin'))).isDirectory()).toBe(true);
    fresh.close();
    await expect(fresh.lstat(Buffer.from('bin'))).rejects.toMatchObject({ code: 'EBADF' });
    await end();
  });

  test('whose socket cannot be watched fails the calls', async () => {
    // epoll_ctl(2): EPERM for a regular file.
    const fd = openSync(process.execPath, 'r');
    const agent = new FileAgent(async () => fd);
    const call = agent.call('stat', { path: Buffer.from('/') }, { syscall: 'stat' });
    await expect(call).rejects.toMatchObject({ code: 'EPERM', syscall: 'epoll_ctl' });
    expect(() => fstatSync(fd)).toThrow(expect.objectContaining({ code: 'EBADF' }));
    agent.close();
  });
});

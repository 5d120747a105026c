import { execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, expect, test } from '@jest/globals';
import { Detachment } from '../../lib/detached/detachment.js';
import { readState } from '../../lib/detached/state.js';
import { Claim, containerDir, containersDir } from '../../lib/detached/stateDir.js';
import { journalDirectory } from '../../lib/host/journal.js';
import { sweep } from '../../lib/host/sweep.js';
import { Container, type ContainerSummary, createContainer } from '../../lib/index.js';
import { request } from '../../lib/launcher/messages.js';
import {
  close,
  connectTo,
  pipe2,
  prlimit,
  Rlimit,
  SocketType,
  socketpair,
} from '../../lib/sys/index.js';
import {
  createElsewhere,
  ended,
  firstLine,
  freshId,
  leftOf,
  otherProcess,
  removeAll,
  runtimeDir,
} from '../helpers/detached.js';
import type { FullReport } from '../helpers/detachedFull.js';
import { signalIfThere } from '../helpers/heldNode.js';
import { hasEnded, isReaped, launch, startLauncher, until } from '../helpers/launches.js';
import { descendants, processName } from '../helpers/leaks.js';
import { cgroups, command, linux, notRoot, root, suite } from '../helpers/needs.js';
import { makeInEveryTree, moveTo } from '../helpers/ownTrees.js';
import { sleepPlan } from '../helpers/plans.js';

const idle = ['sleep', '1000'];

/** A client that knows how to connect and nothing else. */
function rawClient(id: string): number {
  return connectTo(join(containerDir(id), 'socket'), SocketType.SOCK_SEQPACKET);
}

/** Clears up as the next start does, and tells whether nothing is left of a container. */
function swept(id: string): () => Promise<boolean> {
  const journals = journalDirectory(process.getuid?.() === 0);
  return async () => {
    if (journals !== undefined) await sweep(journals);
    return leftOf(id).length === 0;
  };
}

function message(type: number, id: number, arg: number, body = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(16);
  for (const [index, value] of [type, id, arg, body.length].entries())
    header.writeUInt32LE(value, 4 * index);
  return Buffer.concat([header, body]);
}

suite('detached containers under faults', [linux, cgroups, runtimeDir], () => {
  afterEach(removeAll);

  test.each([
    ['with our init', {}],
    ['with a command as pid 1', { command: idle }],
    ['with both', { command: idle, init: true }],
  ])('a monitor that is killed takes its container along: %s', async (_, options) => {
    const id = await createElsewhere(options);
    const box = await Container.open(id);
    const program = box.exec('sleep', ['1000']);
    program.catch(() => {});
    const { monitorPid, pid } = readState(id);
    process.kill(monitorPid, 'SIGKILL');
    const lost = { exitCode: null, signal: 'SIGKILL', reason: 'lost' };
    expect(await box.wait()).toMatchObject(lost);
    await expect(program).rejects.toMatchObject({ code: 'ERR_LAUNCHER_GONE' });
    await until(() => hasEnded(pid));
    expect((await Container.list({ all: true })).find((each) => each.id === id)).toMatchObject({
      state: 'stopped',
      exit: lost,
    });
    const again = await Container.open(id);
    expect(await again.wait()).toMatchObject(lost);
    await again.remove();
    expect(leftOf(id)).toEqual([]);
  });

  // An ordinary user's monitor is not dumpable: only root may limit it.
  suite('a monitor with RLIMIT_FSIZE', [root], () => {
    test('loses output, and neither the container nor its exit', async () => {
      const script = 'read x; head -c 100000 /dev/zero; exit 7';
      const id = await createElsewhere({ command: ['sh', '-c', script], stdio: 'pipe' });
      const box = await Container.open(id);
      const { monitorPid } = readState(id);
      const { hard } = prlimit(monitorPid, Rlimit.RLIMIT_FSIZE);
      prlimit(monitorPid, Rlimit.RLIMIT_FSIZE, { soft: 16384n, hard });
      const { stdin } = await box.attach({ stdin: true });
      stdin?.write('\n');
      expect(await box.wait()).toMatchObject({ exitCode: 7 });
    });
  });

  test('a guest that outlives its killed monitor is ended when somebody looks', async () => {
    // It takes back what would end it with the monitor: PR_SET_PDEATHSIG is 1.
    const code =
      'import ctypes, time; ctypes.CDLL(None).prctl(1, 0); print("set", flush=True); time.sleep(1000)';
    const id = await createElsewhere({ command: ['/usr/bin/python3', '-c', code] });
    const box = await Container.open(id);
    for await (const { data } of box.logs({ follow: true })) if (`${data}`.includes('set')) break;
    const { monitorPid, pid } = readState(id);
    process.kill(monitorPid, 'SIGKILL');
    expect(await box.wait()).toMatchObject({ reason: 'lost' });
    await box.remove();
    await until(() => hasEnded(pid));
    expect(leftOf(id)).toEqual([]);
  });

  test('a paused container whose monitor is killed is ended, too', async () => {
    const id = await createElsewhere({ command: idle });
    const box = await Container.open(id);
    await box.pause();
    const { monitorPid, pid } = readState(id);
    process.kill(monitorPid, 'SIGKILL');
    expect(await box.wait()).toMatchObject({ reason: 'lost' });
    await until(() => hasEnded(pid));
    await box.remove();
    expect(leftOf(id)).toEqual([]);
  });

  test('a creator that is killed at any moment leaves a whole container or nothing', async () => {
    for (let round = 0; round < 16; round++) {
      const id = freshId();
      const creator = otherProcess('stay', JSON.stringify({ id, command: idle }));
      // Not for its length: each round is stopped somewhere else.
      const dir = containerDir(id);
      await until(() => existsSync(dir));
      await sleep(round * 3);
      creator.kill('SIGKILL');
      await ended(creator);
      let kept: ContainerSummary | undefined;
      // A monitor that has been asked to take over may still be on its way.
      await until(async () => {
        kept = (await Container.list({ all: true })).find((each) => each.id === id);
        return kept !== undefined || leftOf(id).length === 0;
      });
      if (kept === undefined) continue;
      expect(kept.state).toBe('running');
      const box = await Container.open(id);
      expect((await box.exec('echo', ['whole'])).stdout).toBe('whole\n');
      await box.remove({ force: true });
      expect(leftOf(id)).toEqual([]);
    }
  });

  test('a monitor that is killed at any moment of the creation leaves a container that is lost, or nothing', async () => {
    const outcomes = new Set<string>();
    for (let round = 0; round < 24; round++) {
      const id = freshId('');
      const creator = otherProcess('try', JSON.stringify({ id, command: idle }));
      const said = firstLine(creator);
      const monitors = () =>
        descendants(creator.pid).filter((pid) => processName(pid) === 'ringfort');
      let monitor: number | undefined;
      await until(() => {
        [monitor] = monitors();
        return monitor !== undefined || creator.exitCode !== null;
      });
      // Not for its length: each round is stopped somewhere else.
      await sleep(round * 3);
      if (monitor !== undefined) signalIfThere(monitor, 'SIGKILL');
      await until(() => monitor === undefined || hasEnded(monitor));
      const outcome = (await said).replace(/^[0-9a-f]+ \d+$/, 'made');
      expect(await ended(creator)).toEqual([0, null]);
      const kept = (await Container.list({ all: true })).find((each) => each.id === id);
      if (kept !== undefined) {
        const end = [kept.state, kept.exit?.reason];
        // All was over before its monitor was seen.
        if (monitor === undefined) expect(end).toEqual(['running', undefined]);
        else expect([id, monitor, ...end]).toEqual([id, monitor, 'stopped', 'lost']);
        await (await Container.open(id)).remove({ force: true });
      }
      expect(outcome).toMatch(/^(made|ERR_LAUNCHER_GONE|ERR_CONTAINER_GONE|ERR_DETACH_FAILED)$/);
      // As the next start does: the creator may have ended before it had swept.
      await until(swept(id));
      outcomes.add(outcome);
    }
    // The first rounds at least are early enough.
    expect([...outcomes].some((outcome) => outcome !== 'made')).toBe(true);
  });

  test('a client that never reads holds up nobody', async () => {
    const id = await createElsewhere();
    const deaf = rawClient(id);
    const ask = message(request.hello, 1, 0);
    // Its answers fill its socket, then its queue; then it is let go of.
    let asked = 0;
    try {
      for (; asked < 100_000; asked++) writeFileSync(deaf, ask);
    } catch (error) {
      expect((error as NodeJS.ErrnoException).code).toMatch(/EPIPE|ECONNRESET/);
    }
    expect(asked).toBeLessThan(100_000);
    const box = await Container.open(id);
    const runs = await Promise.all([1, 2, 3].map((n) => box.exec('echo', [`${n}`])));
    expect(runs.map(({ stdout }) => stdout)).toEqual(['1\n', '2\n', '3\n']);
    box.kill();
    await box.wait();
    await box.remove();
    close(deaf);
  });

  test('whoever its monitor has let go of says so, and leaves it alone', async () => {
    const id = await createElsewhere();
    const { pid } = readState(id);
    const detachment = new Detachment(readState(id), undefined);
    await expect(detachment.watch(Promise.reject(new Error('let go')))).rejects.toMatchObject({
      code: 'ERR_DISCONNECTED',
    });
    expect(detachment.disconnected).toBe(true);
    expect(hasEnded(pid)).toBe(false);
    const box = await Container.open(id);
    expect((await box.exec('echo', ['here'])).stdout).toBe('here\n');
    await box.remove({ force: true });
  });

  test('a monitor that lives and cannot be reached is no end of its container', async () => {
    const id = await createElsewhere();
    const { monitorPid, pid } = readState(id);
    rmSync(join(containerDir(id), 'socket'));
    await expect(Container.open(id)).rejects.toMatchObject({ code: 'ERR_MONITOR_BUSY' });
    const [found] = (await Container.list()).filter((each) => each.id === id);
    expect(found).toMatchObject({ state: 'running', pid });
    expect(hasEnded(pid)).toBe(false);
    process.kill(pid, 'SIGKILL');
    await until(() => hasEnded(monitorPid));
    await Container.remove(id, { force: true });
    expect(leftOf(id)).toEqual([]);
  });

  test.each([
    ['too short a message', Buffer.alloc(3)],
    ['an unknown request', message(99, 1, 0)],
    ['a launch', message(request.launch, 9, 0, Buffer.alloc(64))],
    ['a second home', message(request.makeHome, 0, 0)],
    ['a second detach', message(request.detach, 1, 0, Buffer.alloc(16))],
    ['a program in a container that is not there', message(request.exec, 9, 7, Buffer.alloc(72))],
    ['the end of somebody else’s program', message(request.kill, 2, 0)],
  ])('%s from a client harms nobody', async (_, bytes) => {
    const id = await createElsewhere();
    const box = await Container.open(id);
    const other = box.exec('sh', ['-c', 'read x; echo $x'], { input: 'still\n' });
    const bad = rawClient(id);
    writeFileSync(bad, bytes);
    expect((await other).stdout).toBe('still\n');
    expect((await box.exec('echo', ['here'])).stdout).toBe('here\n');
    close(bad);
    await box.remove({ force: true });
  });

  suite('a launcher that is asked to detach', [root], () => {
    test('and cannot goes on as it was, and can when it is asked again', async () => {
      const client = await startLauncher();
      const { pid } = client;
      const top = mkdtempSync(join(tmpdir(), 'rf-detach-'));
      const [read, write] = pipe2(0);
      const [socket, other] = socketpair(SocketType.SOCK_SEQPACKET);
      const lock = openSync('/dev/null', 'r');
      const { id, running, outcome } = launch(client, sleepPlan());
      await running;
      const body = Buffer.alloc(16);
      body.writeBigUInt64LE(1n << 20n, 0);
      body.writeUInt32LE(3, 8);
      const detach = async (dir: string) => {
        const fds = [openSync(dir, 'r'), openSync(join(dir, 'exit'), 'w')];
        const message = { body, fds: [socket, ...fds, lock, read] };
        const stdout = 2;
        const { errno } = await client.ask(request.detach, id, stdout, message);
        for (const fd of fds) closeSync(fd);
        return errno;
      };
      // Without the draft of a state: the last that can fail, when everything is watched already.
      for (let i = 0; i < 3; i++)
        expect(await detach(mkdtempSync(join(top, 'a')))).toBe(constants.errno.ENOENT);
      const dir = mkdtempSync(join(top, 'b'));
      writeFileSync(join(dir, 'state.json.new'), '{}');
      expect(await detach(dir)).toBe(0);
      expect(existsSync(join(dir, 'state.json'))).toBe(true);
      client.kill(id);
      expect(await outcome).toMatchObject({ signal: 9 });
      for (const fd of [read, write, socket, other]) close(fd);
      closeSync(lock);
      client.close();
      await until(() => isReaped(pid));
      rmSync(top, { recursive: true });
    });
  });

  test('more clients than there are places are told so, until there is one', async () => {
    const id = await createElsewhere();
    // The creator's place is free again.
    const crowd = Array.from({ length: 64 }, () => rawClient(id));
    await expect(Container.open(id)).rejects.toMatchObject({ code: 'ERR_MONITOR_BUSY' });
    for (const fd of crowd) close(fd);
    const box = await Container.open(id);
    expect((await box.exec('echo', ['in'])).stdout).toBe('in\n');
    await box.remove({ force: true });
  });

  test('a damaged state is a typed error, and can be removed once its monitor is gone', async () => {
    const id = await createElsewhere();
    const file = join(containerDir(id), 'state.json');
    const { monitorPid, pid } = readState(id);
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"version":2}',
      readFileSync(file, 'utf8').slice(1),
    ]) {
      writeFileSync(file, text);
      await expect(Container.open(id)).rejects.toMatchObject({ code: 'ERR_CONTAINER_STATE' });
    }
    const [found] = (await Container.list({ all: true })).filter((each) => each.id === id);
    expect(found).toMatchObject({ state: 'running', error: { code: 'ERR_CONTAINER_STATE' } });
    await expect(Container.remove(id, { force: true })).rejects.toMatchObject({
      code: 'ERR_CONTAINER_RUNNING',
    });
    process.kill(pid, 'SIGKILL');
    await until(() => hasEnded(monitorPid));
    await Container.remove(id, { force: true });
    expect(leftOf(id)).toEqual([]);
  });

  test.each([
    ['another inode', 1n],
    ['another boot', 0n],
  ])('a cgroup that only has the name of a lost container’s stays: %s', async (_, otherInode) => {
    const id = await createElsewhere();
    const state = readState(id);
    // The container's own are in a journal, too, by which whoever starts next clears up.
    const theirs = makeInEveryTree(`ringfort-not-${id}`);
    const stranger = spawn('sleep', ['600']);
    try {
      const cgroups = theirs.map((path) => {
        const { ino, dev } = statSync(path, { bigint: true });
        return { path, inode: `${ino + otherInode}`, device: `${dev}` };
      });
      const other = { cgroups, ...(otherInode === 0n && { bootId: '0' }) };
      // While its monitor lives, and at once: other suites look, too, and clear up after a lost one.
      const file = join(containerDir(id), 'state.json');
      writeFileSync(`${file}.changed`, JSON.stringify({ ...state, ...other }));
      renameSync(`${file}.changed`, file);
      const joined = theirs.filter((path) => moveTo(path, stranger.pid as number));
      expect(joined.length).toBeGreaterThan(0);
      process.kill(state.monitorPid, 'SIGKILL');
      await until(() => hasEnded(state.pid) && hasEnded(state.monitorPid));
      await Container.list({ all: true });
      await Container.remove(id, { force: true });
      expect(existsSync(containerDir(id))).toBe(false);
      expect(theirs.filter((path) => !existsSync(path))).toEqual([]);
      expect(hasEnded(stranger.pid as number)).toBe(false);
    } finally {
      stranger.kill('SIGKILL');
      await until(() => hasEnded(stranger.pid as number));
      for (const path of theirs) rmdirSync(path);
    }
    await until(swept(id));
  });

  test('an abort at any moment of a creation leaves a whole container or nothing', async () => {
    for (let round = 0; round < 16; round++) {
      const id = freshId();
      const signal = AbortSignal.timeout(round * 3);
      const made = await createContainer({ detached: true, id, signal }).catch((error) => {
        expect(error).toMatchObject({ name: 'AbortError' });
        return undefined;
      });
      if (made !== undefined) {
        expect((await made.exec('echo', ['whole'])).stdout).toBe('whole\n');
        const late = made.exec('sleep', ['600'], { signal: AbortSignal.timeout(20) });
        await expect(late).rejects.toMatchObject({ name: 'AbortError' });
        await made.remove({ force: true });
      }
      expect(leftOf(id)).toEqual([]);
    }
  });

  test('one that somebody else has a claim on stays, and is removed afterwards', async () => {
    const id = await createElsewhere({ command: ['true'] });
    const box = await Container.open(id);
    await box.wait();
    await until(() => hasEnded(readState(id).monitorPid));
    let claim: Claim | undefined;
    await until(() => {
      claim = Claim.take(id);
      return claim !== undefined;
    });
    await expect(box.remove()).rejects.toMatchObject({
      code: 'ERR_CONTAINER_BUSY',
      path: containerDir(id),
      hint: expect.any(String),
    });
    expect(existsSync(containerDir(id))).toBe(true);
    claim?.release();
    await box.remove();
    expect(leftOf(id)).toEqual([]);
  }, 120_000);

  test('an id that somebody has for a moment is waited for, and one that is kept is taken', async () => {
    const id = freshId();
    const claim = Claim.take(id);
    const taken = { code: 'ERR_CONTAINER_EXISTS' };
    await expect(createContainer({ detached: true, id })).rejects.toMatchObject(taken);
    const making = createContainer({ detached: true, id });
    await sleep(30);
    claim?.release();
    await (await making).remove({ force: true });
    expect(leftOf(id)).toEqual([]);
  });

  test('what is not ours in the directory stays', async () => {
    const id = freshId();
    const half = containerDir(id);
    await (await createContainer({ detached: true, id: freshId() })).remove({ force: true });
    const foreign = join(half, '..', 'no id: a space');
    mkdirSync(foreign, { recursive: true });
    // There at once: other suites look, too.
    mkdirSync(join(foreign, 'half'));
    writeFileSync(join(foreign, 'half', 'state.json.new'), '{}');
    renameSync(join(foreign, 'half'), half);
    await until(async () => {
      await Container.list();
      return !existsSync(half);
    });
    expect(existsSync(foreign)).toBe(true);
    rmSync(foreign, { recursive: true });
  });

  suite('a full disk', [root, command('unshare')], () => {
    test('costs output, which is counted, and neither the container nor its exit', async () => {
      await (await createContainer({ detached: true, id: freshId() })).remove({ force: true });
      const script = `mount -t tmpfs -o size=400k,mode=0700 none "$1" && exec "$2" "$3"`;
      const program = fileURLToPath(new URL('../helpers/detachedFull.js', import.meta.url));
      const { stdout } = await promisify(execFile)('unshare', [
        ...['-m', 'sh', '-c', script, 'sh', containersDir(), process.execPath, program],
      ]);
      const report: FullReport = JSON.parse(stdout);
      expect(report).toMatchObject({ exitCode: 3, last: 'after\n' });
      expect(report.lost).toBeGreaterThan(1_000_000);
      expect(report.kept + report.lost).toBe(2_000_000 + 'after\n'.length);
    });
  });

  suite('an ordinary user’s runtime directory', [notRoot], () => {
    const before = process.env.XDG_RUNTIME_DIR;
    afterEach(() => {
      process.env.XDG_RUNTIME_DIR = before;
    });

    test('is needed, and must be the user’s alone', async () => {
      const options = { detached: true, id: freshId() };
      const unusual = mkdtempSync(join(tmpdir(), 'rf-run-'));
      mkdirSync(join(unusual, 'ringfort'));
      process.env.XDG_RUNTIME_DIR = unusual;
      for (const mode of [0o777, 0o720]) {
        chmodSync(join(unusual, 'ringfort'), mode);
        await expect(createContainer(options)).rejects.toMatchObject({ code: 'ERR_STATE_DIR' });
      }
      chmodSync(join(unusual, 'ringfort'), 0o755);
      expect(await Container.list()).toEqual([]);
      const made = await createContainer(options);
      expect(statSync(join(unusual, 'ringfort')).mode & 0o777).toBe(0o700);
      await made.remove({ force: true });
      const gone = { code: 'ERR_NO_RUNTIME_DIR', hint: expect.stringContaining('XDG_RUNTIME_DIR') };
      process.env.XDG_RUNTIME_DIR = join(unusual, 'gone');
      await expect(createContainer(options)).rejects.toMatchObject(gone);
      process.env.XDG_RUNTIME_DIR = '/';
      await expect(createContainer(options)).rejects.toMatchObject({ code: 'ERR_STATE_DIR' });
      for (const unset of ['', 'relative']) {
        process.env.XDG_RUNTIME_DIR = unset;
        const refused = { code: 'ERR_NO_RUNTIME_DIR', hint: expect.any(String) };
        await expect(createContainer(options)).rejects.toMatchObject(refused);
        await expect(Container.open('x')).rejects.toMatchObject(refused);
        await expect(Container.list()).rejects.toMatchObject(refused);
      }
      process.env.XDG_RUNTIME_DIR = before;
      rmSync(unusual, { recursive: true });
    });
  });
});

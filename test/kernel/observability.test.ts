import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createContainer, type DiagnosticMessage, metrics, run } from '../../lib/index.js';
import { Metrics } from '../../lib/metrics.js';
import { cgroups, linux, suite } from '../helpers/needs.js';
import { parsePrometheus } from '../helpers/prometheus.js';

const channels = ['container', 'exec'].flatMap((noun) =>
  ['create', 'start', 'exit', 'error'].map((event) => `ringfort:${noun}:${event}`),
);

/** Parent of a process: status(5), PPid. */
function parentOf(pid: number): number {
  return Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** A message as it was when it was published. */
interface Heard extends DiagnosticMessage {
  channel: string;
  itself: object;
}

suite('diagnostics channels', [linux, cgroups], () => {
  let heard: Heard[];
  const listen = (message: unknown, name: string | symbol) => {
    const itself = message as DiagnosticMessage;
    heard.push({ ...itself, channel: String(name).slice('ringfort:'.length), itself });
  };
  const names = () => heard.map(({ channel }) => channel);

  beforeEach(() => {
    heard = [];
    for (const name of channels) subscribe(name, listen);
  });
  afterEach(() => {
    for (const name of channels) unsubscribe(name, listen);
  });

  test('run is one container', async () => {
    const { usage } = await run('sh', ['-c', 'echo secret; exit 3']);
    expect(names()).toEqual(['container:create', 'container:start', 'container:exit']);
    const [create, start, exit] = heard as [Heard, Heard, Heard];
    const { containerId } = create;
    expect(create).toMatchObject({ containerId: expect.any(String), file: 'sh', durationMs: 0 });
    expect(create).not.toHaveProperty('pid');
    expect(start).toMatchObject({ containerId, pid: expect.any(Number) });
    const result = { exitCode: 3, signal: null, reason: 'exit', usage };
    expect(exit).toMatchObject({ containerId, pid: start.pid, result });
    expect(exit.durationMs).toBeGreaterThanOrEqual(start.durationMs);
    // One object, so that it can be a key; and nothing of what the program was told or said.
    expect(new Set(heard.map(({ itself }) => itself)).size).toBe(1);
    expect(JSON.stringify(heard)).not.toContain('secret');
  });

  test('programs in a container name it', async () => {
    const box = await createContainer({ id: 'observed', labels: { tier: 'test' } });
    await box.exec('true');
    await once(box.spawn('sh', ['-c', 'kill -9 $$']), 'close');
    await box[Symbol.asyncDispose]();
    expect(names()).toEqual([
      ...['container:create', 'container:start'],
      ...['exec:create', 'exec:start', 'exec:exit', 'exec:create', 'exec:start', 'exec:exit'],
      'container:exit',
    ]);
    expect(heard.every(({ containerId }) => containerId === 'observed')).toBe(true);
    expect(heard[0]).toMatchObject({ labels: { tier: 'test' } });
    expect(heard[0]).not.toHaveProperty('file');
    const [one, other] = [heard[4], heard[7]];
    expect(one).toMatchObject({ file: 'true', result: { exitCode: 0, reason: 'exit' } });
    expect(other).toMatchObject({ file: 'sh', result: { signal: 'SIGKILL', reason: 'signal' } });
    expect(one?.execId).not.toBe(other?.execId);
  });

  test('what could not be started is an error, and what was refused is nothing', async () => {
    await expect(run('no-such-program')).rejects.toThrow();
    await using box = await createContainer();
    await expect(box.exec('no-such-program')).rejects.toThrow();
    const child = box.spawn('no-such-program').on('error', () => {});
    await new Promise((resolve) => child.on('close', resolve));
    await expect(run('true', [], { timeout: -1 })).rejects.toThrow(/timeout/);
    expect(() => box.spawn('true', [], { timeout: -1 })).toThrow(/timeout/);
    await expect(run('true', [], { signal: AbortSignal.abort() })).rejects.toThrow(/aborted/);
    await box.exec('true');
    const errors = heard.filter(({ channel }) => channel.endsWith(':error'));
    expect(
      errors.map(({ channel, error }) => [channel, (error as { code?: string }).code]),
    ).toEqual([
      ['container:error', 'ERR_PROGRAM_NOT_FOUND'],
      ['exec:error', 'ERR_PROGRAM_NOT_FOUND'],
      ['exec:error', 'ERR_PROGRAM_NOT_FOUND'],
    ]);
    expect(names().filter((name) => name === 'exec:create')).toHaveLength(3);
  });
});

suite('metrics', [linux, cgroups], () => {
  /** Value of one sample. */
  function value(text: string, name: string, labels: Record<string, string> = {}): number {
    const family = [...parsePrometheus(text)].find(([each]) => name.startsWith(each));
    const found = family?.[1].samples.filter(
      (sample) =>
        sample.name === name && Object.entries(labels).every(([k, v]) => sample.labels[k] === v),
    );
    expect(found).toHaveLength(1);
    return found?.[0]?.value ?? Number.NaN;
  }

  test('count what happened', async () => {
    using counted = new Metrics();
    const count = (name: string, labels?: Record<string, string>) =>
      value(counted.text(), `ringfort_${name}`, labels);
    await run('true');
    await run('sleep', ['600'], { timeout: 20, killSignal: 'SIGKILL' });
    await expect(run('no-such-program')).rejects.toThrow();
    const box = await createContainer({ limits: { memory: '32MiB' } });
    expect(count('containers_live')).toBe(1);
    const program = box.spawn('cat');
    await once(program, 'spawn');
    expect(count('execs_live')).toBe(1);
    program.stdin?.end();
    await once(program, 'close');
    const eater = await box.exec('sh', ['-c', 'x=$(head -c 100M /dev/zero | tr "\\0" x)'], {
      limits: { memory: '16MiB' },
    });
    await box[Symbol.asyncDispose]();

    expect(count('containers_started_total')).toBe(3);
    expect(count('containers_live')).toBe(0);
    expect(count('containers_exited_total', { reason: 'timeout' })).toBe(1);
    expect(count('containers_exited_total', { reason: 'exit' })).toBe(1);
    expect(count('containers_failed_total', { code: 'ERR_PROGRAM_NOT_FOUND' })).toBe(1);
    expect(count('execs_started_total')).toBe(2);
    expect(count('execs_live')).toBe(0);
    expect(eater.reason).toBe('oom');
    expect(count('execs_exited_total', { reason: 'oom' })).toBe(1);
    expect(count('container_launch_seconds_count')).toBe(3);
    expect(count('container_launch_seconds_sum')).toBeGreaterThan(0);
    expect(count('launcher_restarts_total')).toBe(0);
  });

  test('tell of a launcher that was replaced, and of the containers that it took along', async () => {
    using counted = new Metrics();
    let launcher = 0;
    const found = (message: unknown) => {
      launcher = (message as { pid: number }).pid;
    };
    subscribe('ringfort:launcher:start', found);
    try {
      // The launcher of this file has been started before anybody listened.
      const first = await createContainer();
      const parent = await first.exec('true').then(() => parentOf(first.pid as number));
      process.kill(parent, 'SIGKILL');
      await expect(first.wait()).rejects.toMatchObject({ code: 'ERR_LAUNCHER_GONE' });
      expect((await run('true')).exitCode).toBe(0);
    } finally {
      unsubscribe('ringfort:launcher:start', found);
    }
    expect(launcher).toBeGreaterThan(0);
    const text = counted.text();
    expect(value(text, 'ringfort_launcher_restarts_total')).toBe(1);
    expect(value(text, 'ringfort_containers_failed_total', { code: 'ERR_LAUNCHER_GONE' })).toBe(1);
    expect(value(text, 'ringfort_containers_live')).toBe(0);
  });

  test('are what other readers of the format read', async () => {
    const require = createRequire(import.meta.url);
    const parse = require('parse-prometheus-text-format') as (text: string) => {
      name: string;
      help: string;
      type: string;
      metrics: object[];
    }[];
    const ours = parsePrometheus(metrics());
    const theirs = parse(metrics());
    expect(theirs.map(({ name }) => name).sort()).toEqual([...ours.keys()].sort());
    for (const { name, type, help, metrics: samples } of theirs) {
      expect({ type: type.toLowerCase(), help }).toEqual({
        type: ours.get(name)?.type,
        help: ours.get(name)?.help,
      });
      expect(samples.length).toBeGreaterThan(type === 'HISTOGRAM' ? 0 : -1);
    }
    // The module's own, too, has counted since it was loaded.
    expect(value(metrics(), 'ringfort_containers_started_total')).toBeGreaterThan(0);
  });
});

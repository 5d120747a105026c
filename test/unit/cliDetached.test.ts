import { expect, test } from '@jest/globals';
import { Command } from 'commander';
import { matchId } from '../../lib/cli/containers.js';
import { parseEnd, parseEnds } from '../../lib/cli/cp.js';
import { toCreateOptions } from '../../lib/cli/detach.js';
import { DetachFilter, defaultDetachKeys, parseDetachKeys } from '../../lib/cli/detachKeys.js';
import { UsageError } from '../../lib/cli/errors.js';
import { formatEvent, parseEventFilter } from '../../lib/cli/events.js';
import { environmentOf } from '../../lib/cli/exec.js';
import { runGroups } from '../../lib/cli/flags.js';
import { redraw } from '../../lib/cli/liveText.js';
import { parseSince, parseTail, Stamper } from '../../lib/cli/logs.js';
import { declareOptions } from '../../lib/cli/options.js';
import { plainNumbers } from '../../lib/cli/output.js';
import { formatList, matchesAll, parseFilter, statusOf } from '../../lib/cli/ps.js';
import { formatStats, statsLine } from '../../lib/cli/stats.js';
import { none, toUpdate } from '../../lib/cli/update.js';
import type {
  ContainerEvent,
  ContainerStats,
  ContainerSummary,
  CreateOptions,
} from '../../lib/index.js';
import { checkCreateOptions } from '../../lib/spec/checks.js';
import { defaultPath } from '../../lib/spec/defaults.js';
import { machine } from '../helpers/refusals.js';

/** The library's options of a `run -d` line. */
function createOptions(line: string[], command?: string[]): CreateOptions {
  const parser = new Command('run').exitOverride().configureOutput({ writeErr: () => {} });
  const draft = declareOptions(parser, runGroups);
  parser.parse(line, { from: 'user' });
  const around = { term: 'xterm', stdinIsTerminal: false, window: () => undefined };
  const options = toCreateOptions(draft, around, command);
  checkCreateOptions(options, machine);
  return options;
}

test('run -d without a program lives for exec', () => {
  expect(createOptions(['-d', '--name', 'box'])).toEqual({
    detached: true,
    id: 'box',
    init: true,
    labels: {},
    limits: {},
    env: { PATH: defaultPath, HOME: '/root' },
  });
  expect(() => createOptions(['-d', '-i'])).toThrow(UsageError);
});

test('run -d with a program: streams that its monitor has, labels, logs', () => {
  const line = ['-d', '-i', '-l', 'a=b=c', '--label', 'd', '--log-opt', 'max-file=2'];
  expect(createOptions([...line, '--log-opt', 'max-size=1m'], ['cat'])).toMatchObject({
    command: ['cat'],
    stdio: ['pipe', 'pipe', 'pipe'],
    labels: { a: 'b=c', d: '' },
    logs: { maxSize: '1m', maxFiles: 2 },
  });
  expect(createOptions(['-d'], ['cat']).stdio).toEqual(['ignore', 'pipe', 'pipe']);
  const terminal = createOptions(['-dit', '--stop-signal', 'INT'], ['sh']);
  expect(terminal).toMatchObject({
    pty: { cols: 80, rows: 24 },
    annotations: { 'org.opencontainers.image.stopSignal': 'SIGINT' },
  });
  expect(terminal.stdio).toBeUndefined();
});

test.each([['--rm'], ['--timeout=5s'], ['--stop-timeout=5']])('run -d does not take %s', (flag) => {
  expect(() => createOptions(['-d', flag], ['true'])).toThrow(flag.split('=')[0]);
});

test('a container is meant by its id, or a beginning of it', () => {
  const ids = ['ab', 'abc', 'xyz'];
  expect(matchId('ab', ids)).toBe('ab');
  expect(matchId('x', ids)).toBe('xyz');
  expect(() => matchId('a', ids)).toThrow('several');
  expect(matchId('nobody', ids)).toBe('nobody');
  expect(matchId('', ids)).toBe('');
});

test('ends of a copy', () => {
  expect(parseEnd('box:/a:b')).toEqual({ container: 'box', path: '/a:b' });
  expect(parseEnd('box:a')).toEqual({ container: 'box', path: '/a' });
  for (const path of ['./box:a', '/box:a', 'dir/box:a', 'file'])
    expect(parseEnd(path)).toEqual({ path });
  expect(() => parseEnds('a', 'b')).toThrow('one of the paths');
  expect(() => parseEnds('a:/b', 'c:/d')).toThrow('one of the paths');
  expect(() => parseEnds('-', 'c:/d')).toThrow('no tar streams');
});

test('keys that detach', () => {
  expect([...parseDetachKeys(defaultDetachKeys)]).toEqual([0x10, 0x11]);
  expect([...parseDetachKeys('ctrl-[,a')]).toEqual([0x1b, 0x61]);
  expect(() => parseDetachKeys('ctrl-1')).toThrow('Expected keys');
  const typed = (...chunks: string[]) => {
    const filter = new DetachFilter(Buffer.from('\x10\x11'));
    return chunks.map((chunk) => {
      const { data, detached } = filter.take(Buffer.from(chunk));
      return detached ? [data.toString()] : data.toString();
    });
  };
  expect(typed('a\x10', '\x11b')).toEqual(['a', ['']]);
  expect(typed('\x10', '\x10', 'x')).toEqual(['', '\x10', '\x10x']);
  expect(typed('a\x11b')).toEqual(['a\x11b']);
});

const summary: ContainerSummary = {
  id: 'box',
  state: 'running',
  createdAt: 0,
  labels: { a: 'b' },
  command: ['sh', '-c', 'echo \x1b[31m red'],
};
const usage = { cpuTimeMs: 0, userMs: 0, systemMs: 0 };

test('ps: status as docker has it', () => {
  const at = (ms: number, more: Partial<ContainerSummary> = {}) =>
    statusOf({ ...summary, ...more }, ms);
  expect(at(500)).toBe('Up Less than a second');
  expect(at(90_000)).toBe('Up About a minute');
  expect(at(5 * 60_000, { state: 'paused' })).toBe('Up 5 minutes (Paused)');
  const exit = { exitCode: null, signal: 'SIGKILL', reason: 'oom', usage } as const;
  const ended = { state: 'stopped', exit } as const;
  expect(at(26 * 3_600_000, { ...ended, endedAt: 0 })).toBe('Exited (137) 26 hours ago (oom)');
  expect(at(1000, ended)).toBe('Exited (137) (oom)');
});

test('ps: a command is shortened, and cannot write to the terminal', () => {
  const text = formatList([summary], { now: 3_000 });
  expect(text).toContain('"sh -c echo \\u001b[3…"   3 seconds ago   Up 3 seconds\n');
  expect(formatList([summary], { now: 0, full: true })).toContain('"sh -c echo \\u001b[31m red"');
});

test('ps: filters', () => {
  const shown = (...texts: string[]) => matchesAll(texts.map(parseFilter))(summary);
  expect(shown()).toBe(true);
  expect(shown('label=a', 'label=a=b', 'id=bo', 'status=running')).toBe(true);
  expect(shown('label=a', 'label=c')).toBe(false);
  expect(shown('status=exited')).toBe(false);
  expect(shown('status=exited', 'status=running')).toBe(true);
  for (const text of ['image=x', 'label', 'toString=x'])
    expect(() => parseFilter(text)).toThrow('Expected');
});

test('logs: times and tails', () => {
  expect(parseSince('1.5')).toBe(1500);
  expect(parseSince('2m', 200_000)).toBe(80_000);
  expect(parseSince('1970-01-01T00:00:01Z')).toBe(1000);
  expect(() => parseSince('soon')).toThrow('Expected a date');
  expect([parseTail('all'), parseTail('7')]).toEqual([undefined, 7]);
  expect(() => parseTail('-2')).toThrow('Expected a number');
  const stamper = new Stamper();
  const stamped = [
    [0.5, 'a\nb'],
    [1, 'c\n'],
    [2, '\n'],
  ].map(([time, text]) =>
    stamper.stamp({ time: time as number, data: Buffer.from(text as string) }).toString(),
  );
  expect(stamped.join('')).toBe(
    '1970-01-01T00:00:00.000500Z a\n1970-01-01T00:00:00.000500Z bc\n' +
      '1970-01-01T00:00:00.002000Z \n',
  );
});

test('events on a line, and their filters', () => {
  const base = { time: 0, id: 'box' };
  const exec: ContainerEvent = {
    ...base,
    type: 'exec',
    execId: 'e',
    pid: 7,
    command: ['sh', '-c', 'a"b'],
  };
  expect(formatEvent(exec)).toBe(
    '1970-01-01T00:00:00.000000Z box exec execId=e pid=7 command="sh -c a\\"b"\n',
  );
  const died = { ...base, type: 'died', exitCode: 0, signal: null, reason: 'exit' } as const;
  expect(formatEvent(died)).toMatch(/ box died exitCode=0 reason=exit\n$/);
  expect(parseEventFilter('event=oom')).toEqual({ key: 'event', value: 'oom' });
  expect(() => parseEventFilter('image=x')).toThrow('Expected');
});

test('exec adds to the environment of the container', () => {
  const nothing = { tty: false, env: new Map(), envFile: new Map() };
  expect(environmentOf(['A=1'], nothing, 'vt100')).toBeUndefined();
  const said = { tty: true, env: new Map([['B', '3']]), envFile: new Map([['C', '4']]) };
  expect(environmentOf(['A=1=2', 'B=2'], said, 'vt100')).toEqual({
    A: '1=2',
    B: '3',
    C: '4',
    TERM: 'vt100',
  });
});

test('stats: what is not counted is --', () => {
  const now: ContainerStats = {
    time: 2000,
    cpu: { usageMs: 600 },
    memory: { currentBytes: 32 << 20, limitBytes: 64 << 20, breakdown: {} },
    io: { readBytes: 1500, writeBytes: 0 },
    pids: { current: 3 },
    pressure: {},
  };
  const before = { ...now, time: 1000, cpu: { usageMs: 100 } };
  expect(statsLine({ id: 'box', before, now })).toEqual({
    ID: 'box',
    Name: 'box',
    CPUPerc: '50.00%',
    MemUsage: '32MiB / 64MiB',
    MemPerc: '50.00%',
    BlockIO: '1.5kB / 0B',
    PIDs: '3',
  });
  expect(formatStats([{ id: 'box', now: undefined }], 'table')).toMatch(
    /^CONTAINER ID .*\nbox +-- +-- \/ -- +-- +-- \/ -- +--\n$/,
  );
});

test('a live table takes its own place, whatever the window', () => {
  const size = { rows: 3, columns: 5 };
  expect(redraw('one\ntwo and more\nthree\n', 0, size)).toEqual({
    output: '\r\x1b[Jone\ntwo …\n',
    lines: 2,
  });
  expect(redraw('x\n', 2, size)).toEqual({ output: '\x1b[2A\r\x1b[Jx\n', lines: 1 });
});

test('update: at least one limit; -1 takes one away', () => {
  expect(toUpdate({ memory: '64m', pidsLimit: none })).toEqual({ memory: '64m', pids: null });
  expect(() => toUpdate({})).toThrow(UsageError);
});

test('a bigint in JSON', () => {
  expect(JSON.stringify([1n, 2n ** 60n], plainNumbers)).toBe('[1,"1152921504606846976"]');
});

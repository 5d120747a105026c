import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, expect, test } from '@jest/globals';
import { createContainer, Pool, run } from '../../lib/index.js';
import {
  beginTrace,
  endTrace,
  formatTrace,
  type LaunchTrace,
  mark,
  onTrace,
  phaseNames,
} from '../../lib/trace.js';
import { cgroups, suite } from '../helpers/needs.js';

/** The traces of what is done meanwhile. */
async function traced(task: () => Promise<unknown>): Promise<LaunchTrace[]> {
  const traces: LaunchTrace[] = [];
  onTrace((trace) => traces.push(trace));
  await task();
  while (traces.length === 0) await sleep(5);
  return traces;
}

function what({ moments }: LaunchTrace, by: string): string[] {
  return moments.filter((moment) => moment.by === by).map((moment) => moment.what);
}

suite('the trace of a launch', [cgroups], () => {
  afterEach(() => onTrace(undefined));

  test('has every step that was carried out, in the order of time', async () => {
    const [trace] = await traced(() => run('true'));
    if (trace === undefined) throw new Error('none');
    const { moments } = trace;
    expect(moments.every(({ at }, i) => i === 0 || at >= (moments[i - 1]?.at ?? 0n))).toBe(true);
    expect(what(trace, 'launcher').sort()).toEqual([...phaseNames].sort());
    const node = what(trace, 'node');
    expect(node[0]).toBe('called');
    expect(node).toEqual(expect.arrayContaining(['spec made', 'sent', 'exited heard', 'result']));
    const child = what(trace, 'child');
    // execve does not come back to say that it is done.
    expect(child.at(-1)).toMatch(/^assert /);
    expect(child).toContainEqual(expect.stringMatching(/^pivotRoot root$/));
    for (const section of ['prepare', 'attend', 'teardown'])
      expect(what(trace, section).length).toBeGreaterThan(0);
    expect(formatTrace(moments)).toMatch(/^ +0\.0 +0\.0 {2}node +called\n/);
  });

  test('of a pooled run begins with the call, not with the program that waited', async () => {
    const pool = new Pool({}, { min: 1, max: 1 });
    await (await pool.acquire()).release();
    while (pool.stats().ready === 0) await sleep(5);
    for (const [file, runs] of [
      ['true', true],
      ['/no/such/program', false],
    ] as const) {
      const own = ({ moments }: LaunchTrace) => moments.every(({ by }) => by === 'node');
      const traces: LaunchTrace[] = [];
      onTrace((trace) => traces.push(trace));
      await pool.run(file).catch(() => {});
      while (!traces.some(own)) await sleep(5);
      onTrace(undefined);
      const node = what(traces.find(own) as LaunchTrace, 'node');
      expect(node.slice(0, 3)).toEqual(['called', 'plan encoded', 'sent']);
      expect(node.includes('exited heard')).toBe(runs);
      while (pool.stats().ready === 0) await sleep(5);
    }
    await pool.close();
  });

  test('is printed with NODE_DEBUG=ringfort, after the plan', async () => {
    const script = `
      const { createContainer } = await import('ringfort');
      const box = await createContainer();
      await box[Symbol.asyncDispose]();`;
    const { stderr } = await promisify(execFile)(
      process.execPath,
      ['--input-type=module', '--eval', script],
      { env: { ...process.env, NODE_DEBUG: 'ringfort' } },
    );
    expect(stderr).toMatch(/^RINGFORT \d+: \w+ plan\nclone +mount/m);
    expect(stderr).toMatch(/ trace\n +0\.0 +0\.0 {2}node +called\n/);
    expect(stderr).toMatch(/ child +pivotRoot root\n/);
  });

  test('says how far a launch that failed has come', async () => {
    const start = () => run('/no/such/program').catch(() => {});
    const [trace] = await traced(start);
    if (trace === undefined) throw new Error('none');
    expect(what(trace, 'child').at(-1)).toMatch(/^assert /);
    expect(what(trace, 'launcher')).not.toContain('executed');
  });

  test('of another attempt is its own', async () => {
    const traces = await traced(async () => {
      for (const attempt of ['first', 'second']) {
        beginTrace('again');
        mark('again', attempt);
        endTrace('again');
      }
      await sleep(50);
    });
    expect(traces.map((trace) => what(trace, 'node'))).toEqual([
      ['called', 'first'],
      ['called', 'second'],
    ]);
  });

  test('of a program in a container is its own', async () => {
    await using container = await createContainer();
    const [trace] = await traced(() => container.exec('true'));
    if (trace === undefined) throw new Error('none');
    expect(trace.name).not.toBe(container.id);
    expect(what(trace, 'child').at(-1)).toMatch(/^assert /);
    expect(what(trace, 'attend')).toEqual([]);
  });

  test('leaves steps out that it has no room for', async () => {
    const mounts = Array.from({ length: 350 }, (_, i) => ({
      type: 'tmpfs' as const,
      destination: `/tmp/${i}`,
    }));
    const [trace] = await traced(() => run('true', [], { mounts }));
    if (trace === undefined) throw new Error('none');
    expect(what(trace, 'launcher')).toContain('executed');
    expect(what(trace, 'prepare').length + what(trace, 'child').length).toBeLessThanOrEqual(1024);
  });
});

import { channel } from 'node:diagnostics_channel';
import { expect, test } from '@jest/globals';
import { Metrics } from '../../lib/metrics.js';
import { exitReasons } from '../../lib/result.js';
import { parsePrometheus } from '../helpers/prometheus.js';

test('the text is right before anything has happened', () => {
  using metrics = new Metrics();
  const families = parsePrometheus(metrics.text());
  expect([...families.keys()]).toEqual([
    'ringfort_containers_started_total',
    'ringfort_containers_exited_total',
    'ringfort_containers_failed_total',
    'ringfort_containers_live',
    'ringfort_container_launch_seconds',
    'ringfort_execs_started_total',
    'ringfort_execs_exited_total',
    'ringfort_execs_failed_total',
    'ringfort_execs_live',
    'ringfort_exec_launch_seconds',
    'ringfort_pool_containers',
    'ringfort_pool_waiting',
    'ringfort_pool_acquired_total',
    'ringfort_pool_wait_seconds',
    'ringfort_pool_failed_total',
    'ringfort_pool_lost_total',
    'ringfort_launcher_restarts_total',
  ]);
  // A series that appears only with its first event has no rate at that event.
  const reasons = families.get('ringfort_execs_exited_total')?.samples;
  expect(reasons?.map(({ labels, value }) => [labels.reason, value])).toEqual([
    ...exitReasons.map((reason) => [reason, 0]),
  ]);
});

test('what a pool has lost is counted', () => {
  using metrics = new Metrics();
  channel('ringfort:pool:lost').publish({ ready: 0, used: 0, creating: 0, waiting: 0 });
  expect(metrics.text()).toMatch(/^ringfort_pool_lost_total 1$/m);
});

test('labels are escaped', () => {
  using metrics = new Metrics();
  const code = 'a "quote", a back\\slash\nand a line';
  channel('ringfort:exec:error').publish({
    durationMs: 1,
    error: Object.assign(new Error(), { code }),
  });
  const text = metrics.text();
  expect(text).toContain('{code="a \\"quote\\", a back\\\\slash\\nand a line"} 1');
  const [sample] = parsePrometheus(text).get('ringfort_execs_failed_total')?.samples ?? [];
  expect(sample?.labels).toEqual({ code });
});

test('seconds fall into cumulative buckets', () => {
  using metrics = new Metrics();
  for (const durationMs of [0.5, 4, 4, 700, 60_000])
    channel('ringfort:container:start').publish({ durationMs });
  const family = parsePrometheus(metrics.text()).get('ringfort_container_launch_seconds');
  const counts = Object.fromEntries(
    (family?.samples ?? []).map(({ name, labels, value }) => [
      labels.le ?? name.split('_').at(-1),
      value,
    ]),
  );
  expect(counts).toMatchObject({ '0.001': 1, '0.0025': 1, '0.005': 3, '0.5': 3, '1': 4, '10': 4 });
  expect(counts).toMatchObject({ '+Inf': 5, count: 5, sum: 60.7085 });
});

test('a disposed instance counts no more, and what it had stays', () => {
  const metrics = new Metrics();
  channel('ringfort:launcher:start').publish({ pid: 1, restart: true });
  metrics[Symbol.dispose]();
  channel('ringfort:launcher:start').publish({ pid: 2, restart: true });
  expect(metrics.text()).toMatch(/^ringfort_launcher_restarts_total 1$/m);
});

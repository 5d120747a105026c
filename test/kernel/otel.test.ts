import { channel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { context, SpanStatusCode, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from '@opentelemetry/sdk-metrics';
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base';
import { createContainer, Pool, run } from '../../lib/index.js';
import { instrument } from '../../lib/otel/index.js';
import { cgroups, linux, suite } from '../helpers/needs.js';

suite('OpenTelemetry', [linux, cgroups], () => {
  let exporter: InMemorySpanExporter;
  let spans: BasicTracerProvider;
  let exported: InMemoryMetricExporter;
  let meters: MeterProvider;
  let instrumented: Disposable;

  beforeEach(() => {
    exporter = new InMemorySpanExporter();
    spans = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
    exported = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter: exported });
    meters = new MeterProvider({ readers: [reader] });
    instrumented = instrument({ tracer: spans.getTracer('t'), meter: meters.getMeter('m') });
  });
  afterEach(async () => {
    instrumented[Symbol.dispose]();
    await Promise.all([spans.shutdown(), meters.shutdown()]);
  });

  /** The only span of a name. */
  function span(name: string): ReadableSpan {
    const found = exporter.getFinishedSpans().filter((each) => each.name === name);
    expect(found).toHaveLength(1);
    return found[0] as ReadableSpan;
  }

  test('programs are children of their container', async () => {
    const box = await createContainer({ id: 'spanned', labels: { tier: 'test' } });
    const { usage } = await box.exec('sh', ['-c', 'echo secret; exit 3']);
    const child = box.spawn('cat');
    child.kill('SIGKILL');
    await once(child, 'close');
    await box[Symbol.asyncDispose]();

    const container = span('ringfort.container spanned');
    expect(container.parentSpanContext).toBeUndefined();
    expect(container.attributes).toMatchObject({
      'container.id': 'spanned',
      'container.label.tier': 'test',
      'process.pid': expect.any(Number),
    });
    expect(container.attributes).not.toHaveProperty('process.command');
    const exec = span('ringfort.exec sh');
    expect(exec.parentSpanContext?.spanId).toBe(container.spanContext().spanId);
    expect(exec.spanContext().traceId).toBe(container.spanContext().traceId);
    expect(exec.attributes).toMatchObject({
      'container.id': 'spanned',
      'ringfort.exec.id': expect.stringMatching(/^[0-9a-f]{12}$/),
      'process.command': 'sh',
      'process.exit.code': 3,
      'ringfort.exit.reason': 'exit',
      'ringfort.usage.cpu_ms': usage.cpuTimeMs,
    });
    // An exit code is the program's own affair.
    expect(exec.status.code).toBe(SpanStatusCode.UNSET);
    expect(exec.events.map(({ name }) => name)).toEqual(['started']);
    const killed = span('ringfort.exec cat').attributes;
    expect(killed).toMatchObject({ 'ringfort.exit.signal': 'SIGKILL' });
    expect(killed).not.toHaveProperty('process.exit.code');
    expect(
      JSON.stringify(exporter.getFinishedSpans().map(({ attributes }) => attributes)),
    ).not.toContain('secret');
  });

  test('what is called in a span is its child, with a link to the container', async () => {
    await using box = await createContainer();
    const request = spans.getTracer('caller').startSpan('request');
    context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
    try {
      await context.with(trace.setSpan(context.active(), request), () => box.exec('true'));
    } finally {
      context.disable();
    }
    request.end();
    await box[Symbol.asyncDispose]();
    const exec = span('ringfort.exec true');
    expect(exec.parentSpanContext?.spanId).toBe(request.spanContext().spanId);
    const container = span(`ringfort.container ${box.id}`).spanContext();
    expect(exec.links.map((link) => link.context.spanId)).toEqual([container.spanId]);
  });

  test('errors are recorded', async () => {
    await expect(run('no-such-program')).rejects.toThrow();
    await run('sleep', ['600'], { timeout: 10, killSignal: 'SIGKILL' });
    const [failed, late] = exporter.getFinishedSpans() as [ReadableSpan, ReadableSpan];
    expect(failed.attributes).toMatchObject({ 'error.type': 'ERR_PROGRAM_NOT_FOUND' });
    expect(failed.status).toMatchObject({ code: SpanStatusCode.ERROR });
    expect(failed.events[0]?.attributes).toMatchObject({
      'exception.message': expect.stringContaining('no-such-program'),
    });
    expect(late.attributes).toMatchObject({ 'process.command': 'sleep', 'error.type': 'timeout' });
    expect(late.status).toEqual({ code: SpanStatusCode.ERROR, message: 'ended by timeout' });
  });

  /** What the last export says, by metric. */
  function points() {
    return Object.fromEntries(
      (exported.getMetrics().at(-1)?.scopeMetrics ?? [])
        .flatMap(({ metrics }) => metrics)
        .map(({ descriptor: { name, unit }, dataPoints }) => [
          name,
          { unit, points: dataPoints.map(({ value, attributes }) => ({ value, attributes })) },
        ]),
    );
  }

  test('metrics of pools', async () => {
    await using pool = new Pool({}, { min: 0, max: 1 });
    const lease = await pool.acquire();
    await meters.forceFlush();
    expect(points()).toMatchObject({
      'ringfort.pool.containers': {
        unit: '{container}',
        points: expect.arrayContaining([
          { value: 1, attributes: { 'ringfort.pool.state': 'used' } },
          { value: 0, attributes: { 'ringfort.pool.state': 'creating' } },
        ]),
      },
      'ringfort.pool.waiting': { unit: '{caller}', points: [{ value: 0 }] },
      'ringfort.pool.wait.duration': {
        unit: 's',
        points: [{ value: { count: 1 }, attributes: { 'ringfort.pool.hit': false } }],
      },
    });
    await lease.release();
    const message = { ready: 0, used: 0, creating: 0, waiting: 0 };
    channel('ringfort:pool:lost').publish(message);
    const error = Object.assign(new Error(), { code: 'ERR_TEST' });
    channel('ringfort:pool:error').publish({ ...message, error });
    await meters.forceFlush();
    expect(points()).toMatchObject({
      'ringfort.pool.containers': {
        points: expect.arrayContaining([
          { value: 0, attributes: { 'ringfort.pool.state': 'used' } },
        ]),
      },
      'ringfort.pool.lost': { points: [{ value: 1 }] },
      'ringfort.pool.failed': {
        points: [{ value: 1, attributes: { 'error.type': 'ERR_TEST' } }],
      },
    });
  });

  test('metrics', async () => {
    const box = await createContainer();
    await box.exec('true');
    await expect(box.exec('no-such-program')).rejects.toThrow();
    await meters.forceFlush();
    expect(points()).toMatchObject({
      'ringfort.container.live': { unit: '{container}', points: [{ value: 1 }] },
      'ringfort.container.launch.duration': { unit: 's', points: [{ value: { count: 1 } }] },
      'ringfort.exec.live': { points: [{ value: 0 }] },
      'ringfort.exec.launch.duration': {
        unit: 's',
        points: [
          { value: { count: 1 }, attributes: {} },
          { value: { count: 1 }, attributes: { 'error.type': 'ERR_PROGRAM_NOT_FOUND' } },
        ],
      },
      'ringfort.exec.duration': {
        points: [{ value: { count: 1 }, attributes: { 'ringfort.exit.reason': 'exit' } }],
      },
    });
    await box[Symbol.asyncDispose]();
    await meters.forceFlush();
    expect(points()).toMatchObject({
      'ringfort.container.live': { points: [{ value: 0 }] },
      'ringfort.container.duration': { unit: 's', points: [{ value: { count: 1 } }] },
    });
  });

  test('ends when it is told to, and open spans with it', async () => {
    await using box = await createContainer();
    instrumented[Symbol.dispose]();
    span(`ringfort.container ${box.id}`);
    await box.exec('true');
    expect(exporter.getFinishedSpans()).toHaveLength(1);
  });
});

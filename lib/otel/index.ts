import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type Meter, metrics, type Tracer, trace } from '@opentelemetry/api';
import { type PoolMessage, poolEvents } from '../diagnostics.js';
import { Instruments } from './instruments.js';
import { PoolInstruments } from './poolInstruments.js';
import { Spans } from './spans.js';

/** What `instrument` reports to. */
export interface InstrumentOptions {
  /** Default: the global provider's, of the name `ringfort`. */
  tracer?: Tracer;
  /** Default: the global provider's, of the name `ringfort`. */
  meter?: Meter;
}

/**
 * Turns what is published on the `ringfort:…` channels of this thread into OpenTelemetry's spans and
 * metrics, from now on. Call it once, after the providers have been set up.
 *
 * - `ringfort.container <id>` spans a container's life, and the only program of a `run`;
 * - `ringfort.exec <file>` spans one program in it: a child of the span that is active where it is
 *   called, with a link to its container's, else a child of its container's;
 * - pools have metrics only. The names of all metrics are in the README.
 *
 * Neither arguments, environment nor output are recorded: they may be secrets.
 * @returns ends it; spans that are open are ended, too
 */
export function instrument({
  tracer = trace.getTracer('ringfort'),
  meter = metrics.getMeter('ringfort'),
}: InstrumentOptions = {}): Disposable {
  const spans = new Spans(tracer);
  const instruments = new Instruments(meter);
  const pools = new PoolInstruments(meter);
  const stop: (() => void)[] = [];
  const listen = (channel: string, listener: (message: unknown) => void) => {
    subscribe(channel, listener);
    stop.push(() => unsubscribe(channel, listener));
  };
  for (const noun of ['container', 'exec'] as const) {
    for (const event of ['create', 'start', 'exit', 'error'] as const) {
      listen(`ringfort:${noun}:${event}`, (message) => {
        spans.on(noun, event, message as Parameters<Spans['on']>[2]);
        instruments.on(noun, event, message as Parameters<Instruments['on']>[2]);
      });
    }
  }
  for (const event of poolEvents)
    listen(`ringfort:pool:${event}`, (message) => pools.on(event, message as PoolMessage));
  return {
    [Symbol.dispose]() {
      for (const each of stop.splice(0)) each();
      spans.end();
    },
  };
}

import type { Attributes, Histogram, Meter, UpDownCounter } from '@opentelemetry/api';
import {
  type DiagnosticEvent,
  type DiagnosticMessage,
  type DiagnosticNoun,
  launchBounds,
} from '../diagnostics.js';

interface Instrument {
  live: UpDownCounter;
  launch: Histogram;
  duration: Histogram;
}

/** Metrics of one kind: how many run, how long a start takes, how long they live and why they end. */
function make(meter: Meter, noun: DiagnosticNoun): Instrument {
  // As those of metrics(), so that the two can be compared.
  const explicitBucketBoundaries = [...launchBounds];
  return {
    live: meter.createUpDownCounter(`ringfort.${noun}.live`, {
      description: `${noun}s that run`,
      unit: `{${noun}}`,
    }),
    launch: meter.createHistogram(`ringfort.${noun}.launch.duration`, {
      description: 'from the call until it runs, or could not be started',
      unit: 's',
      advice: { explicitBucketBoundaries },
    }),
    duration: meter.createHistogram(`ringfort.${noun}.duration`, {
      description: 'from the call to the end, by what ended it',
      unit: 's',
    }),
  };
}

/** The metrics of containers and of programs in them. */
export class Instruments {
  readonly #instruments: Record<DiagnosticNoun, Instrument>;
  readonly #live = new WeakSet<object>();

  constructor(meter: Meter) {
    this.#instruments = { container: make(meter, 'container'), exec: make(meter, 'exec') };
  }

  on(noun: DiagnosticNoun, event: DiagnosticEvent, message: DiagnosticMessage): void {
    const { live, launch, duration } = this.#instruments[noun];
    const seconds = message.durationMs / 1000;
    if (event === 'create') return;
    if (event === 'start') {
      this.#live.add(message);
      live.add(1);
      launch.record(seconds);
      return;
    }
    const ran = this.#live.delete(message);
    if (ran) live.add(-1);
    (ran ? duration : launch).record(seconds, why(message));
  }
}

function why({ result, error }: DiagnosticMessage): Attributes {
  if (result !== undefined) return { 'ringfort.exit.reason': result.reason };
  return { 'error.type': typeOf(error) };
}

/** An error's code, else its class. */
export function typeOf(error: Error | undefined): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : (error?.name ?? 'unknown');
}

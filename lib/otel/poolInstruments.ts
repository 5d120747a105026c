import type { Counter, Histogram, Meter, UpDownCounter } from '@opentelemetry/api';
import { launchBounds, type PoolEvent, type PoolMessage } from '../diagnostics.js';
import { typeOf } from './instruments.js';

const states = ['ready', 'used', 'creating'] as const;
type Numbers = Record<(typeof states)[number] | 'waiting', number>;

/** The metrics of pools, all together. */
export class PoolInstruments {
  readonly #containers: UpDownCounter;
  readonly #waiting: UpDownCounter;
  readonly #wait: Histogram;
  readonly #failed: Counter;
  readonly #lost: Counter;
  /** What has been added of each pool: a message tells its numbers, an instrument wants changes. */
  readonly #told = new WeakMap<PoolMessage, Numbers>();

  constructor(meter: Meter) {
    this.#containers = meter.createUpDownCounter('ringfort.pool.containers', {
      description: 'containers of pools, by state',
      unit: '{container}',
    });
    this.#waiting = meter.createUpDownCounter('ringfort.pool.waiting', {
      description: 'callers that wait for one',
      unit: '{caller}',
    });
    this.#wait = meter.createHistogram('ringfort.pool.wait.duration', {
      description: 'from the call until it has one, by whether one was ready',
      unit: 's',
      advice: { explicitBucketBoundaries: [...launchBounds] },
    });
    this.#failed = meter.createCounter('ringfort.pool.failed', {
      description: 'containers of pools that could not be made',
      unit: '{container}',
    });
    this.#lost = meter.createCounter('ringfort.pool.lost', {
      description: 'ready containers of pools that have died',
      unit: '{container}',
    });
  }

  on(event: PoolEvent, message: PoolMessage): void {
    if (event === 'change') this.#change(message);
    else if (event === 'lost') this.#lost.add(1);
    else if (event === 'error') this.#failed.add(1, { 'error.type': typeOf(message.error) });
    else {
      const { hit = false, durationMs = 0 } = message;
      this.#wait.record(durationMs / 1000, { 'ringfort.pool.hit': hit });
    }
  }

  #change(message: PoolMessage): void {
    const before = this.#told.get(message) ?? { ready: 0, used: 0, creating: 0, waiting: 0 };
    const { ready, used, creating, waiting } = message;
    const now = { ready, used, creating, waiting };
    for (const state of states)
      this.#containers.add(now[state] - before[state], { 'ringfort.pool.state': state });
    this.#waiting.add(now.waiting - before.waiting);
    this.#told.set(message, now);
  }
}

import {
  Container,
  type ContainerEvent,
  type ContainerExit,
  type ContainerState,
  type ContainerSummary,
} from '../index.js';

function died(id: string, exit: ContainerExit, time = Date.now()): ContainerEvent {
  const { exitCode, signal, reason } = exit;
  return { type: 'died', time, id, exitCode, signal, reason };
}

/** Follows containers, those that are named or all, and tells what happens to them. */
export class EventWatch {
  readonly #tell: (event: ContainerEvent) => void;
  readonly #wanted: ReadonlySet<string> | undefined;
  /** By id and time of creation: an id may be used again. Undefined before the first look. */
  #states: Map<string, ContainerState> | undefined;
  readonly #followed = new Set<Promise<void>>();

  /** @param wanted ids; undefined for all */
  constructor(tell: (event: ContainerEvent) => void, wanted: ReadonlySet<string> | undefined) {
    this.#tell = tell;
    this.#wanted = wanted;
  }

  /** How many are followed that have not ended. */
  get size(): number {
    return this.#followed.size;
  }

  /** Looks for those that have come, and for what other processes have done to those that run. */
  async look(): Promise<void> {
    const before = this.#states;
    const states = new Map<string, ContainerState>();
    for (const container of await Container.list({ all: true })) {
      const { id, createdAt, state, error } = container;
      if (error !== undefined || this.#wanted?.has(id) === false) continue;
      const key = `${id} ${createdAt}`;
      states.set(key, state);
      const known = before?.get(key);
      if (known === undefined) this.#meet(container, before === undefined);
      else if (known !== state && state !== 'stopped')
        this.#tell({ type: state === 'paused' ? 'paused' : 'resumed', time: Date.now(), id });
    }
    this.#states = states;
  }

  /** @param first it was there when the watch began, which is no event */
  #meet({ id, createdAt, state, pid = 0, exit, endedAt }: ContainerSummary, first: boolean): void {
    if (!first) this.#tell({ type: 'started', time: createdAt, id, pid });
    if (state !== 'stopped') {
      const followed: Promise<void> = this.#follow(id)
        // It was removed before it could be followed.
        .catch(() => {})
        .finally(() => this.#followed.delete(followed));
      this.#followed.add(followed);
    }
    if (first) return;
    if (state === 'paused') this.#tell({ type: 'paused', time: Date.now(), id });
    if (exit !== undefined) this.#tell(died(id, exit, endedAt));
  }

  async #follow(id: string): Promise<void> {
    const box = await Container.open(id);
    try {
      let told = false;
      for await (const event of box.events()) {
        this.#tell(event);
        told = event.type === 'died';
      }
      // It had ended before it was opened.
      if (!told) this.#tell(died(id, await box.wait()));
    } finally {
      await box[Symbol.asyncDispose]();
    }
  }
}

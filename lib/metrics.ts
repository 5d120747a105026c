import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import {
  type DiagnosticMessage,
  type LauncherMessage,
  launchBounds,
  type PoolEvent,
  type PoolMessage,
  poolEvents,
} from './diagnostics.js';
import { type ExitReason, exitReasons } from './result.js';

/** The text format's own three escapes. */
function escapeLabel(value: string): string {
  return value.replace(/[\\"\n]/g, (found) => (found === '\n' ? '\\n' : `\\${found}`));
}

function sample(name: string, value: number, labels: Record<string, string> = {}): string {
  const pairs = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
  return `${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`;
}

function family(name: string, type: string, help: string, samples: readonly string[]): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...samples];
}

/** A counter with one label. */
class Counts {
  readonly #counts: Map<string, number>;

  /** @param known values of the label that are there from the start, at 0 */
  constructor(
    readonly label: string,
    known: readonly string[] = [],
  ) {
    this.#counts = new Map(known.map((value) => [value, 0]));
  }

  add(value: string): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
  }

  samples(name: string): string[] {
    return [...this.#counts].map(([value, count]) => sample(name, count, { [this.label]: value }));
  }
}

/** A histogram of seconds with fixed buckets. */
class Seconds {
  readonly #counts = new Array<number>(launchBounds.length).fill(0);
  #count = 0;
  #sum = 0;

  add(seconds: number): void {
    this.#count++;
    this.#sum += seconds;
    launchBounds.forEach((bound, i) => {
      if (seconds <= bound) this.#counts[i] = (this.#counts[i] ?? 0) + 1;
    });
  }

  samples(name: string): string[] {
    const buckets = launchBounds.map((bound, i) =>
      sample(`${name}_bucket`, this.#counts[i] ?? 0, { le: String(bound) }),
    );
    return [
      ...buckets,
      sample(`${name}_bucket`, this.#count, { le: '+Inf' }),
      sample(`${name}_sum`, this.#sum),
      sample(`${name}_count`, this.#count),
    ];
  }
}

/** What is counted of containers, and of the programs in them. */
class Lives {
  readonly #exited = new Counts('reason', exitReasons);
  readonly #failed = new Counts('code');
  readonly #launch = new Seconds();
  readonly #live = new WeakSet<object>();
  #started = 0;
  #alive = 0;

  /** @param noun of what is counted, as metrics have it: `container`, `exec` */
  constructor(
    readonly noun: string,
    readonly words: string,
  ) {}

  on(event: string, message: DiagnosticMessage): void {
    if (event === 'start') {
      this.#started++;
      this.#alive++;
      this.#live.add(message);
      this.#launch.add(message.durationMs / 1000);
      return;
    }
    if (event === 'create') return;
    if (this.#live.delete(message)) this.#alive--;
    if (event === 'exit') this.#exited.add((message.result?.reason ?? 'exit') satisfies ExitReason);
    else {
      const { code, name } = message.error as NodeJS.ErrnoException;
      this.#failed.add(typeof code === 'string' ? code : name);
    }
  }

  lines(): string[] {
    const { noun, words } = this;
    const name = (rest: string) => `ringfort_${noun}${rest}`;
    const started = name('s_started_total');
    const exited = name('s_exited_total');
    const failed = name('s_failed_total');
    const live = name('s_live');
    const launch = name('_launch_seconds');
    return [
      ...family(started, 'counter', `${words} that have run.`, [sample(started, this.#started)]),
      ...family(
        exited,
        'counter',
        `${words} that have ended, by what ended them.`,
        this.#exited.samples(exited),
      ),
      ...family(
        failed,
        'counter',
        `${words} that could not be started, or were lost, by error code.`,
        this.#failed.samples(failed),
      ),
      ...family(live, 'gauge', `${words} that run.`, [sample(live, this.#alive)]),
      ...family(
        launch,
        'histogram',
        `Seconds from the call until it runs: ${words.toLowerCase()}.`,
        this.#launch.samples(launch),
      ),
    ];
  }
}

/** What is counted of pools, all together. */
class Pools {
  readonly #acquired = new Counts('ready', ['true', 'false']);
  readonly #wait = new Seconds();
  #failed = 0;
  #lost = 0;
  /** What each pool has said last, while it has members or callers. */
  readonly #now = new Set<PoolMessage>();

  on(event: PoolEvent, message: PoolMessage): void {
    if (event === 'error') this.#failed++;
    else if (event === 'lost') this.#lost++;
    else if (event === 'acquire') {
      this.#acquired.add(String(message.hit));
      this.#wait.add((message.durationMs ?? 0) / 1000);
    } else if (message.ready + message.used + message.creating + message.waiting > 0)
      this.#now.add(message);
    else this.#now.delete(message);
  }

  #sum(field: 'ready' | 'used' | 'creating' | 'waiting'): number {
    return [...this.#now].reduce((sum, pool) => sum + pool[field], 0);
  }

  lines(): string[] {
    const [size, waiting] = ['ringfort_pool_containers', 'ringfort_pool_waiting'];
    const [acquired, wait] = ['ringfort_pool_acquired_total', 'ringfort_pool_wait_seconds'];
    const [failed, lost] = ['ringfort_pool_failed_total', 'ringfort_pool_lost_total'];
    const states = (['ready', 'used', 'creating'] as const).map((state) =>
      sample(size, this.#sum(state), { state }),
    );
    return [
      ...family(size, 'gauge', 'Containers of pools.', states),
      ...family(waiting, 'gauge', 'Callers that wait for one.', [
        sample(waiting, this.#sum('waiting')),
      ]),
      ...family(
        acquired,
        'counter',
        'Containers taken, by whether one was ready.',
        this.#acquired.samples(acquired),
      ),
      ...family(wait, 'histogram', 'Seconds that taking one took.', this.#wait.samples(wait)),
      ...family(failed, 'counter', 'Containers of pools that could not be made.', [
        sample(failed, this.#failed),
      ]),
      ...family(lost, 'counter', 'Ready containers of pools that have died.', [
        sample(lost, this.#lost),
      ]),
    ];
  }
}

/**
 * Counts what is published on the `ringfort:…` channels of this thread from now on, whichever copy
 * of the package publishes it.
 */
export class Metrics implements Disposable {
  readonly #container = new Lives('container', 'Containers');
  readonly #exec = new Lives('exec', 'Programs in containers');
  readonly #pools = new Pools();
  #restarts = 0;
  readonly #stop: (() => void)[] = [];

  constructor() {
    for (const event of ['create', 'start', 'exit', 'error']) {
      for (const lives of [this.#container, this.#exec])
        this.#listen(`ringfort:${lives.noun}:${event}`, (message) =>
          lives.on(event, message as DiagnosticMessage),
        );
    }
    for (const event of poolEvents)
      this.#listen(`ringfort:pool:${event}`, (message) =>
        this.#pools.on(event, message as PoolMessage),
      );
    this.#listen('ringfort:launcher:start', (message) => {
      if ((message as LauncherMessage).restart) this.#restarts++;
    });
  }

  #listen(name: string, listener: (message: unknown) => void): void {
    subscribe(name, listener);
    this.#stop.push(() => unsubscribe(name, listener));
  }

  /** All of it in Prometheus' text exposition format 0.0.4. */
  text(): string {
    const restarts = 'ringfort_launcher_restarts_total';
    const lines = [
      ...this.#container.lines(),
      ...this.#exec.lines(),
      ...this.#pools.lines(),
      ...family(restarts, 'counter', 'Launchers started because the one before had died.', [
        sample(restarts, this.#restarts),
      ]),
    ];
    return `${lines.join('\n')}\n`;
  }

  /** Stops counting. */
  [Symbol.dispose](): void {
    for (const stop of this.#stop.splice(0)) stop();
  }
}

const counted = new Metrics();

/**
 * What this thread's containers have done since the package was loaded, in Prometheus' text
 * exposition format 0.0.4: answer with it as `text/plain; version=0.0.4`. Containers are those of
 * `run` and `createContainer`, execs those of `exec`, `shell` and `spawn`.
 */
export function metrics(): string {
  return counted.text();
}

import { complete, reasonOf } from '../complete.js';
import { Trace } from '../diagnostics.js';
import type { ExecOptions } from '../options.js';
import { ParkedProgram } from '../parked.js';
import { launchFileAgent, type StartedProgram } from '../program.js';
import type { RunResult } from '../result.js';
import { newId } from '../specOf.js';
import { openStreams } from '../streams.js';
import { Turns } from '../turns.js';
import type { EventHub } from './events.js';
import type { ProgramInfo } from './info.js';
import type { Life } from './life.js';
import { ContainerProcess } from './process.js';
import { parkedSpec, prepareProgram } from './program.js';
import type { PlainSpawnOptions } from './spawnCall.js';

/** Programs that may be on their way to one container at once; the others wait for their turn. */
const startsAtOnce = 16;

/** The programs of one container that were started from here. */
export class Programs {
  readonly #turns = new Turns(startsAtOnce);
  readonly #running = new Map<string, ProgramInfo>();
  /** What the next program is to come from. */
  #parked: ParkedProgram | undefined;
  readonly #containerId: string;
  readonly #life: Life;
  readonly #events: EventHub;

  constructor(containerId: string, life: Life, events: EventHub) {
    this.#containerId = containerId;
    this.#life = life;
    this.#events = events;
  }

  /** Those that run. */
  list(): ProgramInfo[] {
    return [...this.#running.values()];
  }

  /**
   * Sets a program up in advance, which the next `exec` or `spawn` becomes if it can.
   * @returns what is there then
   */
  async park(): Promise<ParkedProgram> {
    const running = this.#life.running();
    const parked = new ParkedProgram(running, newId(), parkedSpec(running.inside.spec));
    this.#parked = parked;
    await parked.ready;
    return parked;
  }

  /** The one that waits, for the first who asks. */
  #takeParked(): ParkedProgram | undefined {
    const parked = this.#parked;
    this.#parked = undefined;
    return parked;
  }

  /**
   * Runs one to its end.
   * @param onEnded told of it before what it has printed has been read
   */
  async exec(
    file: string,
    args: readonly string[],
    options: ExecOptions,
    onEnded?: () => void,
  ): Promise<RunResult<string | Buffer>> {
    const execId = newId();
    const running = this.#life.running();
    const program = prepareProgram(running, { execId, kind: 'exec', file, args, options });
    return complete(
      {
        id: execId,
        command: [file, ...args],
        trace: () => new Trace({ containerId: this.#containerId, execId, file }),
        cpuTime: options.limits?.cpuTime,
        start: async (stdio, signal) => {
          const start = () => program(this.#life.running(), stdio, signal, this.#takeParked());
          const started = await this.#start([file, ...args], start, signal);
          if (onEnded !== undefined) started.ended.then(onEnded, onEnded);
          return started;
        },
      },
      options,
    );
  }

  /** Starts one whose end is an event. */
  spawn(file: string, args: readonly string[], options: PlainSpawnOptions): ContainerProcess {
    const execId = newId();
    const running = this.#life.running();
    const prepare = (latest: PlainSpawnOptions) =>
      prepareProgram(running, { execId, kind: 'spawn', file, args, options: latest });
    const program = prepare(options);
    const stdio = openStreams(options);
    return new ContainerProcess({
      file,
      args,
      options,
      stdio,
      cpuTime: options.limits?.cpuTime,
      trace: new Trace({ containerId: this.#containerId, execId, file }),
      start: (signal, size) => {
        const latest = size === undefined ? program : prepare({ ...options, pty: size });
        const start = () => latest(this.#life.running(), stdio, signal, this.#takeParked());
        return this.#start([file, ...args], start, signal);
      },
    });
  }

  /** Starts one in its turn, and tells of its start and its end. */
  async #start(
    command: string[],
    start: () => Promise<StartedProgram>,
    signal: AbortSignal,
  ): Promise<StartedProgram> {
    const taken = await this.#life.unlessEnded(() => this.#turns.take(start, signal));
    const started = this.#killedWhole(taken);
    const { execId, pid } = started;
    this.#running.set(execId, { execId, pid, command });
    this.#events.emit('exec', { execId, pid, command });
    // A launcher that dies is told of elsewhere.
    this.#follow(started)
      .catch(() => {})
      .finally(() => this.#running.delete(execId));
    return started;
  }

  /** Without cgroup.kill (v1 alone) the processes of one that is killed have to be looked for. */
  #killedWhole(started: StartedProgram): StartedProgram {
    const { paths } = started.cgroup;
    if (paths.unified !== undefined) return started;
    const kill = () => {
      started.kill();
      this.#life.killProgram(paths).catch(() => {});
    };
    return { ...started, kill };
  }

  /** Starts a file agent in its turn. @returns our end of its socket */
  startFileAgent(): Promise<number> {
    const start = async () => {
      const { fd, agent } = await launchFileAgent(this.#life.running(), newId());
      // Only the calls that wait for it keep anybody alive.
      agent.hold(false);
      return fd;
    };
    return this.#life.unlessEnded(() => this.#turns.take(start));
  }

  async #follow({ execId, ended, cgroup }: StartedProgram): Promise<void> {
    const told = this.#events.told('oom');
    const end = await ended;
    await this.#events.check();
    // v1 counts in each cgroup alone: the program's count has gone with it.
    const alone = cgroup.usageFiles.some((path) => path.endsWith('/memory.oom_control'));
    const missed = (end.usage.oomKills ?? 0) - (this.#events.told('oom') - told);
    if (alone && missed > 0) this.#events.emit('oom', { count: missed });
    const { exitCode, signal } = end;
    const reason = reasonOf(end, undefined);
    this.#events.emit('exec-died', { execId, exitCode, signal, reason });
  }
}

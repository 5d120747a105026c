import { type CgroupPlan, planLaterLimits } from './cgroups/index.js';
import { type Follow, follow, type Running } from './follow.js';
import type { Launched, RunnableSpec } from './launch.js';
import { encodePlan, protocol } from './plan/encode.js';
import type { Plan } from './plan/steps.js';
import { compileProgram } from './policy/program.js';
import { compileRelease, fitsParked } from './policy/release.js';
import { filterOf } from './prepare.js';
import {
  checkCpuTime,
  type ProgramLaunch,
  type StartedProgram,
  wayIn,
  withUser,
} from './program.js';
import { endTrace, mark } from './trace.js';

/** A release that has been compiled. */
interface Release {
  plan: Plan;
  bytes: Uint8Array;
  cgroup: CgroupPlan;
}

/**
 * A program in a container that lives, set up in advance: in its cgroup, with its ids, behind all of
 * its walls. It waits for its limits, streams, directory, environment and arguments. Until then
 * nothing of a guest's runs as it; nobody may run beside it, so who starts another program first
 * kills it.
 */
export class ParkedProgram {
  readonly #container: Launched;
  /** Name of its cgroup. */
  readonly #name: string;
  readonly #spec: RunnableSpec;
  readonly #cgroup: CgroupPlan;
  readonly #about: Follow;
  readonly #running: Promise<Running>;
  /** Resolves when it waits. */
  readonly ready: Promise<void>;
  #controls: Pick<Running, 'id' | 'kill' | 'hold'> | undefined;
  /** It is dead, or has been released. */
  #over = false;

  /**
   * Sets one up.
   * @param name of its cgroup, below the container's
   * @param spec the container's spec, with what is known of the program as its process
   * @throws ContainerError and its kinds
   */
  constructor(container: Launched, name: string, spec: RunnableSpec) {
    const { facts, supervisor } = container.inside;
    this.#container = container;
    this.#name = name;
    this.#spec = withUser(container, spec);
    const { plan, cgroup } = compileProgram({
      spec: this.#spec,
      facts,
      fds: [],
      ...filterOf(spec, facts),
      ...wayIn(container, name, {}, true),
      parks: true,
    });
    this.#cgroup = cgroup;
    const { launcher } = supervisor;
    let parked!: () => void;
    const created = new Promise<void>((resolve) => {
      parked = resolve;
    });
    this.#about = {
      name,
      plan,
      opened: [],
      onCreated: (controls) => {
        this.#controls = controls;
        // Nobody waits for it: this process may end.
        controls.hold(false);
        parked();
      },
    };
    this.#running = follow(launcher, this.#about, (events) =>
      launcher.exec(container.id, encodePlan(plan), [], events),
    );
    this.ready = Promise.race([created, this.#running.then(() => {})]);
    const over = () => {
      this.#over = true;
    };
    this.#running.then(over, over);
    this.ready.catch(() => {});
  }

  /** Resolves when it has died before anybody has released it; else never. */
  get died(): Promise<void> {
    return this.#running.then(
      () => new Promise<void>(() => {}),
      () => {},
    );
  }

  /** It is not needed: ends it. */
  kill(): void {
    this.#over = true;
    this.#controls?.kill();
  }

  /**
   * Lets it become that program.
   * @returns undefined when it cannot: it has been killed, for nobody runs beside it
   * @throws as `launchProgram`; it has been killed then, too
   */
  release(input: ProgramLaunch): Promise<StartedProgram> | undefined {
    let release: Release | undefined;
    try {
      if (!this.#over) release = this.#compile(input);
    } catch (error) {
      this.kill();
      throw error;
    }
    if (release === undefined || this.#controls === undefined) {
      this.kill();
      return undefined;
    }
    this.#over = true;
    return this.#send(this.#controls, release, input);
  }

  #compile(input: ProgramLaunch): Release | undefined {
    const { facts } = this.#container.inside;
    const { process } = withUser(this.#container, input.spec);
    const parked = this.#spec.process;
    if (!fitsParked(parked, process)) return undefined;
    const { nested, join } = wayIn(this.#container, this.#name, input.resources);
    const options = { execId: this.#name, resources: input.resources, joins: join };
    const limits = planLaterLimits(nested, this.#cgroup, options);
    if (limits === undefined) return undefined;
    checkCpuTime(input.cpuTime, this.#cgroup);
    const { fds } = input;
    const plan = compileRelease({ parked, process, facts, fds, limits: limits.steps });
    const bytes = encodePlan(plan);
    // It takes no memory any more, so what it is told has to come in one message.
    if (bytes.length > protocol.inlinePlanBytes) return undefined;
    mark(input.execId, 'plan encoded');
    return { plan, bytes, cgroup: { ...this.#cgroup, enforced: limits.enforced } };
  }

  #send(
    { id, kill, hold }: Pick<Running, 'id' | 'kill' | 'hold'>,
    { plan, bytes, cgroup }: Release,
    { execId, fds, onSent, signal }: ProgramLaunch,
  ): Promise<StartedProgram> {
    const { isolation, inside } = this.#container;
    this.#about.released = plan;
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        kill();
        hold(false);
        reject(signal?.reason as Error);
      };
      this.#running
        .then(
          (running) => {
            mark(execId, 'running heard');
            running.ended
              .then(
                () => mark(execId, 'exited heard'),
                () => {},
              )
              .finally(() => endTrace(execId));
            resolve({ ...running, execId, isolation, cgroup });
          },
          (error) => {
            endTrace(execId);
            reject(error);
          },
        )
        .finally(() => signal?.removeEventListener('abort', giveUp));
      inside.supervisor.launcher.unpark(id, bytes, fds, {
        sent() {
          mark(execId, 'sent');
          onSent?.();
          if (signal?.aborted === true) giveUp();
          else signal?.addEventListener('abort', giveUp, { once: true });
        },
        lost(error) {
          endTrace(execId);
          reject(error);
        },
      });
    });
  }
}

import { closeSync, openSync } from 'node:fs';
import { FileAgent } from '../../lib/files/agent.js';
import { FileSystem } from '../../lib/files/fileSystem.js';
import { planOf } from '../../lib/launch.js';
import { type Plan, type Step, slot } from '../../lib/plan/steps.js';
import { newId, specOf } from '../../lib/specOf.js';
import { supervisor } from '../../lib/supervisor.js';
import { close, socketpair } from '../../lib/sys/files.js';
import { SocketType } from '../../lib/sys/processConstants.js';
import type { TextOptions } from './containers.js';
import { launch } from './launches.js';
import { descendants, processName } from './leaks.js';

/** A container with nothing in it but a file agent. */
export interface FileBox {
  agent: FileAgent;
  fs: FileSystem;
  /** Host pid of the container's first process. */
  pid: number;
  /** Ends the container. */
  kill(): void;
  /** Ends it and waits until nothing is left. */
  end(): Promise<void>;
}

/** Steps that an agent's plan has not: it runs no guest's code. */
const ofPrograms = new Set<Step['op']>([
  'seccomp',
  'assert',
  'landlockRuleset',
  'landlockPath',
  'landlockRestrict',
]);

/** The plan of a program, but it ends in the agent; its socket travels in place of stdin. */
function agentPlan(plan: Plan): Plan {
  const child = plan.child
    .filter(({ op }) => !ofPrograms.has(op))
    .map((step): Step => {
      if (step.op === 'closeAll') return { ...step, keep: 0, also: slot.proc };
      return step.op === 'exec' ? { op: 'serveFiles', socket: 0 } : step;
    });
  return { ...plan, child };
}

/** A container whose agent nobody talks to yet. */
export interface RawFileBox {
  /** Our end of the agent's socket, the caller's to close. */
  fd: number;
  /** Host pid of the container's first process. */
  pid: number;
  kill(): void;
  /** Resolves when nothing is left. */
  ended: Promise<unknown>;
}

/** Starts a container of a file agent, without a client. */
export async function rawFileBox(options: TextOptions = {}): Promise<RawFileBox> {
  const id = newId();
  const capabilities = ['CAP_CHOWN', 'CAP_DAC_OVERRIDE', 'CAP_FOWNER'];
  const spec = specOf(id, 'true', [], { cwd: '/', capabilities, limits: 'none', ...options });
  const plan = agentPlan(await planOf({ id, spec }));
  const { launcher } = await supervisor();
  const [fd, guests] = socketpair(SocketType.SOCK_SEQPACKET);
  const nothing = openSync('/dev/null', 'r+');
  const launched = launch(launcher, plan, [guests, nothing, nothing]);
  try {
    const pid = await launched.running;
    return { fd, pid, kill: () => launcher.kill(launched.id), ended: launched.outcome };
  } catch (error) {
    close(fd);
    throw error;
  } finally {
    close(guests);
    closeSync(nothing);
  }
}

/** Starts a container of a file agent. */
export async function fileBox(options: TextOptions = {}): Promise<FileBox> {
  const { fd, pid, kill, ended } = await rawFileBox(options);
  const agent = new FileAgent(fd);
  const end = async () => {
    agent.close();
    kill();
    await ended;
  };
  return { agent, fs: new FileSystem(agent), pid, kill, end };
}

/** Host pid of the agent itself. */
export function agentPid(box: { pid: number }): number {
  const found = descendants(box.pid).find((pid) => processName(pid) === 'ringfort-files');
  if (found === undefined) throw new Error('the agent does not run');
  return found;
}

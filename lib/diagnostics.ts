import { type Channel, channel } from 'node:diagnostics_channel';
import type { Usage } from './cgroups/index.js';
import type { ExitReason } from './result.js';

/** How a program or container ended, without its output. */
export interface DiagnosticResult {
  exitCode: number | null;
  signal: NodeJS.Signals | null;
  reason: ExitReason;
  usage: Usage;
}

/**
 * What is published of one container, or of one program that was started in it. It is the same
 * object on all of its channels and grows from one to the next, so that it can be the key of a
 * WeakMap, as with Node's own tracing channels. Do not change it.
 */
export interface DiagnosticMessage {
  readonly containerId: string;
  /** The program's; undefined for a container. */
  readonly execId?: string;
  /** The program; undefined for a container without a command. Arguments may be secrets: left out. */
  readonly file?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Host pid, from `start` on. */
  pid?: number;
  /** ms since `create`. */
  durationMs: number;
  /** With `exit`. */
  result?: DiagnosticResult;
  /** With `error`. */
  error?: Error;
}

/** What is told of. */
export type DiagnosticNoun = 'container' | 'exec';

/** What happens to it, in this order; it ends with one of the last two. */
export type DiagnosticEvent = 'create' | 'start' | 'exit' | 'error';

/** What is published when a launcher has started. */
export interface LauncherMessage {
  pid: number;
  /** Its predecessor had died. */
  restart: boolean;
}

/** Upper bounds of the buckets that launches are counted in by their time, s. */
export const launchBounds = [
  ...[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
] as const;

function channelsOf(noun: DiagnosticNoun): Record<DiagnosticEvent, Channel> {
  return {
    create: channel(`ringfort:${noun}:create`),
    start: channel(`ringfort:${noun}:start`),
    exit: channel(`ringfort:${noun}:exit`),
    error: channel(`ringfort:${noun}:error`),
  };
}

const channels = { container: channelsOf('container'), exec: channelsOf('exec') };

const launcherStart = channel('ringfort:launcher:start');

/** What is published of a pool: the same object on all of its channels. Do not change it. */
export interface PoolMessage {
  ready: number;
  used: number;
  creating: number;
  waiting: number;
  /** With `acquire`: whether one was ready, and how long it has taken, ms. */
  hit?: boolean;
  durationMs?: number;
  /** With `error`: why a container could not be created. */
  error?: Error;
}

/**
 * What is told of a pool: its numbers have changed, one was taken, one could not be made, a ready
 * one has died.
 */
export const poolEvents = ['change', 'acquire', 'error', 'lost'] as const;
export type PoolEvent = (typeof poolEvents)[number];

const poolChannels: Record<PoolEvent, Channel> = {
  change: channel('ringfort:pool:change'),
  acquire: channel('ringfort:pool:acquire'),
  error: channel('ringfort:pool:error'),
  lost: channel('ringfort:pool:lost'),
};

/** The life of one pool, told on its channels. */
export class PoolTrace {
  readonly #message: PoolMessage = { ready: 0, used: 0, creating: 0, waiting: 0 };

  /** Publishes `change`. */
  changed({ ready, used, creating, waiting }: PoolMessage): void {
    const now = this.#message;
    const same = now.ready === ready && now.used === used && now.creating === creating;
    if (same && now.waiting === waiting) return;
    Object.assign(now, { ready, used, creating, waiting });
    poolChannels.change.publish(now);
  }

  /** Publishes `acquire`. */
  acquired({ hit, durationMs }: { hit: boolean; durationMs: number }): void {
    Object.assign(this.#message, { hit, durationMs });
    poolChannels.acquire.publish(this.#message);
  }

  /** Publishes `error`. */
  failed(error: unknown): void {
    this.#message.error = error as Error;
    poolChannels.error.publish(this.#message);
  }

  /** Publishes `lost`. */
  lost(): void {
    poolChannels.lost.publish(this.#message);
  }
}

/** The life of one container or program, told on the channels of its kind. */
export class Trace {
  readonly #channels: Record<DiagnosticEvent, Channel>;
  readonly #message: DiagnosticMessage;
  readonly #since = performance.now();
  #over = false;

  /** Publishes `create`: it has been checked, and nothing of it exists. */
  constructor(about: Pick<DiagnosticMessage, 'containerId' | 'execId' | 'file' | 'labels'>) {
    this.#channels = channels[about.execId === undefined ? 'container' : 'exec'];
    this.#message = { ...about, durationMs: 0 };
    this.#channels.create.publish(this.#message);
  }

  /** Publishes `start`: it runs. */
  started(pid: number): void {
    this.#message.pid = pid;
    this.#publish('start');
  }

  /** Publishes `exit`, which is the last. */
  exited({ exitCode, signal, reason, usage }: DiagnosticResult): void {
    if (this.#over) return;
    this.#over = true;
    this.#message.result = { exitCode, signal, reason, usage };
    this.#publish('exit');
  }

  /** Publishes `error`, which is the last: it could not be started, or was lost. */
  failed(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#message.error = error as Error;
    this.#publish('error');
  }

  #publish(event: DiagnosticEvent): void {
    this.#message.durationMs = performance.now() - this.#since;
    this.#channels[event].publish(this.#message);
  }
}

/** Publishes `ringfort:launcher:start`. */
export function launcherStarted(message: LauncherMessage): void {
  launcherStart.publish(message);
}

import type { ContainerOptions, ExecOptions, ProcessOptions } from '../options.js';

/** What the containers of a pool are: the options of `createContainer` that many can share. */
export interface PoolContainerOptions extends ContainerOptions, ProcessOptions {
  /** The same for all of them; not seen inside. */
  labels?: Record<string, string>;
}

/** How many containers a pool keeps. */
export interface PoolOptions {
  /** Containers kept ready, 0 to `max`. Default 1. */
  min?: number;
  /**
   * Most containers at one time: ready, in use, in the making, and at their end. At least 1; default
   * 16.
   */
  max?: number;
  /** ms after which a container beyond `min` that nobody has used is ended. Default 30,000. */
  idleTimeout?: number;
  /** Uses of one container. Only 1, the default: nothing of one use is seen by the next. */
  maxUses?: 1;
  /**
   * Callers of `run` and `acquire` that may wait at one time for another's container to end; who has
   * one made for it is not counted. One more is refused with `ERR_POOL_FULL`. Default 1024.
   */
  maxWaiting?: number;
}

/** Options of `pool.run`: what one program may have of its own, as `container.exec` has it. */
export type PoolRunOptions = ExecOptions;

/** Options of `pool.acquire`. */
export interface AcquireOptions {
  /** Gives the wait up. */
  signal?: AbortSignal | undefined;
}

/** What a pool has and has done. */
export interface PoolStats {
  /** Containers: ready, in use, in the making, and at their end. */
  size: number;
  ready: number;
  used: number;
  creating: number;
  /** Callers that wait for one. */
  waiting: number;
  /** Acquisitions that found one ready, and those that had to wait for one. */
  hits: number;
  misses: number;
  /** Containers that could not be created, and ready ones that have died. */
  failed: number;
  lost: number;
  /** Time that acquisitions have taken, ms: all together, and the longest. */
  waitMs: { total: number; max: number };
}

import { type ContainerError, invalid, PermissionError, UnsupportedError } from '../errors.js';
import type { IdMapping } from '../spec/types.js';
import type { LauncherMap } from './idmaps.js';
import { expectRange, type RangeLock, RangePool } from './idPool.js';
import { type IdSpan, idCount, intersect, overlap, without } from './idSpans.js';
import { translate, translateMap } from './translateMap.js';

/** Ids of a range: what an ordinary distribution's users and `nobody` (65534) need. */
export const rangeSize = 65536;

/** Where root takes containers' ids from, unless told otherwise. */
const defaultPool: IdPoolOption = { hostID: 524288, size: 1878458368 };

/** A pool as the `idPool` option has it. */
export interface IdPoolOption {
  hostID: number;
  size: number;
}

/** What a container wants of its id map. */
export interface IdRequest {
  /** It is shown directories of the host whose owners should look right: binds, a directory root. */
  shareHostDirs: boolean;
  /** Maps of its own, in host ids; both or neither. */
  uidMappings?: readonly IdMapping[] | undefined;
  gidMappings?: readonly IdMapping[] | undefined;
  /** Root only. */
  pool?: IdPoolOption | undefined;
}

/**
 * How far the container's ids are apart from those of other containers and of the user:
 * `own-range` no other live container has them; `shared-range` other containers of this user, or
 * the user, may have some of them; `single-id` all are the user.
 */
export type Lateral = 'own-range' | 'shared-range' | 'single-id';

/** A container's id map for as long as it lives. */
export interface IdLease {
  /** In the launcher's ids; for root these are host ids. */
  readonly uidMappings: readonly IdMapping[];
  readonly gidMappings: readonly IdMapping[];
  readonly denySetgroups: boolean;
  readonly lateral: Lateral;
  /** Its container has ended, and its ids are free once `gone` resolves, which never rejects. */
  ending(gone: Promise<void>): void;
  /** To be called once nothing runs with these ids any more; calls after the first do nothing. */
  release(): void;
}

/** What `IdRanges` decides from. */
export interface IdFacts {
  /** Ids that exist in Node's own user namespace, as uids and as gids. */
  readonly uids: readonly IdSpan[];
  readonly gids: readonly IdSpan[];
  /** Subordinate ids of ordinary users, which the default pool stays clear of. */
  readonly reserved: readonly IdSpan[];
  /** Set for an ordinary user: the map of the launcher's own user namespace. */
  readonly launcher?: LauncherMap;
  /** Keeps ranges apart between processes. */
  readonly lock?: RangeLock;
}

/** Chooses the id map of each container; one object per launcher. */
export class IdRanges {
  readonly #facts: IdFacts;
  readonly #pools = new Map<string, RangePool>();

  constructor(facts: IdFacts) {
    this.#facts = facts;
  }

  /**
   * The maps for a new container; release them when it has ended.
   * @throws InvalidSpecError `ERR_INVALID_OPTION` for maps or a pool that cannot be
   * @throws PermissionError `ERR_ID_NOT_OWNED` for ids that are not the user's to give
   * @throws PermissionError `ERR_NO_IDS` when Node is root in a user namespace with no other id
   * @throws UnsupportedError `ERR_ID_POOL_EXHAUSTED` when every range is in use
   */
  acquire(request: IdRequest): IdLease {
    if (request.pool !== undefined && this.#facts.launcher !== undefined) {
      throw invalid('idPool', 'nothing for an ordinary user, whose ids are in /etc/subuid');
    }
    if (request.uidMappings !== undefined || request.gidMappings !== undefined) {
      return this.#explicit(request);
    }
    const { launcher } = this.#facts;
    return launcher === undefined
      ? this.#fromPool(request.pool)
      : this.#forUser(launcher, request.shareHostDirs);
  }

  /**
   * After `acquire` has found every range in use: when one may be back whose container has ended.
   * @returns undefined where none is to be expected
   */
  returning({ pool }: IdRequest): Promise<void> | undefined {
    return this.#pools.get(poolKey(pool))?.returning();
  }

  #explicit({ uidMappings, gidMappings }: IdRequest): IdLease {
    if (uidMappings === undefined) throw invalid('uidMappings', 'a map, as gidMappings is given');
    if (gidMappings === undefined) throw invalid('gidMappings', 'a map, as uidMappings is given');
    const { launcher, uids, gids } = this.#facts;
    const single = launcher !== undefined && launcher.helpers === undefined;
    return lease({
      uidMappings: translateMap('uidMappings', uidMappings, launcher?.uidMappings ?? same(uids)),
      gidMappings: translateMap('gidMappings', gidMappings, launcher?.gidMappings ?? same(gids)),
      denySetgroups: single,
      lateral: single ? 'single-id' : 'shared-range',
    });
  }

  #fromPool(option: IdPoolOption | undefined): IdLease {
    const pool = this.#pool(option);
    const others = [...this.#pools.values()].filter((other) => other !== pool);
    const reserved = option === undefined ? this.#facts.reserved : [];
    const range = pool.take(
      (candidate) =>
        !reserved.some((span) => overlap(span, candidate)) &&
        !others.some((other) => other.holds(candidate)),
    );
    if (range === undefined) throw exhausted();
    return ownRange(pool, range);
  }

  #pool(option: IdPoolOption | undefined): RangePool {
    const key = poolKey(option);
    let pool = this.#pools.get(key);
    if (pool === undefined) {
      const spans = this.#poolSpans(option);
      pool = new RangePool(spans, rangeSize, this.#facts.lock);
      this.#pools.set(key, pool);
    }
    return pool;
  }

  /**
   * Ids that may be given away, of those that exist here and never id 0. In a user namespace
   * without the default pool: ids above those of its own users, or if need be all.
   */
  #poolSpans(option: IdPoolOption | undefined): IdSpan[] {
    const existing = without(intersect(this.#facts.uids, this.#facts.gids), 0);
    if (option !== undefined) {
      checkPool(option);
      const asked = { start: option.hostID, count: option.size };
      if (intersect([asked], existing)[0]?.count !== asked.count) {
        throw invalid('idPool', 'a run of ids of one extent of /proc/self/uid_map', option);
      }
      return [asked];
    }
    if (existing.length === 0) throw noIds();
    const { hostID, size } = defaultPool;
    return (
      [
        { start: hostID, count: size },
        { start: rangeSize, count: idCount - rangeSize },
      ]
        .map((preferred) => intersect([preferred], existing))
        .find((spans) => spans.some((span) => span.count >= rangeSize)) ?? existing
    );
  }

  #forUser(launcher: LauncherMap, shareHostDirs: boolean): IdLease {
    if (launcher.helpers === undefined) {
      const map = [{ containerID: 0, hostID: 0, size: 1 }];
      return lease({
        uidMappings: map,
        gidMappings: map,
        denySetgroups: true,
        lateral: 'single-id',
      });
    }
    const subuids = ids(launcher.uidMappings) - 1;
    const subgids = ids(launcher.gidMappings) - 1;
    if (!shareHostDirs) {
      const pool = this.#userPool(Math.min(subuids, subgids));
      const range = pool?.take();
      if (pool !== undefined && range !== undefined) return ownRange(pool, range, launcher);
      // Ids are shared where there are no others, not where there will be in a moment.
      if (pool?.returning() !== undefined) throw exhausted();
    }
    const map = shareHostDirs ? userFirst : firstBlock;
    return lease({
      uidMappings: cut(map(subuids), launcher.uidMappings),
      gidMappings: cut(map(subgids), launcher.gidMappings),
      denySetgroups: false,
      lateral: 'shared-range',
    });
  }

  /**
   * Whole blocks of subordinate ids but the first, which is for all containers that must share.
   * Without a lock against the user's other processes nothing would be known to be apart.
   */
  #userPool(count: number): RangePool | undefined {
    if (this.#facts.lock === undefined || count < 2 * rangeSize) return undefined;
    let pool = this.#pools.get(poolKey());
    if (pool === undefined) {
      const spans = [{ start: 1 + rangeSize, count: count - rangeSize }];
      pool = new RangePool(spans, rangeSize, this.#facts.lock);
      this.#pools.set(poolKey(), pool);
    }
    return pool;
  }
}

function poolKey(option?: IdPoolOption): string {
  return option === undefined ? '' : JSON.stringify(option);
}

/** Container root is the user: files that it makes in shared directories are the user's. */
function userFirst(subordinate: number): IdMapping {
  return { containerID: 0, hostID: 0, size: Math.min(rangeSize, 1 + subordinate) };
}

/** The user's own id is not in it. */
function firstBlock(subordinate: number): IdMapping {
  return { containerID: 0, hostID: 1, size: Math.min(rangeSize, subordinate) };
}

/** A map in launcher ids, cut at the extents of the launcher's own map. */
function cut(mapping: IdMapping, launcher: readonly IdMapping[]): IdMapping[] {
  const extents = launcher.map((extent) => ({ ...extent, hostID: extent.containerID }));
  return translate('uidMappings', mapping, extents);
}

function ids(mappings: readonly IdMapping[]): number {
  return mappings.reduce((sum, mapping) => sum + mapping.size, 0);
}

function same(spans: readonly IdSpan[]): IdMapping[] {
  return without(spans, 0).map(({ start, count }) => ({
    containerID: start,
    hostID: start,
    size: count,
  }));
}

function ownRange(pool: RangePool, range: IdSpan, launcher?: LauncherMap): IdLease {
  const map = { containerID: 0, hostID: range.start, size: range.count };
  return lease(
    {
      uidMappings: launcher === undefined ? [map] : cut(map, launcher.uidMappings),
      gidMappings: launcher === undefined ? [map] : cut(map, launcher.gidMappings),
      denySetgroups: false,
      lateral: 'own-range',
    },
    { pool, range },
  );
}

function lease(
  maps: Omit<IdLease, 'ending' | 'release'>,
  lent?: { pool: RangePool; range: IdSpan },
): IdLease {
  let held = true;
  return {
    ...maps,
    ending: (gone) => {
      if (held && lent !== undefined) expectRange(gone, lent.range);
    },
    release: () => {
      if (!held) return;
      held = false;
      lent?.pool.give(lent.range);
    },
  };
}

function checkPool(pool: IdPoolOption): void {
  const { hostID, size } = pool;
  for (const [name, value] of Object.entries({ hostID, size })) {
    if (!Number.isInteger(value) || value < 1 || value > idCount) {
      throw invalid(`idPool.${name}`, `an integer from 1 to ${idCount}`, value);
    }
  }
}

function exhausted(): ContainerError {
  return new UnsupportedError('ERR_ID_POOL_EXHAUSTED', 'idPool: every id range is in use', {
    phase: 'idmap',
    option: 'idPool',
    hint: 'end containers, or give a larger pool; in a user namespace without more ids (LXC, Docker, Kubernetes: 65,536), give it a larger map, or let containers share ids by name: uidMappings and gidMappings',
  });
}

function noIds(): ContainerError {
  return new PermissionError('ERR_NO_IDS', 'this user namespace has no id beside its root', {
    phase: 'idmap',
    hint: 'start the surrounding container with a map of more than one id',
  });
}

import { maxExtents } from '../idMap.js';
import type { IdMapping } from '../types.js';
import { integer, list, object, type Rule } from './rule.js';

/** The highest user or group id; 2^32 − 1 means "no id" to the kernel. */
export const maxId = 0xfffffffe;

/** A user or group id. */
export const id: Rule = integer(0, maxId);

const extents = list(
  object<IdMapping>(
    { containerID: id, hostID: id, size: integer(1, maxId + 1) },
    { required: ['containerID', 'hostID', 'size'] },
  ),
  maxExtents,
  1,
);

/**
 * A user namespace's map: 1 to 340 extents that do not overlap on either side and do not run past
 * the last id. Host id 0 is refused: to files and to /proc it would be the host's root.
 */
export const idMappings: Rule = (value, at) => {
  extents(value, at);
  const maps = value as readonly IdMapping[];
  maps.forEach((map, i) => {
    if (map.hostID === 0)
      throw at.index(i).key('hostID').invalid("an id other than 0, the host's root");
    for (const side of ['containerID', 'hostID'] as const) {
      if (map[side] + map.size - 1 > maxId) {
        throw at
          .index(i)
          .key('size')
          .invalid(`an extent that ends at id ${maxId} or below`, map.size);
      }
    }
  });
  for (const side of ['containerID', 'hostID'] as const) {
    const overlapping = firstOverlap(maps, side);
    if (overlapping >= 0) {
      const at1 = at.index(overlapping).key(side);
      throw at1.invalid('an extent that does not overlap another', maps[overlapping]?.[side]);
    }
  }
};

/** Index of an extent that begins inside another one, or −1. */
function firstOverlap(maps: readonly IdMapping[], side: 'containerID' | 'hostID'): number {
  const order = [...maps.keys()].sort((a, b) => (maps[a]?.[side] ?? 0) - (maps[b]?.[side] ?? 0));
  let end = 0;
  for (const index of order) {
    const map = maps[index];
    if (map === undefined || map[side] < end) return index;
    end = map[side] + map.size;
  }
  return -1;
}

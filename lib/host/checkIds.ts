import { InvalidSpecError, invalid } from '../errors.js';
import { isMapped } from '../spec/idMap.js';
import type { IdMapping, SpecUser } from '../spec/types.js';
import type { IdLease } from './idRanges.js';

function check(option: string, id: number, map: readonly IdMapping[]): void {
  if (isMapped(map, id)) return;
  const ids = map.map(({ containerID, size }) =>
    size === 1 ? `${containerID}` : `${containerID}-${containerID + size - 1}`,
  );
  const error = invalid(option, `an id that the container has: ${ids.join(', ')}`, id);
  const single = map.length === 1 && map[0]?.size === 1;
  if (!single) throw error;
  throw new InvalidSpecError(error.code, error.message, {
    option,
    phase: 'options',
    hint: 'a user without subordinate ids has one to give: newuidmap and a range in /etc/subuid and /etc/subgid bring more',
  });
}

/**
 * Whether the program's ids exist in the container's id map.
 * @throws InvalidSpecError naming `uid`, `gid` or `groups`
 */
export function checkIds(
  user: SpecUser,
  { uidMappings, gidMappings }: Pick<IdLease, 'uidMappings' | 'gidMappings'>,
): void {
  check('uid', user.uid, uidMappings);
  check('gid', user.gid, gidMappings);
  for (const [i, gid] of (user.additionalGids ?? []).entries()) {
    check(`groups[${i}]`, gid, gidMappings);
  }
}

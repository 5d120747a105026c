import { idLock } from './idLock.js';
import { type LauncherMap, ownIds } from './idmaps.js';
import type { IdFacts } from './idRanges.js';
import { ownedBy, readSubids } from './subids.js';

/**
 * Reads the facts of this process and host.
 * @param launcher the launcher's map, for an ordinary user
 * @throws PermissionError `ERR_ID_LOCK` when the lock file cannot be used
 */
export function idFacts(launcher?: LauncherMap): IdFacts {
  const root = { uid: 0, name: 'root' };
  const lock = idLock(launcher === undefined);
  return {
    uids: ownIds('uid_map'),
    gids: ownIds('gid_map'),
    reserved: ['/etc/subuid', '/etc/subgid']
      .flatMap((path) => readSubids(path))
      .filter((entry) => !ownedBy(entry, root)),
    ...(launcher === undefined ? {} : { launcher }),
    ...(lock === undefined ? {} : { lock }),
  };
}

import { invalid, PermissionError, show } from '../errors.js';
import { formatIdMap, maxExtents } from '../spec/idMap.js';
import type { IdMapping } from '../spec/types.js';
import { maxMapBytes } from './idmaps.js';
import { idCount, overlap } from './idSpans.js';

/** Which of the two lists of a spec a map is. */
export type MapOption = 'uidMappings' | 'gidMappings';

/**
 * Checks a map that the user wrote and translates its host ids into the launcher's ids.
 * @param owned the host ids that may be used: `hostID` as the user writes it, `containerID` what
 *   the launcher calls it
 * @throws InvalidSpecError `ERR_INVALID_OPTION` when the map is not one the kernel can take, holds
 *   host id 0, or leaves container id 0 out (a container is set up as its own root)
 * @throws PermissionError `ERR_ID_NOT_OWNED` when a host id is not the user's
 */
export function translateMap(
  option: MapOption,
  mappings: readonly IdMapping[],
  owned: readonly IdMapping[],
): IdMapping[] {
  if (mappings.length > maxExtents) throw invalid(option, `at most ${maxExtents} extents`);
  mappings.forEach((mapping, index) => {
    checkExtent(`${option}[${index}]`, mapping);
  });
  checkDisjoint(option, mappings, 'containerID');
  checkDisjoint(option, mappings, 'hostID');
  if (!mappings.some((mapping) => mapping.containerID === 0)) {
    throw invalid(option, 'an extent that starts at containerID 0', mappings);
  }
  const translated = mappings.flatMap((mapping, index) =>
    translate(`${option}[${index}]`, mapping, owned),
  );
  if (translated.length > maxExtents || formatIdMap(translated).length > maxMapBytes) {
    throw invalid(option, `a map of at most ${maxExtents} extents and ${maxMapBytes} bytes`);
  }
  return translated;
}

function checkExtent(option: string, mapping: IdMapping): void {
  const { containerID, hostID, size } = mapping;
  for (const [name, value, least] of [
    ['containerID', containerID, 0],
    ['hostID', hostID, 0],
    ['size', size, 1],
  ] as const) {
    if (!Number.isInteger(value) || value < least || value > idCount) {
      throw invalid(`${option}.${name}`, `an integer from ${least} to ${idCount}`, value);
    }
  }
  if (containerID + size > idCount || hostID + size > idCount) {
    throw invalid(option, `ids up to ${idCount - 1}`, mapping);
  }
  if (hostID === 0) throw invalid(`${option}.hostID`, 'an id other than host id 0', hostID);
}

function checkDisjoint(
  option: string,
  mappings: readonly IdMapping[],
  side: 'containerID' | 'hostID',
): void {
  const spans = mappings.map((m) => ({ start: m[side], count: m.size }));
  spans.sort((a, b) => a.start - b.start);
  for (let i = 1; i < spans.length; i++) {
    const [a, b] = [spans[i - 1], spans[i]];
    if (a !== undefined && b !== undefined && overlap(a, b)) {
      throw invalid(option, `no ${side} twice`, mappings);
    }
  }
}

/**
 * One extent in the launcher's ids, cut where the owned ids are: the kernel takes an extent only if
 * it lies in one extent of the parent's map.
 * @param option the extent's name in a message
 * @throws PermissionError `ERR_ID_NOT_OWNED`
 */
export function translate(
  option: string,
  mapping: IdMapping,
  owned: readonly IdMapping[],
): IdMapping[] {
  const pieces: IdMapping[] = [];
  let done = 0;
  while (done < mapping.size) {
    const id = mapping.hostID + done;
    const home = owned.find((o) => id >= o.hostID && id < o.hostID + o.size);
    if (home === undefined) throw notOwned(option, mapping, id);
    const offset = id - home.hostID;
    const size = Math.min(mapping.size - done, home.size - offset);
    pieces.push({
      containerID: mapping.containerID + done,
      hostID: home.containerID + offset,
      size,
    });
    done += size;
  }
  return pieces;
}

function notOwned(option: string, mapping: IdMapping, id: number): PermissionError {
  return new PermissionError(
    'ERR_ID_NOT_OWNED',
    `${option}: host id ${id} of ${show(mapping)} is not this user's`,
    {
      phase: 'idmap',
      option,
      hint: 'allowed are the own id and those of /etc/subuid and /etc/subgid, if newuidmap is there',
    },
  );
}

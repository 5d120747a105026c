import type { IdMapping } from './types.js';

/** Most extents of a map since Linux 4.15: UID_GID_MAP_MAX_EXTENTS. @see user_namespaces(7) */
export const maxExtents = 340;

/** The text of a map as the kernel reads it: `containerID hostID size` lines. */
export function formatIdMap(mappings: readonly IdMapping[]): string {
  return mappings.map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join('');
}

/** Whether a map gives the container's id a counterpart outside. */
export function isMapped(maps: readonly IdMapping[], containerId: number): boolean {
  return maps.some(
    (map) => containerId >= map.containerID && containerId < map.containerID + map.size,
  );
}

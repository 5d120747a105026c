import { annotation } from './annotations.js';
import { namespaceMode } from './namespaces.js';
import type { Spec } from './types.js';

/** Where a container's root comes from; `'joined'`: it lives in a mount namespace that exists. */
export type RootKind = 'host' | 'directory' | 'overlay' | 'joined';

/** The kind of root a spec asks for. */
export function rootKind(spec: Spec): RootKind {
  if (namespaceMode(spec.linux.namespaces, 'mount') !== 'new') return 'joined';
  const word = spec.annotations?.[annotation.rootfs];
  return word === 'host' || word === 'overlay' ? word : 'directory';
}

/** The directories of an overlay, first on top; sizes in bytes. */
export interface OverlayLayers {
  lower: readonly string[];
  upper?: string;
  work?: string;
  /** Bytes of the upper layer in memory, where it is not kept. */
  size?: number;
}

/** The overlay that a spec's annotation describes. */
export function overlayLayers(spec: Spec): OverlayLayers {
  return JSON.parse(spec.annotations?.[annotation.overlay] ?? '{"lower":[]}') as OverlayLayers;
}

/** Whether a path is a directory's own or below it; both absolute and normal. */
export function isWithin(path: string, directory: string): boolean {
  return directory === '/' || path === directory || path.startsWith(`${directory}/`);
}

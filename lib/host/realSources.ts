import { realpathSync } from 'node:fs';
import { annotation } from '../spec/annotations.js';
import { overlayLayers, rootKind } from '../spec/rootKind.js';
import { isBind, layersOf } from '../spec/rules/mounts.js';
import type { Spec, SpecMount } from '../spec/types.js';

/** What is missing keeps its name, by which `checkSources` refuses it. */
function real(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** Layers are separated by ':', so a path that holds one cannot stand among them. */
function realLayer(path: string): string {
  const resolved = real(path);
  return resolved.includes(':') ? path : resolved;
}

function realMount(mount: SpecMount): SpecMount {
  if (isBind(mount)) return { ...mount, source: real(mount.source ?? '') };
  if (mount.type !== 'overlay') return mount;
  const options = (mount.options ?? []).map((word) => {
    const layers = layersOf(word);
    return layers === undefined ? word : `${layers.key}=${layers.paths.map(realLayer).join(':')}`;
  });
  return { ...mount, options };
}

function realOverlay(spec: Spec): Spec['annotations'] {
  const { upper, work, ...rest } = overlayLayers(spec);
  const layers = {
    ...rest,
    lower: rest.lower.map(real),
    ...(upper !== undefined && { upper: real(upper) }),
    ...(work !== undefined && { work: real(work) }),
  };
  return { ...spec.annotations, [annotation.overlay]: JSON.stringify(layers) };
}

/**
 * The spec with every host path resolved. What is checked is then what is mounted: the launcher
 * follows no link on the way to a source, so whoever may write to a directory above it (another
 * container that shares a volume) cannot put a link in its place after the check.
 */
export function realSources<S extends Spec>(spec: S): S {
  const kind = rootKind(spec);
  return {
    ...spec,
    ...(kind === 'directory' &&
      spec.root && { root: { ...spec.root, path: real(spec.root.path) } }),
    ...(kind === 'overlay' && { annotations: realOverlay(spec) }),
    ...(spec.mounts && { mounts: spec.mounts.map(realMount) }),
  };
}

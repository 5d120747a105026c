import { InvalidSpecError } from '../../errors.js';
import { mountName } from '../../spec/rules/mounts.js';
import type { Spec, SpecMount } from '../../spec/types.js';

/**
 * Whether the container may change the attributes of its own mounts, and so make a read-only mount
 * of a writable host file system writable: the kernel locks attributes only against the namespaces
 * below (mount_namespaces(7)). A file system that is read-only itself, such as an overlay without
 * an upper layer, stays what it is.
 */
export function mayRemount(spec: Spec): boolean {
  const sets = Object.values(spec.process?.capabilities ?? {}) as (readonly string[] | undefined)[];
  return sets.some((set) => set?.includes('CAP_SYS_ADMIN') === true);
}

/**
 * Refuses a read-only bind that the container could make writable.
 * @throws InvalidSpecError `ERR_READONLY_NOT_ENFORCED`, unless its options say `dangerous`
 */
export function checkStaysReadonly(spec: Spec, mount: SpecMount): void {
  if (!mayRemount(spec) || mount.options?.includes('dangerous') === true) return;
  const option = `${mountName(mount)}.options`;
  throw new InvalidSpecError(
    'ERR_READONLY_NOT_ENFORCED',
    `${option}: expected no CAP_SYS_ADMIN beside a read-only bind, which it could make writable`,
    {
      phase: 'mount',
      option,
      hint: "drop the capability, use an overlay without upperdir, or add 'dangerous'",
    },
  );
}

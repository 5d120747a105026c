import { readFileSync } from 'node:fs';

/** Identity of this boot; empty where the host does not say. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return '';
  }
}

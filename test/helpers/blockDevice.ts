import { readdirSync, statSync } from 'node:fs';

/** A block device to limit, by path. */
export function blockDevicePath(): string | undefined {
  return readdirSync('/sys/block')
    .map((name) => `/dev/${name}`)
    .find((path) => statSync(path, { throwIfNoEntry: false })?.isBlockDevice());
}

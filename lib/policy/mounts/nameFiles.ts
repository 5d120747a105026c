import { bytes } from '../../plan/steps.js';
import type { Spec } from '../../spec/types.js';
import type { Facts } from '../facts.js';

/** A file of /etc that tells the container its own names. */
export interface NameFile {
  /** `'hosts'` for /etc/hosts. */
  name: string;
  data: Uint8Array;
}

/**
 * What the root's own files would say wrongly, the host's as well as an image's: they name another
 * host and its name servers (hosts(5), resolv.conf(5)).
 */
export function nameFiles({ hostname }: Spec, facts: Facts): NameFile[] {
  const own = hostname === undefined ? '' : `127.0.1.1\t${hostname}\n`;
  const files = [
    { name: 'hosts', data: bytes(`127.0.0.1\tlocalhost\n::1\tlocalhost\n${own}`) },
    { name: 'resolv.conf', data: bytes(facts.resolvConf ?? '# no network\n') },
  ];
  if (hostname !== undefined) files.unshift({ name: 'hostname', data: bytes(`${hostname}\n`) });
  return files;
}

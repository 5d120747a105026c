import type { NamespaceType } from '../types.js';
import type { Place } from './place.js';
import { type Rule, record } from './rule.js';
import { checkText } from './text.js';

/**
 * The namespace that keeps a value of its own for a sysctl, or `undefined` when the setting is the
 * whole host's, or cannot be told from a path.
 * @see https://www.kernel.org/doc/html/latest/admin-guide/sysctl/
 */
function sysctlNamespace(name: string): NamespaceType | undefined {
  if (!/^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$/.test(name)) return undefined;
  if (name.startsWith('net.')) return 'network';
  if (/^kernel\.(shm[a-z_]*|msg[a-z_]*|sem)$/.test(name)) return 'ipc';
  return name.startsWith('fs.mqueue.') ? 'ipc' : undefined;
}

const sysctlName: Rule = (value, at) => {
  checkText(value, at);
  if (sysctlNamespace(value) === undefined) {
    throw at.invalid('net.*, kernel.shm*, kernel.msg*, kernel.sem or fs.mqueue.*', value);
  }
};

const sysctlValue: Rule = (value, at) => {
  checkText(value, at);
  // The kernel takes one page; a second line would be a second setting to some of its parsers.
  if (/[\r\n]/.test(value) || Buffer.byteLength(value) > 4095) {
    throw at.invalid('one line of at most 4095 bytes', value);
  }
};

/** Sysctls that have a value per namespace, by dotted name. */
export const sysctls: Rule = record(sysctlName, sysctlValue);

/** Throws for the first sysctl whose namespace is not the container's own. */
export function checkSysctlNamespaces(
  given: Readonly<Record<string, string>>,
  isNew: (type: NamespaceType) => boolean,
  at: Place,
): void {
  for (const name of Object.keys(given)) {
    const type = sysctlNamespace(name);
    if (type !== undefined && !isNew(type)) {
      throw at.key(name).invalid(`a new ${type} namespace to set it in`);
    }
  }
}

import { closeSync, constants, openSync, readlinkSync } from 'node:fs';
import { invalid, NotFoundError } from '../errors.js';
import { namespaceFile, namespaceOption } from '../spec/namespaces.js';
import type { NamespaceType, Spec } from '../spec/types.js';

/**
 * Opens the namespaces that a spec joins.
 * @returns descriptors by the spec's path, which the caller closes
 * @throws NotFoundError `ERR_NAMESPACE_NOT_FOUND` for what cannot be opened
 * @throws InvalidSpecError for a file that is no such namespace, and for the host's own mounts
 */
export function openNamespaces(spec: Spec): Map<string, number> {
  const opened = new Map<string, number>();
  try {
    for (const { type, path } of spec.linux.namespaces) {
      if (path === undefined) continue;
      const fd = opened.get(path) ?? openNamespace(type, path);
      opened.set(path, fd);
      checkKind(fd, type, path);
    }
  } catch (error) {
    for (const fd of opened.values()) closeSync(fd);
    throw error;
  }
  return opened;
}

function openNamespace(type: NamespaceType, path: string): number {
  try {
    // Nonblocking: a FIFO would wait for a writer, and this process with it.
    return openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (cause) {
    const option = namespaceOption(type);
    const text = `${option}: cannot open ${path}`;
    throw new NotFoundError('ERR_NAMESPACE_NOT_FOUND', text, { option, path, cause });
  }
}

/** The link of an open namespace is its kind and inode: `net:[4026531840]`. */
function checkKind(fd: number, type: NamespaceType, path: string): void {
  const option = namespaceOption(type);
  const file = namespaceFile(type);
  const link = readlinkSync(`/proc/self/fd/${fd}`);
  if (!link.startsWith(`${file}:[`)) {
    throw invalid(option, `a namespace such as /proc/<pid>/ns/${file}`, path);
  }
  if (type === 'mount' && link === readlinkSync('/proc/self/ns/mnt'))
    throw invalid(option, "another mount namespace than the host's, by any name", path);
}

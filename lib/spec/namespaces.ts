import type { ContainerOptions, NamespaceChoice, NamespaceOptions } from '../options.js';
import type { NamespaceType, SpecNamespace } from './types.js';

interface Kind {
  type: NamespaceType;
  option: keyof NamespaceOptions;
  /** Name below /proc/<pid>/ns. @see namespaces(7) */
  file: string;
}

const kinds: readonly Kind[] = [
  { type: 'user', option: 'user', file: 'user' },
  { type: 'pid', option: 'pid', file: 'pid' },
  { type: 'mount', option: 'mount', file: 'mnt' },
  { type: 'network', option: 'net', file: 'net' },
  { type: 'ipc', option: 'ipc', file: 'ipc' },
  { type: 'uts', option: 'uts', file: 'uts' },
  { type: 'cgroup', option: 'cgroup', file: 'cgroup' },
  { type: 'time', option: 'time', file: 'time' },
];

/** Every type, in the order that specs list them. */
export const namespaceTypes: readonly NamespaceType[] = kinds.map(({ type }) => type);

/** What the options call a namespace type, dotted. */
export function namespaceOption(type: NamespaceType): string {
  return `namespaces.${kindOf(type).option}`;
}

/** What the kernel calls it: its file in /proc/<pid>/ns, and its name in links to one. */
export function namespaceFile(type: NamespaceType): string {
  return kindOf(type).file;
}

function kindOf(type: NamespaceType): Kind {
  return kinds.find((kind) => kind.type === type) as Kind;
}

/** The namespaces that the options ask for: all new but time, unless said otherwise. */
export function namespacesFromOptions(options: ContainerOptions): SpecNamespace[] {
  const choices: NamespaceOptions = options.namespaces ?? {};
  return kinds.flatMap(({ type, option, file }): SpecNamespace[] => {
    const choice = choices[option] ?? defaultChoice(type, options);
    if (choice === 'host') return [];
    if (choice === 'new') return [{ type }];
    return [{ type, path: 'path' in choice ? choice.path : `/proc/${choice.pid}/ns/${file}` }];
  });
}

function defaultChoice(type: NamespaceType, options: ContainerOptions): NamespaceChoice {
  if (type === 'time') return 'host';
  return type === 'network' && options.network === 'host' ? 'host' : 'new';
}

/** How a spec has a namespace: a new one, one to join, or (not listed) the host's. */
export function namespaceMode(
  namespaces: readonly SpecNamespace[],
  type: NamespaceType,
): 'new' | 'join' | 'host' {
  const namespace = namespaces.find((candidate) => candidate.type === type);
  if (namespace === undefined) return 'host';
  return namespace.path === undefined ? 'new' : 'join';
}

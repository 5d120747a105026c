import { suggest } from '../suggest.js';
import type { SpecMount } from '../types.js';
import { idMappings } from './ids.js';
import type { Place } from './place.js';
import { list, object, oneOf, type Rule } from './rule.js';
import { absolutePath, anyPath, text } from './text.js';

const mountTypes = [
  'bind',
  'none',
  'tmpfs',
  'proc',
  'sysfs',
  'devpts',
  'mqueue',
  'cgroup',
  'cgroup2',
  'overlay',
] as const;

/**
 * What a bind mount can be told. Propagation is private whatever is said, so that no mount of the
 * container reaches the host; `shared` and `slave` are therefore not among them.
 */
const bindOptions = [
  'bind',
  'rbind',
  'ro',
  'rro',
  'rw',
  'suid',
  'nosuid',
  'dev',
  'nodev',
  'exec',
  'noexec',
  'atime',
  'noatime',
  'diratime',
  'nodiratime',
  'relatime',
  'norelatime',
  'strictatime',
  'nostrictatime',
  'symfollow',
  'nosymfollow',
  'private',
  'rprivate',
  'idmap',
  'ridmap',
  // The host side refuses sources that hand the host over, unless this word is there.
  'dangerous',
] as const;

/** Words that would let mounts travel between container and host. */
const propagation = ['shared', 'rshared', 'slave', 'rslave', 'unbindable', 'runbindable'];

const shape = object<SpecMount>(
  {
    destination: absolutePath,
    type: oneOf(...mountTypes),
    source: anyPath,
    options: list(text(), 1000),
    uidMappings: idMappings,
    gidMappings: idMappings,
  },
  { required: ['destination'] },
);

/** A mount in OCI form; a bind's source may still be relative. */
export const mount: Rule = (value, at) => {
  shape(value, at);
  const given = value as SpecMount;
  checkDestination(given, at.key('destination'));
  if (isBind(given)) checkBind(given, at);
  else if (given.type === undefined || given.type === 'none') {
    throw at.key('type').invalid(`one of ${mountTypes.join(', ')}`, given.type);
  }
  given.options?.forEach((word, i) => {
    if (propagation.includes(word))
      throw at.key('options').index(i).invalid("'private' propagation", word);
  });
  if ((given.uidMappings === undefined) !== (given.gidMappings === undefined)) {
    throw at.invalid('uidMappings and gidMappings together');
  }
};

/** A mount in OCI form whose source, if it is a bind, is absolute. */
export const resolvedMount: Rule = (value, at) => {
  mount(value, at);
  const given = value as SpecMount;
  if (isBind(given)) absolutePath(given.source, at.key('source'));
};

/** Whether a mount is a bind: by its type, or by OCI's older way, by its options. */
export function isBind(given: SpecMount): boolean {
  if (given.type === 'bind') return true;
  const typeless = given.type === undefined || given.type === 'none';
  return typeless && (given.options ?? []).some((word) => word === 'bind' || word === 'rbind');
}

/** What is mounted: `'bind'` however it was written, else the type. */
export function mountType(given: SpecMount): string {
  return isBind(given) ? 'bind' : (given.type ?? 'none');
}

/** A mount's name in errors. Its index would mislead: the default mounts come before a person's. */
export function mountName({ destination }: SpecMount): string {
  return `mounts[${destination}]`;
}

/** The directories of an overlay that one of its options names, and which; of others undefined. */
export function layersOf(option: string): { key: string; paths: string[] } | undefined {
  const [, key, paths] = /^(lowerdir|upperdir|workdir)=(.*)$/s.exec(option) ?? [];
  return key === undefined || paths === undefined ? undefined : { key, paths: paths.split(':') };
}

function checkDestination(given: SpecMount, at: Place): void {
  const parts = given.destination.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.length === 0)
    throw at.invalid("a path below '/'; the root is `rootfs`", given.destination);
  // Below /proc a mount could stand in for the files through which walls are written and read back.
  if (parts[0] === 'proc' && !(parts.length === 1 && given.type === 'proc')) {
    throw at.invalid("a path outside /proc, or type 'proc' at /proc", given.destination);
  }
}

function checkBind(given: SpecMount, at: Place): void {
  if (given.source === undefined) throw at.key('source').invalid('the path to bind');
  given.options?.forEach((word, i) => {
    if (propagation.includes(word) || bindOptions.some((known) => known === word)) return;
    const meant = suggest(word, bindOptions);
    const near = meant === undefined ? '' : `, perhaps '${meant}'`;
    throw at.key('options').index(i).invalid(`an option of bind mounts${near}`, word);
  });
}

import { posix } from 'node:path';
import { invalid } from '../errors.js';
import { isBind, layersOf } from './rules/mounts.js';
import type { SpecMount } from './types.js';

/** A tmpfs is half of the machine's memory and endless files unless it is told otherwise. */
export const tmpfsBounds = ['size=64m', 'nr_inodes=16k'] as const;

/**
 * docker's `source:destination[:option,…]` as an OCI bind mount. The source must begin with `/`,
 * `./` or `../`: a bare name would be a volume to docker, and there are no volumes here.
 * @param option dotted name of the option, for the error
 * @throws InvalidSpecError when the text has another form
 */
export function parseMountString(option: string, text: string): SpecMount {
  const [source = '', destination = '', words, ...rest] = text.split(':');
  if (source === '' || destination === '' || words === '' || rest.length > 0) {
    throw invalid(option, "'source:destination' or 'source:destination:option,…'", text);
  }
  if (!/^(\/|\.\.?(\/|$))/.test(source)) {
    throw invalid(option, "a source that begins with '/', './' or '../'", text);
  }
  return { destination, type: 'bind', source, options: words?.split(',') ?? [] };
}

/**
 * A mount as a person wrote it, made complete: relative sources of binds and relative layers of
 * overlays are taken from `cwd`; binds are recursive, nosuid and nodev, and every tmpfs is nosuid,
 * nodev and bounded, unless the options say otherwise.
 * @param option dotted name of the option, for the error
 * @param cwd absolute
 */
export function mountFromOption(option: string, given: SpecMount | string, cwd: string): SpecMount {
  const mount = typeof given === 'string' ? parseMountString(option, given) : given;
  const destination = posix.resolve('/', mount.destination);
  const options = mount.options ?? [];
  if (isBind(mount)) {
    const source = posix.resolve(cwd, mount.source ?? '');
    return { ...mount, destination, type: 'bind', source, options: bindOptions(options) };
  }
  if (mount.type === 'tmpfs') return { ...mount, destination, options: tmpfsOptions(options) };
  if (mount.type === 'overlay') {
    return { ...mount, destination, options: options.map((word) => resolveLayers(word, cwd)) };
  }
  return { ...mount, destination };
}

function bindOptions(given: readonly string[]): string[] {
  return [...unlessGiven(given, 'rbind', 'bind'), ...safeFlags(given), ...given];
}

function tmpfsOptions(given: readonly string[]): string[] {
  const bounds = tmpfsBounds.filter((bound) => {
    const [name] = bound.split('=');
    return !given.some((word) => word.startsWith(`${name}=`));
  });
  return [...safeFlags(given), ...given, ...bounds];
}

function safeFlags(given: readonly string[]): string[] {
  return [...unlessGiven(given, 'nosuid', 'suid'), ...unlessGiven(given, 'nodev', 'dev')];
}

function unlessGiven(given: readonly string[], word: string, opposite: string): string[] {
  return given.includes(word) || given.includes(opposite) ? [] : [word];
}

function resolveLayers(word: string, cwd: string): string {
  const layers = layersOf(word);
  if (layers === undefined) return word;
  return `${layers.key}=${layers.paths.map((path) => posix.resolve(cwd, path)).join(':')}`;
}

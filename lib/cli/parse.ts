import { constants } from 'node:os';
import { InvalidArgumentError } from 'commander';
import type { LogLimits, SpecMount } from '../index.js';

/**
 * What the texts of options mean. All are pure, and throw commander's InvalidArgumentError, which
 * commander prints behind the option's name and the text.
 */

function wrong(expected: string): InvalidArgumentError {
  return new InvalidArgumentError(`Expected ${expected}.`);
}

/** A decimal number, `.5` too; what range it may have is for the library to say. */
export function parseNumber(text: string): number {
  if (!/^-?(\d+(\.\d*)?|\.\d+)$/.test(text)) throw wrong('a number');
  return Number(text);
}

/** `true` or `false`, as docker takes them behind `=`. */
export function parseBoolean(text: string): boolean {
  if (text !== 'true' && text !== 'false') throw wrong("'true' or 'false'");
  return text === 'true';
}

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** ms: a plain number, or with a unit as in `500ms`, `5s`, `1.5m`, `1h`. */
export function parseDuration(text: string): number {
  const [, digits, unit = 'ms'] = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text) ?? [];
  if (digits === undefined) throw wrong("ms, or a time such as '500ms', '5s', '2m', '1h'");
  return Number(digits) * (unitMs[unit] ?? 1);
}

/** `--stop-timeout`: seconds as ms; docker's -1 is for ever. */
export function parseStopTimeout(text: string): number | false {
  if (text === '-1') return false;
  if (!/^\d+$/.test(text)) throw wrong('whole seconds, or -1 to wait for ever');
  return Number(text) * 1000;
}

/** A signal as `SIGTERM`, `TERM` or its number. */
export function parseSignal(text: string): NodeJS.Signals | number {
  if (/^\d+$/.test(text)) return Number(text);
  const name = text.startsWith('SIG') ? text : `SIG${text}`;
  if (!Object.hasOwn(constants.signals, name)) throw wrong("a signal such as 'SIGTERM' or 15");
  return name as NodeJS.Signals;
}

/** `KEY=value`; the value may be empty and hold more `=`. */
export function parsePair(text: string): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at <= 0) throw wrong("'key=value'");
  return [text.slice(0, at), text.slice(at + 1)];
}

/** `--label`: `name=value`, or a name alone, whose value is then empty. */
export function parseLabel(text: string): [name: string, value: string] {
  if (text.includes('=')) return parsePair(text);
  if (text === '') throw wrong("'name=value' or 'name'");
  return [text, ''];
}

/** docker's `--log-opt` of its file drivers: `max-size=10m`, `max-file=3`. */
export function parseLogOption(text: string): LogLimits {
  const [name, value] = parsePair(text);
  if (name === 'max-size') return { maxSize: value };
  if (name === 'max-file') return { maxFiles: parseNumber(value) };
  throw wrong("'max-size=…' or 'max-file=…'");
}

type Environment = Readonly<Record<string, string | undefined>>;

/** `KEY=value`, or `KEY` for the value in `host`; undefined where that has none, as docker. */
export function parseVariable(text: string, host: Environment): [string, string] | undefined {
  if (text.includes('=')) return parsePair(text);
  if (text === '') throw wrong("'KEY=value' or 'KEY'");
  const value = host[text];
  return value === undefined ? undefined : [text, value];
}

/**
 * docker's env file: a variable a line, as `-e` takes it, without any quoting; empty lines and
 * lines that begin with `#` are left out.
 */
export function parseEnvFile(text: string, host: Environment): [string, string][] {
  return text.split(/\r?\n/).flatMap((line) => {
    const trimmed = line.trimStart();
    if (trimmed === '' || trimmed.startsWith('#')) return [];
    const variable = parseVariable(trimmed, host);
    return variable === undefined ? [] : [variable];
  });
}

/** `nofile=1024` or `nofile=1024:2048` (soft:hard); -1 and `unlimited` are no limit. */
export function parseUlimit(text: string): [name: string, limits: [number, number]] {
  const [, name = '', soft, hard = soft] =
    /^([a-z]+)=(-1|\d+|unlimited)(?::(-1|\d+|unlimited))?$/.exec(text) ?? [];
  if (soft === undefined || hard === undefined) throw wrong("'name=soft' or 'name=soft:hard'");
  const number = (word: string) => (/^\d+$/.test(word) ? Number(word) : Number.POSITIVE_INFINITY);
  return [`RLIMIT_${name.toUpperCase()}`, [number(soft), number(hard)]];
}

/** `PATH` or `PATH:option,…`, as `docker --tmpfs`. */
export function parseTmpfs(text: string): SpecMount {
  const [destination = '', words, ...rest] = text.split(':');
  if (!destination.startsWith('/') || words === '' || rest.length > 0)
    throw wrong("'/path' or '/path:option,…'");
  return { destination, type: 'tmpfs', source: 'tmpfs', options: words?.split(',') ?? [] };
}

/** The fields of a line of CSV (RFC 4180): in quotes a field may hold commas, and `""` a quote. */
export function parseCsv(line: string): string[] {
  if (!/^("([^"]|"")+"|[^",]+)(,("([^"]|"")+"|[^",]+))*$/.test(line))
    throw wrong('fields with commas between, and quotes in pairs');
  const fields = line.matchAll(/(?:^|,)(?:"((?:[^"]|"")+)"|([^",]+))/g);
  return [...fields].map(([, quoted, plain = '']) => quoted?.replaceAll('""', '"') ?? plain);
}

const longNames: Readonly<Record<string, string>> = {
  src: 'source',
  dst: 'target',
  destination: 'target',
  ro: 'readonly',
};
const mountKeys: Readonly<Record<string, readonly string[]>> = {
  bind: ['source', 'readonly', 'bind-propagation'],
  tmpfs: ['readonly', 'tmpfs-size', 'tmpfs-mode'],
};

/** docker's `--mount`: `type=bind,source=…,target=…,readonly` or `type=tmpfs,target=…`. */
export function parseMount(text: string): SpecMount {
  const given = new Map(
    parseCsv(text).map((field): [string, string] => {
      const [key = '', ...value] = field.split('=');
      return [longNames[key] ?? key, value.length === 0 ? 'true' : value.join('=')];
    }),
  );
  const type = given.get('type') ?? '';
  const known = mountKeys[type];
  if (known === undefined) throw wrong("'type=bind' or 'type=tmpfs' (there are no volumes)");
  const destination = given.get('target');
  if (destination === undefined || !destination.startsWith('/'))
    throw wrong("an absolute path as 'target='");
  const extra = [...given.keys()].find((key) => !['type', 'target', ...known].includes(key));
  if (extra !== undefined)
    throw wrong(`no '${extra}' with type=${type}, but type, target, ${known.join(', ')}`);
  const options = mountOptions(given);
  if (type === 'tmpfs') return { destination, type, source: 'tmpfs', options };
  const source = given.get('source');
  if (source === undefined) throw wrong("the path to bind as 'source='");
  return { destination, type, source, options };
}

function mountOptions(given: ReadonlyMap<string, string>): string[] {
  const options = parseBoolean(given.get('readonly') ?? 'false') ? ['ro'] : [];
  const propagation = given.get('bind-propagation');
  if (propagation !== undefined) options.push(propagation);
  for (const name of ['size', 'mode']) {
    const value = given.get(`tmpfs-${name}`);
    if (value !== undefined) options.push(`${name}=${value}`);
  }
  return options;
}

/** What one `--security-opt` says. */
export type SecurityOption =
  | { seccomp: string }
  | { apparmor: string }
  | { noNewPrivileges: boolean };

/** docker's `name=value` or `name:value`; `no-new-privileges` may stand alone. */
export function parseSecurityOption(text: string): SecurityOption {
  const [, name, value = ''] = /^([a-z-]+)(?:[=:](.+))?$/s.exec(text) ?? [];
  if (name === 'no-new-privileges') return { noNewPrivileges: parseBoolean(value || 'true') };
  if (name === 'seccomp' && value !== '') return { seccomp: value };
  if (name === 'apparmor' && value !== '') return { apparmor: value };
  throw wrong("'seccomp=FILE', 'seccomp=unconfined', 'no-new-privileges=…' or 'apparmor=…'");
}

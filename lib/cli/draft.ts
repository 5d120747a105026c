import { readFileSync } from 'node:fs';
import { InvalidArgumentError } from 'commander';
import type { Limits, LogLimits, RunOptions } from '../index.js';
import { parseSecurityOption } from './parse.js';

/** What the command line has said so far; `toRunOptions` makes the library's options of it. */
export interface Draft {
  interactive: boolean;
  tty: boolean;
  noLimits: boolean;
  limits: Limits;
  /** A size of memory and swap together; `'-1'` is no limit. */
  memorySwap?: string;
  cpuShares?: number;
  overlay: string[];
  capAdd: string[];
  capDrop: string[];
  env: Map<string, string>;
  envFile: Map<string, string>;
  /** `run -d` and `exec -d`. */
  detach: boolean;
  /** `run -d`: the container's id, labels, and how much of its output is kept. */
  name?: string;
  labels: Map<string, string>;
  logs: LogLimits;
  /** `run --rm`, which means nothing without `-d`. */
  remove: boolean;
  /** Everything that is the library's own option already. */
  options: RunOptions;
}

/** A command line that has said nothing. */
export function emptyDraft(): Draft {
  return {
    interactive: false,
    tty: false,
    noLimits: false,
    limits: {},
    overlay: [],
    capAdd: [],
    capDrop: [],
    env: new Map(),
    envFile: new Map(),
    detach: false,
    labels: new Map(),
    logs: {},
    remove: false,
    options: {},
  };
}

/** Where the value of a flag goes. */
export interface Setter {
  /** The library's option that it is, where it is one by itself; errors then name the flag. */
  sets?: string;
  apply(draft: Draft, text: string): void;
}

/** The flag is an option of the library. */
export function option<Key extends keyof RunOptions>(
  key: Key,
  parse: (text: string) => NonNullable<RunOptions[Key]>,
): Setter {
  return {
    sets: key,
    apply({ options }, text) {
      options[key] = parse(text);
    },
  };
}

/** The flag is one of the library's limits. */
export function limit<Key extends keyof Limits>(
  key: Key,
  parse: (text: string) => NonNullable<Limits[Key]>,
): Setter {
  return {
    sets: `limits.${key}`,
    apply({ limits }, text) {
      limits[key] = parse(text);
    },
  };
}

/** Each use of the flag adds an entry to a table of the library's. */
export function entry<Value>(
  key: 'annotations' | 'rlimits' | 'sysctl',
  parse: (text: string) => [name: string, value: Value],
): Setter {
  return {
    apply({ options }, text) {
      const [name, value] = parse(text);
      Object.assign(options, { [key]: { ...options[key], [name]: value } });
    },
  };
}

/** Each use of the flag adds a mount. */
export function mount(parse: (text: string) => NonNullable<RunOptions['mounts']>[number]): Setter {
  return {
    apply({ options }, text) {
      options.mounts = [...(options.mounts ?? []), parse(text)];
    },
  };
}

/** The flag says something of the draft itself. */
export function note(apply: (draft: Draft, text: string) => void): Setter {
  return { apply };
}

/** The text of a file that the command line names. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

function readProfile(path: string): Record<string, unknown> {
  const text = readText(path);
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`${path}: ${(error as Error).message}`);
  }
}

/** `--security-opt`, which is several options of the library's. */
export function setSecurity({ options }: Draft, text: string): void {
  const said = parseSecurityOption(text);
  if ('noNewPrivileges' in said) options.noNewPrivileges = said.noNewPrivileges;
  else if ('apparmor' in said) options.apparmorProfile = said.apparmor;
  else if (said.seccomp === 'unconfined') options.seccomp = said.seccomp;
  else options.seccomp = readProfile(said.seccomp);
}

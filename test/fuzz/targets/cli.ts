import { Command, CommanderError, InvalidArgumentError } from 'commander';
import fc from 'fast-check';
import { toCreateOptions } from '../../../lib/cli/detach.js';
import { parseDetachKeys } from '../../../lib/cli/detachKeys.js';
import type { Draft } from '../../../lib/cli/draft.js';
import { describeError, UsageError } from '../../../lib/cli/errors.js';
import { type FlagGroups, flagGroups, runGroups } from '../../../lib/cli/flags.js';
import { declareOptions, toRunOptions } from '../../../lib/cli/options.js';
import {
  parseCsv,
  parseDuration,
  parseEnvFile,
  parseLabel,
  parseMount,
  parseSecurityOption,
  parseSignal,
  parseTmpfs,
  parseUlimit,
} from '../../../lib/cli/parse.js';
import { ContainerError } from '../../../lib/errors.js';
import { mountFromOption } from '../../../lib/spec/mountString.js';
import { parseSize } from '../../../lib/spec/size.js';
import { createSpecOf, specOf } from '../../../lib/specOf.js';
import { argvSeeds, flagValues } from '../seeds/cli.js';
import { must, orRefusal, target } from '../target.js';
import { textOf } from '../values.js';

const refusals = [CommanderError, InvalidArgumentError, UsageError];
const around = {
  term: 'xterm',
  stdinIsTerminal: true,
  window: () => ({ cols: 80, rows: 24 }),
};

const spellings = Object.values(runGroups)
  .flat()
  .flatMap(({ flags, also }) => [
    ...(flags.match(/--?[a-z-]+/g) ?? []),
    ...Object.keys(also ?? {}),
  ]);
const value = fc.oneof(fc.constantFrom(...flagValues), textOf(flagValues, 3));
const argument = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(fc.constantFrom(...spellings), value) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.constantFrom(...spellings), value).map(([a, b]) => [`${a}=${b}`]),
  },
  { weight: 1, arbitrary: value.map((text) => [text]) },
);
const argv = fc.oneof(
  { weight: 4, arbitrary: fc.array(argument, { maxLength: 8 }).map((list) => list.flat()) },
  { weight: 1, arbitrary: fc.constantFrom(...argvSeeds) },
);

/** What a command line has said, as `ringfort run` takes it. */
function parse(words: readonly string[], groups: FlagGroups): Draft {
  const silent = { writeOut: () => {}, writeErr: () => {}, outputError: () => {} };
  const command = new Command('run')
    .argument('[program]')
    .argument('[arguments...]')
    .passThroughOptions()
    .exitOverride()
    .configureOutput(silent);
  const draft = declareOptions(command, groups);
  command.parse(words, { from: 'user' });
  return draft;
}

/** An error has words for the user: one line, and a second one with advice. */
function inWords<T>(body: () => T): T | undefined {
  return orRefusal(() => {
    try {
      return body();
    } catch (error) {
      if (error instanceof ContainerError)
        must(/^ringfort: .+\n/.test(describeError(error)), 'words');
      throw error;
    }
  }, refusals);
}

function checkLine(words: readonly string[]): void {
  inWords(() => specOf('box', 'true', [], toRunOptions(parse(words, flagGroups), around)));
  inWords(() => createSpecOf('box', toCreateOptions(parse(words, runGroups), around, ['true'])));
}

const parsers: Readonly<Record<string, (text: string) => unknown>> = {
  parseCsv,
  parseDuration,
  parseLabel,
  parseMount,
  parseSecurityOption,
  parseSignal,
  parseTmpfs,
  parseUlimit,
  parseDetachKeys,
  parseEnvFile: (text) => parseEnvFile(text, { HOME: '/root' }),
  parseSize: (text) => parseSize(text, 'size'),
  mountFromOption: (text) => mountFromOption('mounts[0]', text, '/srv'),
};

/** Command lines and the texts in them. */
export const cliTargets = [
  target('cli-argv', { inputs: argv, seeds: argvSeeds, check: checkLine }),
  target('cli-texts', {
    inputs: textOf([...flagValues, ',', '=', ':', '"', '\n', '#', ' ']),
    seeds: flagValues,
    check: (text) => {
      for (const parser of Object.values(parsers)) orRefusal(() => parser(text), refusals);
    },
  }),
];

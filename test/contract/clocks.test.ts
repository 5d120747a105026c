import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const root = fileURLToPath(new URL('../../../', import.meta.url));

/** Files below a directory, with the lines that match. */
function found(directory: string, pattern: RegExp): Record<string, string[]> {
  const files = readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' });
  const entries = files
    .filter((file) => /\.(ts|cc|h)$/.test(file))
    .map((file) => {
      const lines = readFileSync(join(root, directory, file), 'utf8').split('\n');
      return [join(directory, file), lines.filter((line) => pattern.test(line))] as const;
    });
  return Object.fromEntries(entries.filter(([, lines]) => lines.length > 0));
}

// The clock of the day may jump: it says when something was, and never how long something may take.
test('the clock of the day is read only for times that are shown', () => {
  const uses = found('lib', /Date\.now|new Date\(\)/);
  expect(Object.keys(uses).sort()).toEqual([
    'lib/cgroups/stats.ts',
    'lib/cli/eventWatch.ts',
    'lib/cli/logs.ts',
    'lib/cli/ps.ts',
    'lib/container/container.ts',
    'lib/container/events.ts',
    'lib/container/snapshot.ts',
    'lib/detached/create.ts',
  ]);
});

test('the launcher measures with CLOCK_MONOTONIC; only records of a log have a time of day', () => {
  const calls = found('native', /clock_gettime|CLOCK_REALTIME|gettimeofday|timerfd/);
  expect(calls).toEqual({
    'native/launcher/container.cc': [
      '  if (Insist(0, __NR_clock_gettime, kMonotonic, P(&now)) != 0) Exit(71);',
    ],
    'native/launcher/log.cc': ['  Sys(__NR_clock_gettime, kRealtime, P(&now));'],
  });
});

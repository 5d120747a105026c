import { describe, test } from '@jest/globals';
import { notRoot, type Requirement, root } from './requirements.js';

export * from './requirements.js';

const results = new Map<Requirement, string | undefined>();

/** Asks each requirement once a test file. */
function missing(requirement: Requirement): string | undefined {
  if (!results.has(requirement)) results.set(requirement, requirement.check());
  return results.get(requirement);
}

/**
 * A `describe` that runs where its requirements are met. Elsewhere it is skipped and the reason
 * printed; with RINGFORT_MUST_RUN=1 it is a failing test that says the reason, unless it needs
 * just the user of the other pass.
 */
export function suite(name: string, requirements: Requirement[], body: () => void): void {
  const unmet = requirements.filter((requirement) => missing(requirement) !== undefined);
  const reasons = unmet.map((requirement) => `${requirement.name}: ${missing(requirement)}`);
  if (reasons.length === 0) {
    describe(name, body);
    return;
  }
  const why = `needs ${reasons.join('; ')}`;
  if (process.env.RINGFORT_MUST_RUN === '1' && !unmet.some(isOtherPass)) {
    describe(name, () => {
      test('runs here', () => {
        throw new Error(why);
      });
    });
    return;
  }
  process.stderr.write(`skipped: ${name}: ${why}\n`);
  describe.skip(name, body);
}

/** scripts/test.cjs runs the kernel suites as root and as an ordinary user: each has its turn. */
function isOtherPass(requirement: Requirement): boolean {
  const pass = process.env.RINGFORT_TEST_PASS;
  return (requirement === root && pass === 'user') || (requirement === notRoot && pass === 'root');
}

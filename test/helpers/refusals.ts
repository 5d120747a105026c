import { expect, test } from '@jest/globals';
import { show } from '../../lib/errors.js';
import { checkOptions } from '../../lib/spec/checks.js';

/** A machine with two CPUs. */
export const machine = { hostCpus: 2 };

/** A map of 65,536 ids for users and for groups. */
export const maps = {
  uidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
  gidMappings: [{ containerID: 0, hostID: 100000, size: 65536 }],
};

/** That many one-id extents. */
export const extents = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ containerID: i, hostID: 1000 + i, size: 1 }));

/** Options, the option that the error must name, and a word of what was expected. */
export type Refusal = [options: unknown, option: string, expected: string];

/** One test for each row: it is refused with an error that names the option. */
export function refuses(rows: Refusal[]): void {
  const named = rows.map((row): [string, ...Refusal] => [show(row[0]), ...row]);
  test.each(named)('%s is refused', (_, options, option, expected) => {
    let error: unknown;
    try {
      checkOptions(options, machine);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({
      name: 'InvalidSpecError',
      code: 'ERR_INVALID_OPTION',
      phase: 'options',
      option,
      message: expect.stringContaining(`${option}: expected `),
    });
    expect((error as Error).message).toContain(expected);
  });
}

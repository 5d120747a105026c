/** Something that is measured again and again. */
export interface Row {
  name: string;
  /** Does it once; the measurement, in the unit of the goal. */
  run(): Promise<number>;
}

/** Measurements by the name of the row, one for each round. */
export type Measurements = Map<string, number[]>;

/**
 * Measures rows in turn, so that whatever disturbs the machine disturbs all of them: forwards in
 * one round and backwards in the next, so that none always comes after the same other.
 */
export async function interleave(
  rows: readonly Row[],
  { rounds, warmUps = 3 }: { rounds: number; warmUps?: number },
): Promise<Measurements> {
  const measured: Measurements = new Map(rows.map(({ name }) => [name, []]));
  for (let round = -warmUps; round < rounds; round++) {
    for (const row of round % 2 === 0 ? rows : [...rows].reverse()) {
      const value = await row.run();
      if (round >= 0) measured.get(row.name)?.push(value);
    }
  }
  return measured;
}

/** How long something takes, ms. */
export async function timed(task: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await task();
  return performance.now() - start;
}

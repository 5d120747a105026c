import { readFileSync, writeFileSync } from 'node:fs';
import { expect } from '@jest/globals';

/**
 * Compares a text with test/plans/<name>.txt. With RINGFORT_UPDATE_PLANS=1 the file is written
 * instead: read the difference before it is committed.
 */
export function expectGolden(name: string, text: string): void {
  const file = new URL(`../../../test/plans/${name}.txt`, import.meta.url);
  if (process.env.RINGFORT_UPDATE_PLANS === '1') writeFileSync(file, text);
  expect(text).toBe(readFileSync(file, 'utf8'));
}

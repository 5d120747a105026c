/**
 * How ringfort grows, as Markdown: `node dist/bench/scale.js [part …] [--count N] [--rounds N]`.
 * Parts: memory, growth, mounts, flight, busy, locks; default all. Each takes one to three minutes.
 */
import { parseArgs } from 'node:util';
import { busy } from './scaleBusy.js';
import { flight } from './scaleFlight.js';
import { growth } from './scaleGrowth.js';
import { locks } from './scaleLocks.js';
import { memory } from './scaleMemory.js';
import { mounts } from './scaleMounts.js';
import { machine } from './scaleTable.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
  },
});
const [count, rounds] = [Number(values.count), Number(values.rounds)];

const parts: Readonly<Record<string, () => Promise<void>>> = {
  memory: () => memory(count),
  growth: () => growth(count, rounds),
  mounts: () => mounts(rounds),
  flight: () => flight(rounds),
  busy: () => busy(rounds),
  locks,
};

console.log(`## Scale\n\n${machine()}`);
for (const name of positionals.length === 0 ? Object.keys(parts) : positionals) {
  const part = parts[name];
  if (part === undefined) throw new Error(`no such part: ${name} (${Object.keys(parts)})`);
  await part();
}
console.log(`\n${machine()}`);

import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Part, Section } from './goal.js';
import { bigHeap } from './goals/bigHeap.js';
import { coldRun } from './goals/coldRun.js';
import { exec } from './goals/exec.js';
import { pooled } from './goals/pooled.js';
import { scaleParts } from './goals/scaleParts.js';
import { start } from './goals/start.js';
import { stdio } from './goals/stdio.js';
import { throughput } from './goals/throughput.js';
import { trace } from './goals/trace.js';
import { machineLine } from './machine.js';
import { report } from './report.js';

const usage = `npm run bench -- [--quick] [--write] [part …]
  parts: P1 … P10, start, stdio, scale, trace; default: all
  --quick  few rounds, to see whether it works
  --write  also to bench/RESULTS.md`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

// What fills the heap comes last.
const parts: readonly Part[] = [
  start,
  coldRun,
  pooled,
  exec,
  stdio,
  throughput,
  trace,
  scaleParts,
  bigHeap,
];
const known = new Set(parts.flatMap(({ names }) => names));
const unknown = positionals.filter((name) => !known.has(name));
if (values.help || unknown.length > 0) {
  console.error(unknown.length > 0 ? `unknown: ${unknown.join(' ')}\n${usage}` : usage);
  process.exit(values.help ? 0 : 2);
}

const wanted = parts.filter(
  ({ names }) => positionals.length === 0 || names.some((name) => positionals.includes(name)),
);
const machine = machineLine();
const sections: Section[] = [];
for (const part of wanted) {
  console.error(`… ${part.names.join(' ')}`);
  sections.push(...(await part.measure({ scale: values.quick ? 0.1 : 1, wanted: positionals })));
}
const text = report(machine, sections);
console.log(text);
if (values.write) {
  const file = fileURLToPath(new URL('../../bench/RESULTS.md', import.meta.url));
  writeFileSync(file, `# Results\n\nThe last full run of \`npm run bench -- --write\`.\n\n${text}`);
}

import { statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { launcherPath } from '../../lib/native/load.js';
import type { Effort, Part, Section } from '../goal.js';
import { finished } from '../plain.js';
import { interleave, timed } from '../rounds.js';
import { summarize } from '../statistics.js';

const index = new URL('../../lib/bundle/index.js', import.meta.url).href;

/** ms of a whole Node process that runs this line. */
function node(line: string): Promise<number> {
  return timed(async () => {
    const { status, stderr } = await finished(process.execPath, [
      '--input-type=module',
      '-e',
      line,
    ]);
    if (status !== 0) throw new Error(stderr);
  });
}

/** ms that the import itself took, by the process's own clock. */
async function importTime(): Promise<number> {
  const line = `const t = performance.now(); await import('${index}'); console.log(performance.now() - t)`;
  const { stdout } = await finished(process.execPath, ['--input-type=module', '-e', line]);
  return Number(stdout);
}

const addon = fileURLToPath(new URL('../../../build/Release/ringfort.node', import.meta.url));

const sizeOf = (path: string | undefined) =>
  path === undefined ? 0 : (statSync(path, { throwIfNoEntry: false })?.size ?? 0);

async function measure({ scale }: Effort): Promise<Section[]> {
  const rows = await interleave(
    [
      { name: 'node', run: () => node('0') },
      { name: "node, import 'ringfort'", run: () => node(`await import('${index}')`) },
      { name: 'the import alone', run: importTime },
      {
        name: 'node, import, first run',
        run: () => node(`const { run } = await import('${index}'); await run('/usr/bin/true')`),
      },
    ],
    { rounds: Math.ceil(20 * scale), warmUps: 2 },
  );
  const p50 = (name: string) => summarize(rows.get(name) ?? []).p50;
  const kib = (path: string | undefined) => `${(sizeOf(path) / 1024).toFixed(0)} KiB`;
  return [
    {
      title: 'Import and start',
      unit: 'ms',
      rows,
      checks: [
        {
          goal: 'import',
          what: "import 'ringfort' on top of Node's own start",
          found: { value: p50("node, import 'ringfort'") - p50('node'), unit: 'ms' },
          most: 10,
        },
      ],
      notes: [`Sizes: addon ${kib(addon)}, launcher ${kib(launcherPath())}.`],
    },
  ];
}

/** Import, first use, sizes. */
export const start: Part = { names: ['start'], measure };

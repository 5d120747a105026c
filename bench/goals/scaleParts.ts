import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Check, Effort, Part, Section } from '../goal.js';
import { finished } from '../plain.js';
import { checkMark } from '../scaleTable.js';

const program = fileURLToPath(new URL('../scale.js', import.meta.url));

/** bench/scale makes a report of its own, with a process of its own for each thing it compares. */
async function measure({ scale, wanted }: Effort): Promise<Section[]> {
  if (!existsSync(program)) return [];
  const all = wanted.length === 0 || wanted.includes('scale');
  const parts = [
    ...(all || wanted.includes('P9') ? ['memory'] : []),
    ...(all || wanted.includes('P10') ? ['growth', 'mounts'] : []),
    ...(all ? ['flight', 'busy', 'locks'] : []),
  ];
  const size = scale < 1 ? ['--count', '50'] : [];
  const args = [program, ...parts, ...size, '--rounds', scale < 1 ? '1' : '3'];
  const { status, stdout, stderr } = await finished(process.execPath, args);
  const lines = stdout.trim().split('\n');
  const said = lines.filter((line) => !line.startsWith(checkMark)).join('\n');
  const text = status === 0 ? said : `${said}\n\nscale: ${stderr.trim()}`;
  const checks = lines
    .filter((line) => line.startsWith(checkMark))
    .map((line) => JSON.parse(line.slice(checkMark.length, -' -->'.length)) as Check);
  return [{ title: 'Scale', unit: '', rows: new Map(), checks, text }];
}

/** P9 and P10, where bench/scale is there. */
export const scaleParts: Part = { names: ['P9', 'P10', 'scale'], measure };

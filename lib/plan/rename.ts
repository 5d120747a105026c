import { type Plan, type Step, sections, stepTable } from './steps.js';

type Names = readonly (readonly [from: string, to: string])[];

function inText(text: string, names: Names): string {
  return names.reduce((changed, [from, to]) => changed.replaceAll(from, to), text);
}

function inBytes(data: Uint8Array, names: Names): Uint8Array {
  const text = Buffer.from(data).toString('latin1');
  const changed = inText(text, names);
  return changed === text ? data : Buffer.from(changed, 'latin1');
}

function renameStep(step: Step, names: Names): Step {
  const fields: Record<string, unknown> = { ...step };
  for (const [name, kind] of stepTable[step.op]) {
    const value = fields[name];
    if (kind === 's') fields[name] = inText(value as string, names);
    else if (kind === 'b') fields[name] = inBytes(value as Uint8Array, names);
    else if (kind === 'v')
      fields[name] = (value as readonly string[]).map((item) => inText(item, names));
  }
  return fields as unknown as Step;
}

/** The plan with one text in place of another wherever it stands. */
export function renamePlan(plan: Plan, names: Names): Plan {
  const renamed = { ...plan };
  for (const section of sections)
    renamed[section] = plan[section].map((step) => renameStep(step, names));
  return renamed;
}

// A strict reader of Prometheus' text exposition format 0.0.4, for tests.

/** One sample: its name as it stands, its labels, its value. */
export interface Sample {
  name: string;
  labels: Record<string, string>;
  value: number;
}

/** A metric's metadata and samples. */
export interface Family {
  type: string;
  help: string;
  samples: Sample[];
}

const sampleLine =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)*)\})? ([-+]?(?:\d+(?:\.\d+)?(?:e[-+]?\d+)?|Inf)|NaN)$/i;

function labelsOf(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name = '', value = ''] of text.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
    if (name in labels) throw new Error(`label ${name} twice`);
    labels[name] = value.replace(/\\(.)/g, (_, escaped) => (escaped === 'n' ? '\n' : escaped));
  }
  return labels;
}

function checkHistogram(name: string, { samples }: Family): void {
  const of = (suffix: string) => samples.filter((sample) => sample.name === `${name}${suffix}`);
  const bounds = of('_bucket').map(({ labels }) =>
    labels.le === '+Inf' ? Number.POSITIVE_INFINITY : Number(labels.le),
  );
  const counts = of('_bucket').map(({ value }) => value);
  const rises = (values: number[]) =>
    values.every((value, i) => i === 0 || value >= (values[i - 1] ?? 0));
  if (bounds.at(-1) !== Number.POSITIVE_INFINITY || !rises(bounds) || !rises(counts))
    throw new Error(`${name}: buckets are not cumulative up to +Inf`);
  if (of('_sum').length !== 1 || of('_count')[0]?.value !== counts.at(-1))
    throw new Error(`${name}: no sum, or a count that is not the last bucket's`);
}

/** The families of a text. @throws Error on the first thing that the format does not allow */
export function parsePrometheus(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line must end in a line feed');
  const families = new Map<string, Family>();
  const series = new Set<string>();
  let current: [string, Family] | undefined;
  for (const line of text.slice(0, -1).split('\n')) {
    const [, keyword, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (keyword === 'HELP') {
      if (families.has(name)) throw new Error(`${name} is described twice`);
      current = [name, { type: '', help: rest, samples: [] }];
      families.set(...current);
      continue;
    }
    if (current === undefined) throw new Error(`no HELP before ${line}`);
    const [family, { samples }] = current;
    if (keyword === 'TYPE') {
      if (name !== family || samples.length > 0) throw new Error(`misplaced: ${line}`);
      current[1].type = rest;
      continue;
    }
    const [, sampled = '', labels = '', value = ''] = sampleLine.exec(line) ?? [];
    const suffixes = current[1].type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
    if (!suffixes.some((suffix) => sampled === `${family}${suffix}`))
      throw new Error(`not a sample of ${family}: ${line}`);
    if (series.has(`${sampled}{${labels}}`)) throw new Error(`twice: ${line}`);
    series.add(`${sampled}{${labels}}`);
    samples.push({ name: sampled, labels: labelsOf(labels), value: Number(value) });
  }
  for (const [name, family] of families) {
    if (family.type === 'histogram') checkHistogram(name, family);
    if ((family.type === 'counter') !== name.endsWith('_total'))
      throw new Error(`${name} is a ${family.type}`);
  }
  return families;
}

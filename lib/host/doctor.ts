import type { ProbeReport } from './probe.js';

/**
 * The report as text: one line an item, aligned, then what to do about each that is not `ok`.
 * Ends with a newline.
 */
export function formatDoctor(report: ProbeReport): string {
  const { kernel, arch, node, uid, privileged, items } = report;
  const title = Math.max(0, ...items.map((item) => item.title.length));
  const lines = items.map((item) =>
    `${item.status.padEnd(7)}  ${item.title.padEnd(title)}  ${item.detail}`.trimEnd(),
  );
  const mends = items
    .filter((item) => item.status !== 'ok' && item.mend !== undefined)
    .map((item) => `  ${item.title}: ${item.mend}`);
  return [
    `Linux ${kernel} (${arch}), node ${node}, uid ${uid}${privileged ? ', privileged' : ''}`,
    '',
    ...lines,
    ...(mends.length === 0 ? [] : ['', 'what to do:', ...mends]),
    '',
    verdict(report),
    '',
  ].join('\n');
}

function verdict({ usable, items }: ProbeReport): string {
  if (usable) return 'containers run here';
  const starts = items.some((item) => item.id === 'container' && item.status !== 'missing');
  return starts ? "containers run here only with limits: 'none'" : 'containers do not run here';
}

import { readFileSync } from 'node:fs';
import { Peer } from './scalePeer.js';
import { check, fixed, median, print, quantile, ratio, spread } from './scaleTable.js';

const few = 50;
const many = 2000;

/** A launch on a host with 2,000 mounts against one with 50: two mount namespaces, interleaved. */
export async function mounts(rounds: number): Promise<void> {
  if (process.getuid?.() !== 0) return console.log('\nmounts: needs root');
  const own = readFileSync('/proc/self/mountinfo', 'utf8').trim().split('\n').length;
  const peers = [await Peer.start(Math.max(0, few - own)), await Peer.start(many - own)] as const;
  const values: [number[][], number[][]] = [[], []];
  try {
    for (const peer of peers) for (let i = 0; i < 5; i++) await peer.time('host');
    for (let round = 0; round < rounds; round++) {
      const taken: [number[], number[]] = [[], []];
      for (let i = 0; i < 40; i++)
        for (const k of [0, 1] as const) taken[k].push(await peers[k].time('host'));
      for (const k of [0, 1] as const) values[k].push(taken[k]);
    }
  } finally {
    for (const peer of peers) await peer.close();
  }
  const row = (name: string, rounds: number[][]) => {
    const all = rounds.flat();
    return [name, fixed(quantile(all, 0), 2), fixed(median(all), 2), fixed(quantile(all, 0.9), 2)];
  };
  const [least, most] = values;
  const ratios = most.map((each, i) => median(each) / median(least[i] ?? []));
  check({
    goal: 'P10',
    what: 'on a host with 2,000 mounts / 50',
    found: ratio(ratios),
    most: 1.2,
  });
  print(
    "P10: run('true') on a host with many mounts (ms; goal: 1.2 ×)",
    ['mounts', 'min', 'p50', 'p90', 'against'],
    [
      [...row(String(Math.max(few, own)), least), ''],
      [...row(String(many), most), spread(ratios)],
    ],
  );
}

import { crc32 } from 'node:zlib';
import { endOf } from '../../../lib/follow.js';
import { readJournal } from '../../../lib/host/journal.js';
import { decodeReport, decodeStatus } from '../../../lib/launcher/messages.js';
import { journalSeed, reportSeeds } from '../seeds/launcher.js';
import { must, target } from '../target.js';
import { mutatedBytes } from '../values.js';

const paths = {
  0: '/cg/cpu.stat',
  1: '/cg/memory.peak',
  2: '/cg/memory.events',
  3: '/cg/pids.events',
};

/** Entries whose path is the one that their checksum was made of. */
function countWhole(bytes: Buffer): number {
  let count = 0;
  for (let at = 0; at + 32 <= bytes.length; at += 1024) {
    const [magic, size = 0, sum] = [0, 4, 8].map((offset) => bytes.readUInt32LE(at + offset));
    const path = bytes.subarray(at + 32, Math.min(at + 32 + size, at + 1024));
    if (magic === 0x314a4652 && crc32(path) === sum) count++;
  }
  return count;
}

/** Reports of the launcher, and what it leaves on the disk. */
export const launcherTargets = [
  target<Uint8Array>('launcher-report', {
    inputs: mutatedBytes(reportSeeds),
    seeds: reportSeeds,
    check: (bytes) => {
      const report = decodeReport(Buffer.from(bytes));
      if (report === undefined) return;
      const { exitCode, signal } = decodeStatus(report.status);
      must(exitCode === null || (exitCode >= 0 && exitCode < 256), 'an exit code of a byte');
      must(signal === null || (signal > 0 && signal < 128), 'a signal');
      const read = report.found.reduce((sum, { data }) => sum + data.length, 0);
      must(read <= bytes.length, 'no more than came');
      endOf(paths, report);
    },
  }),
  target<Uint8Array>('journal', {
    inputs: mutatedBytes([journalSeed]),
    seeds: [journalSeed],
    check: (bytes) => {
      const entries = readJournal(Buffer.from(bytes));
      must(entries.length === countWhole(Buffer.from(bytes)), 'what is whole, and nothing else');
      must(
        entries.every(({ path }) => path.length <= 1024),
        'paths of entries',
      );
    },
  }),
];

import { FileAgent } from '../../../lib/files/agent.js';
import { decodeReply } from '../../../lib/files/protocol.js';
import { decodeEntries, Stats } from '../../../lib/files/stats.js';
import { Watches } from '../../../lib/files/watch.js';
import { entriesSeed, eventsSeed, replySeeds, statSeed } from '../seeds/files.js';
import { must, orRefusal, target } from '../target.js';
import { mutatedBytes } from '../values.js';

function checkEntries(bytes: Buffer): void {
  const entries = orRefusal(() => decodeEntries(bytes)) ?? [];
  must(entries.length * 20 <= bytes.length, 'entries that were in the page');
  must(
    entries.every(({ name }) => !name.includes(0)),
    'names without NUL',
  );
  must(
    entries.every(({ name }) => !['.', '..', ''].includes(name.toString())),
    'names of entries',
  );
}

/** What a container's file agent answers. */
export const fileTargets = [
  target<Uint8Array>('file-reply', {
    inputs: mutatedBytes(replySeeds),
    seeds: replySeeds,
    check: (bytes) => {
      const reply = decodeReply(Buffer.from(bytes));
      must(reply === undefined || reply.data.length === bytes.length - 24, 'its data');
    },
  }),
  target<Uint8Array>('file-entries', {
    inputs: mutatedBytes([entriesSeed]),
    seeds: [entriesSeed],
    check: (bytes) => checkEntries(Buffer.from(bytes)),
  }),
  target<Uint8Array>('file-stat', {
    inputs: mutatedBytes([statSeed]),
    seeds: [statSeed],
    check: (bytes) => {
      const stats = orRefusal(() => new Stats(Buffer.from(bytes)));
      if (stats === undefined) return;
      must(stats.mtime instanceof Date && typeof stats.isFile() === 'boolean', 'a state');
    },
  }),
  target<Uint8Array>('file-events', {
    inputs: mutatedBytes([eventsSeed]),
    seeds: [eventsSeed],
    check: (bytes) => new Watches(new FileAgent(async () => -1)).onEvents(Buffer.from(bytes)),
  }),
];

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parseCounters } from '../../../lib/cgroups/counters.js';
import { parseCgroups } from '../../../lib/cgroups/detect.js';
import { isFrozenNow } from '../../../lib/cgroups/index.js';
import { parsePressure } from '../../../lib/cgroups/pressure.js';
import { readLogs } from '../../../lib/detached/logs.js';
import { parseState } from '../../../lib/detached/parseState.js';
import { parseSubids } from '../../../lib/host/subids.js';
import { lookUpUser } from '../../../lib/host/userLookup.js';
import { annotation } from '../../../lib/spec/annotations.js';
import { specOf } from '../../../lib/specOf.js';
import { scratch } from '../scratch.js';
import { accountPieces, logSeed, mountinfoPieces, passwdPieces, stateSeed } from '../seeds/host.js';
import { must, orRefusal, target } from '../target.js';
import { anyValue, mutated, mutatedBytes, textOf } from '../values.js';

async function checkLog(bytes: Uint8Array): Promise<void> {
  writeFileSync(join(scratch, 'log'), bytes);
  const source = { dir: scratch, maxFiles: 2, ended: () => true };
  let size = 0;
  for await (const { data, lost = 0, kind } of readLogs(source, { tail: 3 })) {
    size += data.length;
    must(lost >= 0 && (kind === 'stdout' || kind === 'stderr'), 'an entry');
  }
  must(size <= bytes.length, 'no more than is there');
}

function checkUser([passwd, group, asked]: [string, string, string]): void {
  writeFileSync(join(scratch, 'root/etc/passwd'), passwd);
  writeFileSync(join(scratch, 'root/etc/group'), group);
  const made = orRefusal(() =>
    specOf('box', 'true', [], { rootfs: join(scratch, 'root'), user: asked }),
  );
  if (made === undefined) return;
  const user = orRefusal(() => lookUpUser(made));
  if (user === undefined) return;
  must(made.annotations?.[annotation.user] !== undefined, 'only what was asked for');
  for (const id of [user.uid, user.gid, ...(user.additionalGids ?? [])])
    must(Number.isInteger(id) && id >= 0 && id < 2 ** 32 - 1, `an id, not ${id}`);
}

function checkState(value: unknown): void {
  let text: string;
  try {
    text = JSON.stringify(value) ?? '';
  } catch {
    return;
  }
  const state = parseState(text, 'web');
  if (state === undefined) return;
  const { labels, cgroups, cgroup, facts, command = [], createdAt, bootId, streams, logs } = state;
  must(
    Object.values(labels).every((label) => typeof label === 'string'),
    'labels',
  );
  must(command.every((word) => typeof word === 'string') && bootId.length >= 0, 'texts');
  must(new Set(facts.fileSources).size >= 0 && Number.isFinite(createdAt), 'facts');
  must(typeof streams.pty === 'boolean' && logs.maxFiles > 0, 'streams');
  for (const { inode, device, path } of cgroups)
    must(BigInt(inode) + BigInt(device) >= 0n && path !== '', 'cgroups');
  isFrozenNow({ ...cgroup.paths, unified: '/nonexistent' });
}

const texts = (pieces: readonly string[]) => textOf(pieces, 30);
const asked = fc.oneof(
  fc.constantFrom('root', 'app', 'app:web', '1000', '1000:web', ':', '7:7'),
  textOf(passwdPieces, 3),
);

/** What lies on the disk or in /proc, and is not ours alone. */
export const hostTargets = [
  target<Uint8Array>('log', { inputs: mutatedBytes([logSeed]), seeds: [logSeed], check: checkLog }),
  target<unknown>('state', {
    inputs: fc.oneof(mutated([stateSeed]), anyValue),
    seeds: [stateSeed],
    check: checkState,
  }),
  target<[string, string, string]>('passwd', {
    inputs: fc.tuple(texts(passwdPieces), texts(passwdPieces), asked),
    seeds: [['root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/:\n', 'web:x:33:app\n', 'app']],
    check: checkUser,
  }),
  target('subids', {
    inputs: textOf(['a', ':', '\n', '0', '65536', '100000', '4294967295', '0100', ' ']),
    seeds: ['a:100000:65536\n1000:0:1\n'],
    check: (text) => {
      for (const { start, count } of parseSubids(text))
        must(count > 0 && start + count <= 2 ** 32, 'ids');
    },
  }),
  target('accounts', {
    inputs: fc.tuple(fc.constantFrom(...accountPieces.files), texts(accountPieces.words)),
    seeds: accountPieces.files.map((file): [string, string] => [
      file,
      accountPieces.words.join(''),
    ]),
    check: ([file, text]) => {
      for (const value of Object.values(parseCounters(file, text)))
        must(value >= 0, `${file} ${value}`);
      parsePressure(text);
    },
  }),
  target('mountinfo', {
    inputs: fc.tuple(texts(mountinfoPieces), texts(mountinfoPieces)),
    seeds: [],
    check: ([mountinfo, cgroup]) => {
      parseCgroups(mountinfo, cgroup, () => true);
    },
  }),
];

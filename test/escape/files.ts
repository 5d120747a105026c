import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Container } from '../../lib/container/container.js';
import { launcherPid } from '../helpers/leaks.js';
import type { Bench } from './bench.js';
import type { Check, Opening } from './check.js';

/** A container with a volume at /srv, and a file of the host's that it has not. */
interface Place {
  volume: string;
  sentinel: string;
}

/** The code of what a call on files throws, `ok` when it does not. */
async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
    return 'ok';
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code);
  }
}

/** The directory of the sentinel at its own path inside: then a link to it leads somewhere. */
const shown: Opening = { what: 'its own mounts (the directory is bound at its own path)' };

function withPlace(
  bench: Bench,
  opening: Opening | undefined,
  body: (box: Container, place: Place) => Promise<string>,
): Promise<string> {
  const place = { volume: bench.directory(), sentinel: bench.sentinel() };
  const outside = dirname(place.sentinel);
  const mounts = [
    `${place.volume}:/srv`,
    ...(opening === undefined ? [] : [`${outside}:${outside}`]),
  ];
  return bench.box(undefined, { mounts }, (box) => body(box, place));
}

export const fileChecks: readonly Check[] = [
  {
    id: '20',
    attack: 'a planted link at a name that the host writes to (CVE-2024-28185)',
    walls: 'files are written by a process inside, which has the container’s mounts alone',
    attempt: (bench, opening) =>
      withPlace(bench, opening, async (box, { sentinel }) => {
        await bench.exec(box, ['symlink', sentinel, '/srv/link']);
        const code = await codeOf(box.fs.writeFile('/srv/link', 'changed'));
        return `${readFileSync(sentinel, 'utf8')} ${code}`;
      }),
    async control(bench) {
      const sentinel = bench.sentinel();
      const link = join(bench.directory(), 'link');
      await bench.host('symlink', sentinel, link);
      writeFileSync(link, 'changed');
      return readFileSync(sentinel, 'utf8');
    },
    held: /^sentinel E/,
    broken: /^changed/,
    oracle: shown,
  },
  {
    id: '21',
    attack: 'a directory is swapped for a link while it is copied (CVE-2018-15664)',
    walls: 'paths are resolved inside, from held directories',
    attempt: (bench, opening) =>
      withPlace(bench, opening, async (box, { sentinel }) => {
        const swapping = box.spawn('/run/probe', ['swap', '/srv', dirname(sentinel)]);
        await new Promise((resolve) => swapping.stdout?.once('data', resolve));
        let read = 0;
        // What must be seen is waited for; on a busy machine the race is slow.
        const tries = opening === undefined ? 300 : 30_000;
        for (let i = 0; i < tries && read === 0; i++) {
          const text = await box.fs.readFile('/srv/swap/sentinel', 'utf8').catch(() => '');
          if (text === 'sentinel') read++;
        }
        await swapping.killTree();
        return read === 0 ? 'nothing' : 'read';
      }),
    held: /^nothing$/,
    broken: /^read$/,
    oracle: shown,
  },
  {
    id: 'r-agent',
    attack: 'have the file agent go through /proc/self/root, /proc/1/root and its descriptors',
    walls: 'no magic links',
    attempt: (bench) =>
      bench.box(undefined, {}, async (box) => {
        const pid = await launcherPid();
        const bases = ['/proc/self/root', '/proc/1/root', '/proc/self/cwd', `/proc/${pid}/root`];
        const fds = Array.from({ length: 12 }, (_, fd) => `/proc/self/fd/${fd}`);
        const codes = new Set<string>();
        for (const base of [...bases, ...fds]) {
          await box.exec('rm', ['-f', '/tmp/link']);
          await bench.exec(box, ['symlink', base, '/tmp/link']);
          codes.add(await codeOf(box.fs.readFile(`${base}/etc/passwd`)));
          codes.add(await codeOf(box.fs.readFile('/tmp/link/etc/passwd')));
        }
        return [...codes].sort().join(' ');
      }),
    control: (bench) => bench.box(undefined, {}, (box) => codeOf(box.fs.readFile('/etc/passwd'))),
    held: /^((EACCES|ELOOP|ENOENT|ENOTDIR|EPERM) ?)+$/,
    broken: /ok/,
    oracle: {
      what: 'that',
      mutations: [
        {
          file: 'file_agent_paths.cc',
          from: 'return kResolveNoMagiclinks | ((r.flags',
          to: 'return ((r.flags',
        },
      ],
    },
  },
];

// A Node process whose launcher has no room for a descriptor just when it comes. Argument: the path of
// a launcher with stop points. Prints a line of JSON: `LostDescriptors`.
import { closeSync, openSync } from 'node:fs';
import { untilGone } from '../../lib/follow.js';
import { ContainerError, createContainer } from '../../lib/index.js';
import { launch } from '../../lib/launch.js';
import { compileLaunch } from '../../lib/program.js';
import { createSpecOf, newId, programSpecOf } from '../../lib/specOf.js';
import { supervisor } from '../../lib/supervisor.js';
import { prlimit, Rlimit } from '../../lib/sys/index.js';
import { until } from './launches.js';
import { heldAt, namedStops, type StopPoint } from './stops.js';
import { say, stopAt, useLauncher } from './useLauncher.js';

/** What came of each. */
export interface LostDescriptors {
  outcomes: { lost: string; code?: string; errno?: number; next: string; running: number }[];
}

const pty = { cols: 80, rows: 24 };

/** Where a program with a terminal is about to open it. */
async function terminalPoint(): Promise<StopPoint> {
  const id = newId();
  const fd = openSync('/dev/null', 'r+');
  const container = await launch({
    id,
    spec: createSpecOf(id, {}),
    fds: [fd, fd, fd],
    lives: true,
  });
  closeSync(fd);
  const program = { file: 'sleep', args: ['600'], options: { pty } };
  const spec = programSpecOf(container.inside.spec, program, 'spawn');
  const { plan } = compileLaunch(container, { execId: newId(), spec, resources: {}, fds: [] });
  container.kill();
  await untilGone(container);
  const index = plan.child.findIndex(({ op }) => op === 'pty');
  return { title: 'terminal', section: 2, index };
}

function named(name: (typeof namedStops)[number]): StopPoint {
  return { title: name, section: 4, index: namedStops.indexOf(name) };
}

useLauncher(process.argv[2] ?? '');
const points = [named('initForked'), named('gotPidfd'), await terminalPoint()];
await using box = await createContainer();
await box.exec('true');
const { launcher } = await supervisor();
const limit = prlimit(launcher.pid, Rlimit.RLIMIT_NOFILE);
const outcomes: LostDescriptors['outcomes'] = [];
for (const point of points) {
  stopAt((point.section << 16) | point.index);
  const program = box.spawn('sleep', ['600'], point.title === 'terminal' ? { pty } : {});
  const started = new Promise<Error | undefined>((resolve) => {
    program.once('error', resolve);
    program.once('spawn', () => resolve(undefined));
  });
  let held: number | undefined;
  await until(() => {
    held = heldAt(point, process.pid);
    return held !== undefined;
  });
  prlimit(launcher.pid, Rlimit.RLIMIT_NOFILE, { soft: 1n, hard: limit.hard });
  process.kill(held as unknown as number, 'SIGCONT');
  const error = await started;
  prlimit(launcher.pid, Rlimit.RLIMIT_NOFILE, limit);
  const { code, errno } = error instanceof ContainerError ? error : ({} as ContainerError);
  const next = (await box.exec('echo', ['here'])).stdout;
  await until(() => box.inspect().programs.length === 0);
  // Its init alone, as soon as the program is dead.
  await until(async () => (await box.top()).length <= 1);
  const running = (await box.top()).length;
  outcomes.push({ lost: point.title, code, ...(errno !== undefined && { errno }), next, running });
}
say({ outcomes } satisfies LostDescriptors);

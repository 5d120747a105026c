import { type Container, createContainer } from '../lib/index.js';
import { supervisor } from '../lib/supervisor.js';
import { end, fill, type Network } from './scaleBoxes.js';
import { conmonPss } from './scaleConmon.js';
import { descriptors, kib, pss, settle } from './scaleProc.js';
import { shimPss } from './scaleShim.js';
import { check, fixed, print } from './scaleTable.js';

/** What is measured, in KiB unless said otherwise. */
interface Look {
  launcher: number;
  heap: number;
  resident: number;
  nodeFds: number;
  launcherFds: number;
  kernel: Map<string, number>;
}

/** Of /proc/meminfo: what a container that does nothing costs the kernel. */
const kernelParts = ['SUnreclaim', 'SReclaimable', 'Percpu', 'KernelStack', 'PageTables'];

async function look(launcher: number): Promise<Look> {
  await settle();
  const { heapUsed, external, rss } = process.memoryUsage();
  return {
    launcher: pss(launcher),
    heap: (heapUsed + external) / 1024,
    resident: rss / 1024,
    nodeFds: descriptors('self'),
    launcherFds: descriptors(launcher),
    kernel: kib('/proc/meminfo'),
  };
}

/** What one more idle container takes, by `network`. */
async function idle(network: Network, count: number): Promise<[string, number][]> {
  await end([await createContainer({ network })]);
  const launcher = (await supervisor()).launcher.pid;
  const boxes: Container[] = [];
  // So that the heap and the launcher's table have grown once.
  await fill(boxes, Math.ceil(count / 10), network);
  await end(boxes);
  const before = await look(launcher);
  await fill(boxes, count, network);
  const after = await look(launcher);
  const inits = boxes.reduce((sum, { pid = 0 }) => sum + pss(pid), 0) / count;
  await end(boxes);
  const each = (pick: (found: Look) => number) => (pick(after) - pick(before)) / count;
  const kernel = kernelParts.map(
    (name) => [`kernel: ${name}`, each((found) => found.kernel.get(name) ?? 0)] as const,
  );
  const launcherPss = each((found) => found.launcher);
  return [
    ['init, PSS', inits],
    ['launcher, PSS', launcherPss],
    ['supervisor: init + launcher', inits + launcherPss],
    ['Node, heap and external', each((found) => found.heap)],
    ['Node, RSS', each((found) => found.resident)],
    ...kernel.map(([name, value]): [string, number] => [name, value]),
    ['kernel: sum', kernel.reduce((sum, [, value]) => sum + value, 0)],
    ['descriptors in Node', each((found) => found.nodeFds)],
    ['descriptors in the launcher', each((found) => found.launcherFds)],
  ];
}

/** Memory and descriptors of idle containers, and the memory of other supervisors beside them. */
export async function memory(count: number): Promise<void> {
  const host = await idle('host', count);
  const none = new Map(await idle('none', count));
  print(
    `P9: ${count} live idle containers, each (KiB)`,
    ['', "host's net", 'own net'],
    host.map(([name, value]) => [name, fixed(value), fixed(none.get(name) ?? Number.NaN)]),
  );
  const supervisor = none.get('supervisor: init + launcher') ?? Number.NaN;
  const withNode = supervisor + (none.get('Node, heap and external') ?? Number.NaN);
  const others = { conmon: await conmonPss(), 'containerd-shim': await shimPss() };
  check({
    goal: 'P9',
    what: 'init and launcher of an idle container',
    found: { value: supervisor, unit: 'KiB' },
    most: 100,
  });
  for (const [name, other] of Object.entries(others)) {
    const found = typeof other === 'number' && { found: { value: supervisor / other, unit: '×' } };
    const absent = typeof other === 'string' && { absent: other };
    check({ goal: 'P9', what: `the same / ${name}`, most: 0.1, ...found, ...absent });
  }
  const row = (what: string, value: number) => [
    what,
    fixed(value),
    ...Object.values(others).map((other) =>
      typeof other === 'string' ? other : `${fixed(value / other, 3)} × (${fixed(other, 0)} KiB)`,
    ),
  ];
  print(
    'P9: on the supervisor’s side (goal: ≤ 100 KiB, ≤ 0.1 × the others)',
    ['', 'KiB', ...Object.keys(others).map((name) => `against ${name}`)],
    [row('init + launcher', supervisor), row('the same + heap in Node', withNode)],
  );
}

import { readFileSync } from 'node:fs';
import { createContainer } from '../lib/index.js';
import { supervisor } from '../lib/supervisor.js';
import { timeRun } from './scaleBoxes.js';
import { fixed, print } from './scaleTable.js';

/** Of /proc/PID/stat, proc_pid_stat(5): 100 a second. */
const tickMs = 10;

/** CPU time so far of a process, and of the children that it has waited for; ms. */
function cpuTimes(pid: number): { own: number; children: number } {
  const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const sum = (from: number) => (Number(fields[from]) + Number(fields[from + 1])) * tickMs;
  return { own: sum(11), children: sum(13) };
}

/** CPU time of `task`, many times over with 16 in flight: Node's, the launcher's, its children's. */
async function measure(times: number, launcher: number, task: () => Promise<unknown>) {
  let left = times;
  const worker = async () => {
    while (left-- > 0) await task();
  };
  const [node, before] = [process.cpuUsage(), cpuTimes(launcher)];
  await Promise.all(Array.from({ length: 16 }, worker));
  const [spent, after] = [process.cpuUsage(node), cpuTimes(launcher)];
  const each = (ms: number) => fixed(ms / times, 2);
  return [
    each((spent.user + spent.system) / 1000),
    each(after.own - before.own),
    each(after.children - before.children),
  ];
}

/** Who is busy while containers and programs come and go. */
export async function busy(rounds: number): Promise<void> {
  const times = 400 * rounds;
  const box = await createContainer();
  const launcher = (await supervisor()).launcher.pid;
  const tasks: readonly [string, () => Promise<unknown>][] = [
    ['run, own net', () => timeRun('none')],
    ["run, host's net", () => timeRun('host')],
    ['exec', () => box.exec('true')],
  ];
  const rows: string[][] = [];
  for (const [name, task] of tasks) {
    await measure(50, launcher, task);
    rows.push([name, ...(await measure(times, launcher, task))]);
  }
  await box.kill();
  await box.wait();
  print(
    'CPU time of one, 16 in flight (ms)',
    ['', 'Node', 'launcher', 'its children, waited for'],
    rows,
  );
  console.log('\nThe children of an `exec` are waited for by the init of its container.');
}

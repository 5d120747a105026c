import { Command } from 'commander';
import { type ProcessInfo, StateError } from '../index.js';
import { action, withContainer } from './containers.js';
import { print } from './output.js';
import { formatBytes, formatCommand, formatCpuTime, formatTable } from './units.js';

/** What `top` prints of processes. */
export function formatProcesses(processes: readonly ProcessInfo[]): string {
  const rows = processes.map((each) => [
    String(each.uid),
    String(each.pid),
    String(each.parent),
    each.state,
    formatBytes(each.residentBytes),
    formatCpuTime(each.cpuTimeMs),
    formatCommand(each.command),
  ]);
  return formatTable(['UID', 'PID', 'PPID', 'STAT', 'RSS', 'TIME', 'CMD'], rows);
}

function top(word: string): Promise<undefined> {
  return withContainer(word, async (box) => {
    if (box.state === 'stopped') {
      throw new StateError('ERR_CONTAINER_NOT_RUNNING', `container ${box.id} is not running`);
    }
    await print(formatProcesses(await box.top()));
    return undefined;
  });
}

/** `ringfort top`. */
export function topCommand(): Command {
  return new Command('top')
    .description('List the processes of a container, with their numbers on the host')
    .argument('<container>', 'id, or beginning of an id')
    .action(action(top));
}

import { parentPort } from 'node:worker_threads';
import { LauncherClient } from '../../lib/launcher/launcher.js';
import { encodePlan } from '../../lib/plan/encode.js';
import { close } from '../../lib/sys/index.js';
import { sleepPlan } from './plans.js';

/** What a worker says once its guest runs. */
export interface WorkerState {
  launcher: number;
  guest: number;
}

// A worker thread with a launcher of its own and a guest that would sleep on for a minute.
const client = await LauncherClient.start({ lockFd: -1 });
if (!(client instanceof LauncherClient)) throw new Error(`${client.failed}: ${client.errno}`);
const launcher = client.pid;
client.launch(encodePlan(sleepPlan()), [0, 1, 2], {
  sent() {},
  running({ pid }, pidfd) {
    close(pidfd);
    parentPort?.postMessage({ launcher, guest: pid } satisfies WorkerState);
  },
  failed(report) {
    throw new Error(`section ${report.section}, step ${report.step}: ${report.error}`);
  },
  exited() {},
  gone() {},
  pty() {},
  lost() {},
});

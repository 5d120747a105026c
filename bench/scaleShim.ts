import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DockerDaemon } from './docker.js';
import { pss } from './scaleProc.js';

const count = 10;

/** Mean memory of one of many containerd-shims, each with a container that runs, KiB; or why not. */
export async function shimPss(): Promise<number | string> {
  const directory = mkdtempSync(join(tmpdir(), 'ringfort-shim-'));
  let daemon: DockerDaemon | undefined;
  try {
    daemon = await DockerDaemon.start(directory);
    const pids: number[] = [];
    while (pids.length < count) pids.push(await daemon.shim());
    return pids.reduce((sum, pid) => sum + pss(pid), 0) / count;
  } catch (error) {
    return (error as Error).message.split('\n')[0] ?? 'absent';
  } finally {
    await daemon?.close();
    rmSync(directory, { recursive: true, maxRetries: 20 });
  }
}

import { arch, release } from 'node:os';
import type { RunOptions } from '../options.js';
import { probeContainers } from './probeContainers.js';
import { probeKernel } from './probeKernel.js';
import { isPrivileged, probeUser } from './probeUser.js';

/** `ok` works; `limited` works with the restriction that `detail` names; `missing` does not work. */
export type ProbeStatus = 'ok' | 'limited' | 'missing';

/** One thing that was tried. */
export interface ProbeItem {
  /** Stable between versions, for programs. */
  id: string;
  /** What it is, in a word or two. */
  title: string;
  status: ProbeStatus;
  /** What was found. */
  detail: string;
  /** How to make it `ok`, in one sentence; only where there is a way. */
  mend?: string;
}

/** What this kernel and user can do. */
export interface ProbeReport {
  /** A container with the default walls runs here, with its limits. */
  usable: boolean;
  /** Release of the running kernel, as uname(2) has it. */
  kernel: string;
  /** Architecture as Node calls it. */
  arch: string;
  /** Version of Node. */
  node: string;
  uid: number;
  /** This process has the capabilities to map ids and mount on the host itself. */
  privileged: boolean;
  items: ProbeItem[];
}

/** Runs real containers for the probe; `run` of the public API is one. */
export interface ProbeRunner {
  run(
    file: string,
    args: string[],
    options: RunOptions,
  ): Promise<{ exitCode: number | null; stdout: string | Buffer }>;
}

/**
 * Finds out what this kernel and user can do, by doing it: calls that change nothing here, cgroups
 * that are removed at once, and throw-away containers. What fails is in the report, not thrown.
 */
export async function probe(runner: ProbeRunner): Promise<ProbeReport> {
  const privileged = isPrivileged();
  const items = [
    ...probeKernel(release()),
    ...probeUser(privileged),
    ...(await probeContainers(runner, privileged)),
  ];
  const works = (id: string) => items.some((item) => item.id === id && item.status !== 'missing');
  return {
    usable: works('kernel') && works('container') && works('limits'),
    kernel: release(),
    arch: arch(),
    node: process.version,
    uid: process.geteuid?.() ?? 0,
    privileged,
    items,
  };
}

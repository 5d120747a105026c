import { type ExecFileException, execFile } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Container } from '../../lib/container/container.js';
import { createContainer } from '../../lib/container/create.js';
import { ContainerError } from '../../lib/errors.js';
import type { CreateOptions, ExecOptions } from '../../lib/options.js';
import { run } from '../../lib/run.js';
import type { SpecMount } from '../../lib/spec/types.js';
import type { TextOptions } from '../helpers/containers.js';
import { buildProbe } from '../helpers/probe.js';
import type { Opening } from './check.js';
import { withPlanEdit } from './planEdit.js';

/** Where the probe lies in a container of the bench's. */
export const probePath = '/run/probe';

/** A test's mounts may be more than one list. */
function merge(...all: readonly (TextOptions | undefined)[]): TextOptions {
  const mounts = all.flatMap((options) => options?.mounts ?? []);
  const namespaces = Object.assign({}, ...all.map((options) => options?.namespaces));
  return { ...Object.assign({}, ...all), mounts, namespaces };
}

/** What a refused launch says, so that it can be compared with answers of guests. */
function answerOf(error: unknown): string {
  if (error instanceof ContainerError) return `refused: ${error.code}`;
  throw error;
}

/** A directory with the probe in it, and the ways to run it: on the host, in a container. */
export class Bench {
  readonly dir: string;
  /** The probe on the host. */
  readonly probe: string;
  /** For the objects of the launcher, of which checks compile others. */
  readonly objects: string;
  #used = 0;

  /** @param base options that every container needs here, such as `limits: 'none'` where it is nested */
  constructor(readonly base: TextOptions = {}) {
    this.dir = mkdtempSync(join(tmpdir(), 'ringfort-escape-'));
    chmodSync(this.dir, 0o755);
    this.probe = join(this.dir, 'probe');
    this.objects = join(this.dir, 'objects');
    mkdirSync(this.objects);
    buildProbe(this.probe);
  }

  close(): void {
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** An empty directory of the host (0755), another one at each call. */
  directory(): string {
    const path = join(this.dir, String(this.#used++));
    mkdirSync(path);
    return path;
  }

  /** A file that no guest may read or change. */
  sentinel(text = 'sentinel'): string {
    const path = join(this.directory(), 'sentinel');
    writeFileSync(path, text);
    return path;
  }

  /** A root file system with the probe at /bin/probe. @param links in place of a directory: `{ proc: 'tmp' }` */
  rootfs(links: Readonly<Record<string, string>> = {}): string {
    const root = this.directory();
    for (const name of ['bin', 'dev', 'etc', 'proc', 'run', 'sys', 'tmp']) {
      const target = links[name];
      if (target === undefined) mkdirSync(join(root, name));
      else symlinkSync(target, join(root, name));
    }
    copyFileSync(this.probe, join(root, 'bin/probe'));
    return root;
  }

  /** One in which every other program is a trap: if it runs, it leaves /marks/sprung. */
  trappedRootfs(): string {
    const root = this.rootfs();
    mkdirSync(join(root, 'marks'));
    for (const name of ['sh', 'tar', 'unpigz', 'nsenter', 'ps', 'cp', 'cat', 'mount', 'newuidmap'])
      copyFileSync(this.probe, join(root, 'bin', name));
    for (const [link, target] of [
      ['sbin', 'bin'],
      ['usr', '.'],
      ['lib', 'bin'],
      ['lib64', 'bin'],
    ] as const)
      symlinkSync(target, join(root, link));
    for (const name of ['libc.so.6', 'ld-linux-x86-64.so.2', 'libnss_files.so.2'])
      copyFileSync(this.probe, join(root, 'bin', name));
    return root;
  }

  /** The probe in a container of such a root. */
  inRoot(
    rootfs: string,
    args: readonly string[],
    opening: Opening | undefined,
    options: TextOptions = {},
  ): Promise<string> {
    const all = merge(this.base, { rootfs, timeout: 60_000 }, options, opening?.options);
    return this.run('/bin/probe', args, opening, all);
  }

  /** Options of a container with the probe in it. */
  options(...more: readonly (TextOptions | undefined)[]): TextOptions {
    const mount: SpecMount = {
      destination: probePath,
      type: 'bind',
      source: this.probe,
      options: ['bind', 'ro', 'dangerous'],
    };
    return merge(this.base, { mounts: [mount] }, ...more);
  }

  /** What the probe prints in a container, or what ended it, or the code of the refusal. */
  guest(
    args: readonly string[],
    opening: Opening | undefined,
    options: TextOptions = {},
  ): Promise<string> {
    const all = this.options({ timeout: 60_000 }, options, opening?.options);
    return this.run(probePath, args, opening, all);
  }

  /** The same with a file of the host's as stdin. */
  async withStdin(path: string, args: readonly string[], opening: Opening | undefined) {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOCTTY);
    try {
      return await this.guest(args, opening, { stdio: [fd, 'pipe', 'pipe'] });
    } finally {
      closeSync(fd);
    }
  }

  /** The same of any program, with just these options. */
  async run(
    file: string,
    args: readonly string[],
    opening: Opening | undefined,
    options: TextOptions,
  ): Promise<string> {
    try {
      const result = await withPlanEdit(opening?.edit, () => run(file, args, options));
      const said = result.stdout.trim();
      const end = result.reason === 'exit' ? '' : `${result.reason} ${result.signal ?? ''}`.trim();
      return [said, end].filter((part) => part !== '').join(' ') || result.stderr.trim();
    } catch (error) {
      return answerOf(error);
    }
  }

  /** What `body` makes of a container that lives, or the code of the refusal. */
  async box(
    opening: Opening | undefined,
    options: CreateOptions,
    body: (box: Container) => Promise<string>,
  ): Promise<string> {
    const all: CreateOptions = this.options(options, opening?.options);
    try {
      return await withPlanEdit(opening?.edit, async () => {
        const box = await createContainer(all);
        try {
          return await body(box);
        } finally {
          await box.kill();
          await box.wait();
        }
      });
    } catch (error) {
      return answerOf(error);
    }
  }

  /** What the probe prints in a container that lives. */
  async exec(box: Container, args: readonly string[], options: ExecOptions = {}): Promise<string> {
    const result = await box.exec(probePath, args, { timeout: 60_000, ...options });
    return String(result.stdout).trim() || result.reason;
  }

  /** What the probe prints on the host, as this user, or what ended it. */
  async host(...args: readonly string[]): Promise<string> {
    try {
      const { stdout } = await promisify(execFile)(this.probe, [...args], { timeout: 60_000 });
      return stdout.trim();
    } catch (error) {
      const { signal, killed } = error as ExecFileException;
      if (!signal || killed) throw error;
      return `signal ${signal}`;
    }
  }
}

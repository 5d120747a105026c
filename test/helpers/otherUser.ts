import { execFile } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { signalIfThere, within } from './heldNode.js';

const here = fileURLToPath(new URL('../../../', import.meta.url));
const { delegate, remove } = createRequire(import.meta.url)(join(here, 'scripts/userPass.cjs')) as {
  delegate(uid: number): Promise<string[]>;
  remove(dir: string): void;
};

/** Where a program of another user runs. */
export interface Surroundings {
  /** Cgroups that are its own: it begins in them. */
  cgroups?: readonly string[];
  /** Shell commands of root in a mount namespace of its own, before it becomes that user. */
  before?: string;
}

function pidsOf(cgroup: string): number[] {
  return readFileSync(join(cgroup, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
}

const isEmpty = (cgroup: string) => pidsOf(cgroup).length === 0;

/** Another user of this machine, for tests that run as root: with this package where it can read it. */
export class OtherUser implements Disposable {
  /** Its home, its runtime directory and its place for temporary files. */
  readonly home: string;
  readonly #place = mkdtempSync('/var/tmp/ringfort-');

  constructor(
    readonly uid: number,
    readonly gid: number,
  ) {
    chmodSync(this.#place, 0o755);
    for (const path of ['package.json', 'dist', 'build/Release/ringfort.node'])
      cpSync(join(here, path), join(this.#place, path), { recursive: true });
    this.home = join(this.#place, 'home');
    mkdirSync(this.home, 0o700);
    chownSync(this.home, uid, gid);
  }

  /**
   * Runs a module of test/helpers as this user.
   * @returns what it prints as JSON
   */
  async run(helper: string, args: readonly string[], surroundings: Surroundings): Promise<unknown> {
    const { cgroups = [], before = ':' } = surroundings;
    const enter = 'for dir in $CGROUPS; do echo $$ >"$dir/cgroup.procs"; done; exec "$@"';
    const ids = [`--reuid=${this.uid}`, `--regid=${this.gid}`, '--clear-groups'];
    const argv = [
      ...['unshare', '-m', '--propagation', 'private', 'sh', '-ec', `${before}; exec "$@"`, 'sh'],
      ...['setpriv', ...ids, process.execPath, join(this.#place, 'dist/test/helpers', helper)],
      ...args,
    ];
    const { stdout } = await promisify(execFile)('sh', ['-ec', enter, 'sh', ...argv], {
      cwd: '/',
      env: {
        PATH: process.env.PATH,
        HOME: this.home,
        XDG_RUNTIME_DIR: this.home,
        TMPDIR: this.home,
        CGROUPS: cgroups.join(' '),
      },
    });
    return JSON.parse(stdout);
  }

  /** The same in cgroups that are delegated to this user for so long. */
  async runDelegated(helper: string, args: readonly string[], before?: string): Promise<unknown> {
    const dirs = await delegate(this.uid);
    try {
      return await this.run(helper, args, { cgroups: dirs, ...(before && { before }) });
    } finally {
      // What moveToLeafCgroup() has made.
      const leaves = dirs.map((dir) => join(dir, 'ringfort-self')).filter((dir) => existsSync(dir));
      // Nobody waits for the launcher's end; what a helper that failed has left is ended.
      if (!(await within(() => [...leaves, ...dirs].every(isEmpty)))) {
        for (const pid of [...leaves, ...dirs].flatMap(pidsOf)) signalIfThere(pid, 'SIGKILL');
        await within(() => [...leaves, ...dirs].every(isEmpty));
      }
      for (const dir of [...leaves, ...dirs]) remove(dir);
    }
  }

  [Symbol.dispose](): void {
    rmSync(this.#place, { recursive: true });
  }
}

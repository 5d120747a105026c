import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { makeRoot } from './bundle.js';

const call = promisify(execFile);
const image = 'ringfort-bench';

/** Removes the cgroup that the containers were in, of every hierarchy. */
function removeCgroups(name: string): void {
  for (const hierarchy of ['', ...readdirSync('/sys/fs/cgroup')]) {
    try {
      rmdirSync(join('/sys/fs/cgroup', hierarchy, name));
    } catch {
      // Not each of them has one.
    }
  }
}

/**
 * dockerd and the containerd it starts, of our own: with everything they keep below a directory, in a
 * mount namespace of their own, and without a bridge or rules for packets. Their image is an empty root
 * for the host's /usr.
 */
export class DockerDaemon {
  readonly #daemon: ChildProcess;
  readonly #socket: string;
  readonly #cgroup = `ringfort-bench-${process.pid}-docker`;
  #message = '';

  private constructor(directory: string) {
    this.#socket = `unix://${join(directory, 'socket')}`;
    const at = (name: string) => join(directory, name);
    const places = ['--data-root', at('data'), '--exec-root', at('exec'), '--pidfile', at('pid')];
    const network = ['--bridge=none', '--iptables=false', '--ip-forward=false', '--ip-masq=false'];
    const rest = ['--host', this.#socket, '--cgroup-parent', `/${this.#cgroup}`];
    const daemon = ['dockerd', ...places, ...network, ...rest];
    const own = ['--mount', '--propagation', 'private', '--', ...daemon];
    this.#daemon = spawn('unshare', own, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#daemon.on('error', () => {});
    this.#daemon.stderr?.on('data', (chunk) => {
      this.#message = `${this.#message}${chunk}`.slice(-4096);
    });
  }

  /**
   * Starts them; to be closed.
   * @throws what stops them: dockerd and docker may not be installed
   */
  static async start(directory: string): Promise<DockerDaemon> {
    const daemon = new DockerDaemon(directory);
    try {
      await daemon.#answered();
      const tar = join(directory, 'root.tar');
      await call('tar', ['-C', makeRoot(directory), '-cf', tar, '.']);
      await daemon.#docker('import', tar, image);
      return daemon;
    } catch (error) {
      await daemon.close();
      throw error;
    }
  }

  get #hasEnded(): boolean {
    const { pid, exitCode, signalCode } = this.#daemon;
    return pid === undefined || exitCode !== null || signalCode !== null;
  }

  async #answered(): Promise<void> {
    for (let looks = 0; ; looks++) {
      if (this.#hasEnded) throw new Error(`no dockerd: ${this.#message.trim().split('\n').at(-1)}`);
      try {
        return void (await this.#docker('version'));
      } catch (error) {
        if (looks === 100 || (error as NodeJS.ErrnoException).code === 'ENOENT') throw error;
      }
      await sleep(200);
    }
  }

  async #docker(...args: string[]): Promise<string> {
    const { stdout } = await call('docker', ['--host', this.#socket, ...args]);
    return stdout.trim();
  }

  /** A command that runs a program with walls and limits as our default has them. */
  command(options: string[], program: string[]): [string, ...string[]] {
    const limits = ['--memory', '512m', '--pids-limit', '256'];
    const user = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024'];
    const rest = ['--network', 'none', '--log-driver', 'none', '-v', '/usr:/usr:ro'];
    const all = [...options, ...limits, ...user, ...rest, image, ...program];
    return ['docker', '--host', this.#socket, 'run', ...all];
  }

  /** Starts a container that lives until the daemon is closed, and says the pid of its shim. */
  async shim(): Promise<number> {
    const [, ...args] = this.command(['--detach'], ['/usr/bin/sleep', '600']);
    const { stdout: id } = await call('docker', args);
    const pid = await this.#docker('inspect', '--format', '{{.State.Pid}}', id.trim());
    const parent = /^PPid:\s+(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(parent?.[1]);
  }

  /** Ends the containers and the daemons. */
  async close(): Promise<void> {
    try {
      const ids = this.#hasEnded ? '' : await this.#docker('ps', '--all', '--quiet');
      if (ids !== '') await this.#docker('rm', '--force', ...ids.split('\n'));
    } finally {
      const ended = new Promise((resolve) => this.#daemon.on('close', resolve));
      if (!this.#hasEnded && this.#daemon.kill()) await ended;
      removeCgroups(this.#cgroup);
    }
  }
}

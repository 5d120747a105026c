import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ringfortBin } from './cli.js';

/** What the shell in the terminal asks with; inside a container it is another. */
export const prompt = 'host>';

/** A terminal with a shell in it, of a tmux server of its own. `$ringfort` is the command there. */
export class Terminal {
  readonly #directory = mkdtempSync(join(tmpdir(), 'tmux-'));
  #closed = false;
  /** pid of its shell. */
  readonly shell: number;

  constructor({ cols, rows }: { cols: number; rows: number }) {
    // Two words: one would be run by a shell of the user's, and bash takes PS1 away.
    this.#tmux('new-session', '-d', '-x', `${cols}`, '-y', `${rows}`, '/bin/sh', '-i');
    this.shell = Number(this.#tmux('list-panes', '-F', '#{pane_pid}'));
  }

  #tmux(...args: string[]): string {
    const { TMUX: _, ...rest } = process.env;
    const env = { ...rest, PS1: `${prompt} `, ringfort: ringfortBin, ENV: '', LC_ALL: 'C.UTF-8' };
    const socket = ['-S', join(this.#directory, 'socket'), '-f', '/dev/null'];
    const { status, stdout, stderr } = spawnSync('tmux', [...socket, ...args], {
      env,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** What it shows, without trailing spaces and empty lines. */
  screen(): string {
    return this.#tmux('capture-pane', '-p').trimEnd();
  }

  /** Types a line. */
  line(text: string): void {
    this.#tmux('send-keys', '-l', text);
    this.#tmux('send-keys', 'Enter');
  }

  /** Types keys by tmux's names: `C-c`. */
  keys(...names: string[]): void {
    this.#tmux('send-keys', ...names);
  }

  resize(cols: number, rows: number): void {
    this.#tmux('resize-window', '-x', `${cols}`, '-y', `${rows}`);
  }

  clear(): void {
    this.#tmux('send-keys', '-R');
    this.#tmux('clear-history');
  }

  /** Waits until it shows something; says what it shows instead where that never comes. */
  async until(pattern: RegExp): Promise<string> {
    for (let looks = 0; looks < 400; looks++, await sleep(50)) {
      const screen = this.screen();
      if (pattern.test(screen)) return screen;
    }
    throw new Error(`no ${pattern} in:\n${this.screen()}`);
  }

  /** Ends the server and everything in it; harmless twice. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      this.#tmux('kill-server');
    } finally {
      rmSync(this.#directory, { recursive: true, force: true });
    }
  }
}

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { readState } from '../../lib/detached/state.js';
import { succeed } from '../helpers/cli.js';
import { freshId, removeAll, runtimeDir } from '../helpers/detached.js';
import { hasEnded, until } from '../helpers/launches.js';
import { cgroups, command, linux, suite } from '../helpers/needs.js';
import { prompt, Terminal } from '../helpers/tmux.js';

/** pid of the program that the terminal's shell runs, or of what that has started first. */
function firstChild(pid: number): number {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return Number(children.trim().split(' ')[0]);
}

let terminal: Terminal;

/** Starts a command of ours; `mode` keeps the terminal's. */
async function start(line: string, ready: RegExp): Promise<void> {
  await terminal.until(new RegExp(`${prompt}$`));
  terminal.line('mode=$(stty -g)');
  terminal.line('clear');
  await terminal.until(new RegExp(`^${prompt}$`));
  terminal.line(line);
  await terminal.until(ready);
}

/** What the shell says of the command's end: its exit code, and whether the mode is as before. */
async function after(): Promise<string> {
  await terminal.until(new RegExp(`${prompt}$`));
  terminal.line('echo "code=$?" "$([ "$(stty -g)" = "$mode" ] && echo sa""me)".');
  const screen = await terminal.until(/^code=\d+ \w*\.$/m);
  return /^code=(.*)\.$/m.exec(screen)?.[1] ?? '';
}

/** The guest's shell: its size, a change of that, ^C. */
async function useShell(): Promise<void> {
  terminal.line('stty size');
  await terminal.until(/^30 100$/m);
  terminal.resize(90, 25);
  // The size is told when we hear of it: the guest's shell looks until it has.
  terminal.line('until [ "$(stty size)" = "25 90" ]; do sleep 0.1; done; echo resi""zed');
  await terminal.until(/^resized$/m);
  terminal.line('echo sta""rted; sleep 1000; echo not reached');
  await terminal.until(/^started$/m);
  terminal.keys('C-c');
  await terminal.until(/\^C/);
  terminal.line('echo al""ive');
  await terminal.until(/^alive$/m);
}

suite('ringfort under a terminal', [linux, cgroups, runtimeDir, command('tmux')], () => {
  beforeEach(() => {
    terminal = new Terminal({ cols: 100, rows: 30 });
  });
  afterEach(async () => {
    terminal.close();
    await removeAll();
  });

  /** A detached container. */
  async function box(...command: string[]): Promise<string> {
    const id = freshId();
    await succeed(['run', '-d', '--name', id, ...command]);
    return id;
  }

  const shells: [string, () => Promise<string>][] = [
    ['run -it', async () => '$ringfort run -it --stop-timeout 0 -e PS1=guest\\> sh'],
    ['exec -it', async () => `$ringfort exec -it -e PS1=guest\\> ${await box()} sh`],
  ];

  test.each(shells)('%s: size, ^C, ^D, and the terminal as before', async (_, line) => {
    await start(await line(), /guest>$/);
    await useShell();
    terminal.keys('C-d');
    // dash ends with what the last command did.
    expect(await after()).toBe('0 same');
  });

  test.each(shells)('%s: the guest is killed', async (_, line) => {
    await start(await line(), /guest>$/);
    terminal.line('kill -9 $$');
    expect(await after()).toBe('137 same');
  });

  test('run -it: we are told to end', async () => {
    await start('$ringfort run -it --stop-timeout 0 -e PS1=guest\\> sh', /guest>$/);
    process.kill(firstChild(terminal.shell), 'SIGTERM');
    expect(await after()).toBe('137 same');
  });

  test('run -it: the launcher is killed', async () => {
    await start('$ringfort run -it -e PS1=guest\\> sh', /guest>$/);
    process.kill(firstChild(firstChild(terminal.shell)), 'SIGKILL');
    expect(await after()).toBe('125 same');
  });

  test('exec -it: the monitor is killed', async () => {
    const id = await box();
    await start(`$ringfort exec -it -e PS1=guest\\> ${id} sh`, /guest>$/);
    process.kill(readState(id).monitorPid, 'SIGKILL');
    await terminal.until(/ringfort: the connection to the monitor has ended$/m);
    expect(await after()).toBe('1 same');
  });

  test('exec -it: we are told to end twice, and then the container is killed', async () => {
    const id = await box();
    const line = `$ringfort exec -it -e PS1=guest\\> ${id} sh`;
    await start(line, /guest>$/);
    const pid = firstChild(terminal.shell);
    process.kill(pid, 'SIGTERM');
    // An interactive shell does not care.
    terminal.line('echo sti""ll');
    await terminal.until(/^still$/m);
    process.kill(pid, 'SIGTERM');
    expect(await after()).toBe('143 same');
    await start(line, /guest>$/);
    await succeed(['kill', id]);
    expect(await after()).toBe('137 same');
  });

  test.each(shells)('%s: the terminal is closed', async (_, line) => {
    const directory = mkdtempSync(join(tmpdir(), 'ringfort-closed-'));
    try {
      await start(`${await line()} 2>${directory}/told`, /guest>$/);
      const pid = firstChild(terminal.shell);
      terminal.close();
      await until(() => hasEnded(pid));
      // Not of an abort of Node's, either.
      expect(readFileSync(join(directory, 'told'), 'utf8')).toBe('');
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('run -d: ^C, and the terminal’s end, are not its own', async () => {
    const id = freshId();
    // One job: its group is that of all three.
    await start(
      `( $ringfort run -d --name ${id} sleep 1000; echo rea""dy; sleep 999 )`,
      /^ready$/m,
    );
    terminal.keys('C-c');
    await terminal.until(new RegExp(`${prompt}$`));
    const { shell } = terminal;
    terminal.close();
    await until(() => hasEnded(shell));
    expect((await succeed(['ps', '-q', '--filter', `id=${id}`])).trim()).toBe(id);
    expect(await succeed(['exec', id, 'echo', 'alive'])).toBe('alive\n');
  });

  test('attach: the keys that detach, then its end', async () => {
    const id = await box('-it', '-e', 'PS1=guest> ', 'sh');
    const attach = async () => {
      await start(`$ringfort attach ${id}`, /attach/);
      // The terminal keeps it until somebody reads; the guest's shell answers.
      terminal.keys('Enter');
      await terminal.until(/guest>$/);
    };
    await attach();
    terminal.line('stty size; echo he""re');
    await terminal.until(/^30 100\nhere$/m);
    terminal.keys('C-p', 'C-q');
    expect(await after()).toBe('0 same');
    await attach();
    process.kill(firstChild(terminal.shell), 'SIGTERM');
    expect(await after()).toBe('143 same');
    expect((await succeed(['ps', '-q', '--filter', `id=${id}`])).trim()).toBe(id);
    await attach();
    terminal.line('exit 5');
    expect(await after()).toBe('5 same');
  });

  test('stats: the table is drawn again in its place', async () => {
    const id = await box('sleep', '1000');
    await start(`$ringfort stats ${id}`, /CPU %/);
    await terminal.until(/0\.\d\d%/);
    await succeed(['update', '--memory', '99m', id]);
    const screen = await terminal.until(/ \/ 99MiB /);
    expect(screen.match(/CONTAINER ID/g)).toHaveLength(1);
    expect(screen.split('\n')).toHaveLength(3);
    await succeed(['kill', id]);
    expect(await after()).toBe('0 same');
  });
});

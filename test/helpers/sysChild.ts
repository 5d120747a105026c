import { spawnSync } from 'node:child_process';

const sysUrl = new URL('../../lib/sys/index.js', import.meta.url).href;

const prelude = `
import fs from 'node:fs';
import os from 'node:os';
import * as sys from ${JSON.stringify(sysUrl)};
const report = (value) => fs.writeSync(1, JSON.stringify(value));
const code = (call) => { try { call(); return 'none'; } catch (error) { return error.code; } };
const status = (thread, field) =>
  fs.readFileSync('/proc/' + thread + '/status', 'utf8').match(new RegExp('^' + field + ':\\\\s*(.*)$', 'm'))[1];
const otherThreads = () =>
  fs.readdirSync('/proc/self/task').filter((id) => id !== String(process.pid)).map((id) => 'self/task/' + id);
`;

/**
 * Runs a module's text in a Node process of its own, for calls that change the process. In scope:
 * `sys` (all of ringfort/sys), `fs`, `os`, `code(call)` (the code of the error it throws, or
 * 'none'), `status(thread, field)` of /proc, `otherThreads()`, and `report(value)`, once.
 * @returns what was reported
 */
export function inChild(script: string, args: readonly string[] = []): unknown {
  const { status, signal, stdout, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '--eval', prelude + script, '--', ...args],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`the child ended with ${signal ?? status}: ${stderr}`);
  return JSON.parse(stdout);
}

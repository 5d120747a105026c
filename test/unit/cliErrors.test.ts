import { expect, test } from '@jest/globals';
import { describeError, UsageError } from '../../lib/cli/errors.js';
import {
  codeOfError,
  codeOfResult,
  codeOfSignal,
  type End,
  limitMessage,
} from '../../lib/cli/exitCode.js';
import { ContainerError, invalid, NotFoundError, PermissionError } from '../../lib/errors.js';

test('the hint is a line of its own', () => {
  const error = new ContainerError('ERR_X', 'it is broken', { hint: 'mend it' });
  expect(describeError(error)).toBe('ringfort: it is broken\n          mend it\n');
  expect(describeError(new ContainerError('ERR_X', 'it is broken'))).toBe(
    'ringfort: it is broken\n',
  );
});

test('a hint speaks of flags', () => {
  const hint = "name one as cgroupParent, or give the limits up with limits: 'none'";
  expect(describeError(new ContainerError('ERR_X', 'no', { hint }))).toBe(
    'ringfort: no\n          name one as --cgroup-parent, or give the limits up with --no-limits\n',
  );
});

test('an option of the library is named by its flag, where it has one', () => {
  expect(describeError(invalid('limits.memory', 'a size', 'x'))).toBe(
    'ringfort: --memory: expected a size, got "x"\n',
  );
  expect(describeError(invalid('mounts[0].type', 'a type'))).toBe(
    'ringfort: mounts[0].type: expected a type\n',
  );
});

test('anything else that is thrown is told as it is', () => {
  expect(describeError(new UsageError('--a: not beside --b'))).toBe(
    'ringfort: --a: not beside --b\n',
  );
  expect(describeError('text')).toBe('ringfort: text\n');
});

test('our own failures exit as docker does', () => {
  expect(codeOfError(new NotFoundError('ERR_PROGRAM_NOT_FOUND', ''))).toBe(127);
  expect(codeOfError(new PermissionError('ERR_PROGRAM_NOT_EXECUTABLE', ''))).toBe(126);
  expect(codeOfError(new NotFoundError('ERR_MOUNT_NOT_FOUND', ''))).toBe(125);
  expect(codeOfError(new UsageError(''))).toBe(125);
  expect(codeOfError(undefined)).toBe(125);
});

const exit: End = { exitCode: 0, signal: null, reason: 'exit', failed: false };

test('a program’s own exit code, 128 and a signal, 124 for a stopped one that says 0', () => {
  expect(codeOfResult(exit)).toBe(0);
  expect(codeOfResult({ ...exit, exitCode: 7, failed: true })).toBe(7);
  expect(codeOfResult({ ...exit, exitCode: null, signal: 'SIGKILL', failed: true })).toBe(137);
  expect(codeOfResult({ ...exit, reason: 'timeout', failed: true })).toBe(124);
  expect(codeOfResult({ ...exit, exitCode: 3, reason: 'timeout', failed: true })).toBe(3);
  expect(codeOfSignal('SIGTERM')).toBe(143);
  expect(codeOfSignal('SIGRTMIN+2' as NodeJS.Signals)).toBe(164);
});

test('a limit that ended the program is named with what it was', () => {
  expect(limitMessage('oom', { memory: '64MiB' })).toBe('killed: out of memory (limit 64MiB)');
  expect(limitMessage('oom', {})).toBe('killed: out of memory (the default limit)');
  expect(limitMessage('timeout', { timeout: 5000 })).toBe('killed: timeout after 5000 ms');
  expect(limitMessage('cpu-time', { cpuTime: 9 })).toBe('killed: 9 ms of CPU time are used up');
  expect(limitMessage('pids', { pids: 5 })).toBe('no more processes (limit 5)');
  expect(limitMessage('exit', {})).toBeUndefined();
  expect(limitMessage('signal', {})).toBeUndefined();
});

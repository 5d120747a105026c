import { expect, test } from '@jest/globals';
import { InvalidArgumentError } from 'commander';
import * as parse from '../../lib/cli/parse.js';

/** One test for each text: it is refused, and the error says what was expected. */
function refuses(name: string, call: (text: string) => unknown, rows: [string, string][]): void {
  test.each(rows)(`${name} refuses %j: expected %s`, (text, expected) => {
    expect(() => call(text)).toThrow(InvalidArgumentError);
    expect(() => call(text)).toThrow(expected);
  });
}

test.each([
  ['250', 250],
  ['0', 0],
  ['250ms', 250],
  ['5s', 5000],
  ['1.5m', 90_000],
  ['2h', 7_200_000],
])('the duration %s is %d ms', (text, ms) => {
  expect(parse.parseDuration(text)).toBe(ms);
});
refuses('a duration', parse.parseDuration, [
  ['', "such as '500ms'"],
  ['-1', 'ms'],
  ['5 s', 'ms'],
  ['5d', 'ms'],
  ['1e3', 'ms'],
]);

test('stop timeouts are seconds, -1 is for ever', () => {
  expect(parse.parseStopTimeout('3')).toBe(3000);
  expect(parse.parseStopTimeout('0')).toBe(0);
  expect(parse.parseStopTimeout('-1')).toBe(false);
});
refuses('a stop timeout', parse.parseStopTimeout, [
  ['1.5', 'whole seconds'],
  ['-2', 'whole seconds'],
]);

test('numbers may have a sign and a fraction', () => {
  expect(['0.5', '.5', '-500', '7'].map(parse.parseNumber)).toEqual([0.5, 0.5, -500, 7]);
});
refuses('a number', parse.parseNumber, [
  ['', 'a number'],
  ['.', 'a number'],
  ['0x10', 'a number'],
  ['1k', 'a number'],
  ['Infinity', 'a number'],
]);

test('signals have a name with or without SIG, or a number', () => {
  expect(['SIGINT', 'INT', '9'].map(parse.parseSignal)).toEqual(['SIGINT', 'SIGINT', 9]);
});
refuses('a signal', parse.parseSignal, [
  ['SIGNONE', 'a signal'],
  ['sigint', 'a signal'],
  ['constructor', 'a signal'],
]);

test('variables come from the text, or by name from the host', () => {
  const host = { TOKEN: 'secret' };
  expect(parse.parseVariable('A=b=c', host)).toEqual(['A', 'b=c']);
  expect(parse.parseVariable('A=', host)).toEqual(['A', '']);
  expect(parse.parseVariable('TOKEN', host)).toEqual(['TOKEN', 'secret']);
  expect(parse.parseVariable('ABSENT', host)).toBeUndefined();
});
refuses('a variable', (text) => parse.parseVariable(text, {}), [
  ['', 'KEY=value'],
  ['=x', 'key=value'],
]);

test('an env file has a variable a line, unquoted, and comments', () => {
  const text = '# comment\n\nA=1\r\n  B="two words"\nTOKEN\nABSENT\nC=#no comment\n';
  expect(parse.parseEnvFile(text, { TOKEN: 'secret' })).toEqual([
    ['A', '1'],
    ['B', '"two words"'],
    ['TOKEN', 'secret'],
    ['C', '#no comment'],
  ]);
});

test('ulimits are soft and hard', () => {
  const infinity = Number.POSITIVE_INFINITY;
  expect(parse.parseUlimit('nofile=1024:2048')).toEqual(['RLIMIT_NOFILE', [1024, 2048]]);
  expect(parse.parseUlimit('core=0')).toEqual(['RLIMIT_CORE', [0, 0]]);
  expect(parse.parseUlimit('stack=1:-1')).toEqual(['RLIMIT_STACK', [1, infinity]]);
  expect(parse.parseUlimit('cpu=unlimited')).toEqual(['RLIMIT_CPU', [infinity, infinity]]);
});
refuses('a ulimit', parse.parseUlimit, [
  ['nofile', "'name=soft'"],
  ['nofile=', "'name=soft'"],
  ['nofile=1:2:3', "'name=soft'"],
  ['nofile=1k', "'name=soft'"],
]);

test('a tmpfs is a path with options', () => {
  const mount = { destination: '/x', type: 'tmpfs', source: 'tmpfs' };
  expect(parse.parseTmpfs('/x')).toEqual({ ...mount, options: [] });
  expect(parse.parseTmpfs('/x:size=1m,ro')).toEqual({ ...mount, options: ['size=1m', 'ro'] });
});
refuses('a tmpfs', parse.parseTmpfs, [
  ['x', "'/path'"],
  ['/x:', "'/path'"],
  ['/x:ro:rw', "'/path'"],
]);

test('fields of CSV may be quoted', () => {
  expect(parse.parseCsv('a,b=c')).toEqual(['a', 'b=c']);
  expect(parse.parseCsv('a,"source=/x,y",c')).toEqual(['a', 'source=/x,y', 'c']);
  expect(parse.parseCsv('"say ""hi"""')).toEqual(['say "hi"']);
});
refuses('CSV', parse.parseCsv, [
  ['', 'fields'],
  ['a,,b', 'fields'],
  [',a', 'fields'],
  ['a,', 'fields'],
  ['"a', 'fields'],
  ['a"b"', 'fields'],
]);

test('a bind mount in docker’s words', () => {
  const bind = { destination: '/b', type: 'bind', source: '/a' };
  expect(parse.parseMount('type=bind,source=/a,target=/b')).toEqual({ ...bind, options: [] });
  expect(parse.parseMount('type=bind,src=/a,dst=/b,ro')).toEqual({ ...bind, options: ['ro'] });
  expect(parse.parseMount('type=bind,src=/a,destination=/b,readonly=false')).toEqual({
    ...bind,
    options: [],
  });
  expect(parse.parseMount('"src=/x,y",type=bind,target=/b,bind-propagation=rprivate')).toEqual({
    ...bind,
    source: '/x,y',
    options: ['rprivate'],
  });
});

test('a tmpfs mount in docker’s words', () => {
  expect(parse.parseMount('type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770')).toEqual({
    destination: '/t',
    type: 'tmpfs',
    source: 'tmpfs',
    options: ['size=1m', 'mode=1770'],
  });
});
refuses('a mount', parse.parseMount, [
  ['source=/a,target=/b', "'type=bind' or 'type=tmpfs'"],
  ['type=volume,source=a,target=/b', 'no volumes'],
  ['type=bind,source=/a', "'target='"],
  ['type=bind,source=/a,target=b', "'target='"],
  ['type=bind,target=/b', "'source='"],
  ['type=bind,source=/a,target=/b,tmpfs-size=1m', "no 'tmpfs-size' with type=bind"],
  ['type=tmpfs,source=/a,target=/b', "no 'source' with type=tmpfs"],
  ['type=bind,source=/a,target=/b,readonly=yes', "'true' or 'false'"],
]);

test('security options', () => {
  expect(parse.parseSecurityOption('seccomp=a=b.json')).toEqual({ seccomp: 'a=b.json' });
  expect(parse.parseSecurityOption('seccomp:unconfined')).toEqual({ seccomp: 'unconfined' });
  expect(parse.parseSecurityOption('apparmor=web')).toEqual({ apparmor: 'web' });
  expect(parse.parseSecurityOption('no-new-privileges')).toEqual({ noNewPrivileges: true });
  expect(parse.parseSecurityOption('no-new-privileges:false')).toEqual({ noNewPrivileges: false });
});
refuses('a security option', parse.parseSecurityOption, [
  ['seccomp', 'seccomp=FILE'],
  ['label=disable', 'seccomp=FILE'],
  ['no-new-privileges=maybe', "'true' or 'false'"],
]);

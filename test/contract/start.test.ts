import { execFileSync } from 'node:child_process';
import { expect, test } from '@jest/globals';

test('import starts no process, and Node ends by itself', () => {
  const script = `
    import { readdirSync, readFileSync } from 'node:fs';
    const tasks = () => readdirSync('/proc/self/task');
    await import('ringfort');
    const children = tasks().map((tid) => readFileSync(\`/proc/self/task/\${tid}/children\`, 'utf8'));
    console.log(JSON.stringify(children.join('')));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
    timeout: 60_000,
  });
  expect(JSON.parse(output)).toBe('');
});

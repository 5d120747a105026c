import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';

const lib = fileURLToPath(new URL('../../../lib/', import.meta.url));

/** Node's own, for what has the face of node:fs, and of its streams. */
const nodes = /^ERR_(FS|INVALID_ARG|STREAM)_|^ERR_OUT_OF_RANGE$/;

function codesIn(file: string): string[] {
  const source = readFileSync(join(lib, file), 'utf8');
  return [...source.matchAll(/'(ERR_[A-Z_]+)'/g)].map(([, code = '']) => code);
}

test('the docstring of ContainerError lists every code once, and no other', () => {
  const source = readFileSync(join(lib, 'errors.ts'), 'utf8');
  const [, text = ''] =
    /\n \* Everything that ringfort([\s\S]*?)\n \*\n \* Beside these/.exec(source) ?? [];
  const listed = [...text.matchAll(/`(ERR_[A-Z_]+)`/g)].map(([, code = '']) => code);
  const files = readdirSync(lib, { recursive: true, encoding: 'utf8' });
  const thrown = files.filter((file) => file.endsWith('.ts')).flatMap(codesIn);
  const own = [...new Set(thrown)].filter((code) => !nodes.test(code));
  expect(listed.sort()).toEqual(own.sort());
});

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { corpus, corpusFolder } from '../helpers/corpus.js';

// After a change of the protocol: node dist/test/helpers/corpus.js
test('the fuzzers start from what the encoder writes today', () => {
  const folders = readdirSync(corpusFolder);
  const names = folders.flatMap((folder) =>
    readdirSync(join(corpusFolder, folder)).map((file) => `${folder}/${file}`),
  );
  expect(names.sort()).toEqual(Object.keys(corpus()).sort());
  for (const [name, data] of Object.entries(corpus())) {
    expect([name, readFileSync(join(corpusFolder, name)).toString('hex')]).toEqual([
      name,
      data.toString('hex'),
    ]);
  }
});

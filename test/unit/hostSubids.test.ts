import { expect, test } from '@jest/globals';
import { intersect, merge, overlap, without } from '../../lib/host/idSpans.js';
import { parseSubids, readSubids, subidsOf } from '../../lib/host/subids.js';

const span = (start: number, count: number) => ({ start, count });

test('several extents by name and by uid are merged in ascending order', () => {
  const entries = parseSubids(
    'ann:300000:65536\nbob:100000:65536\n1000:365536:10\nann:200000:5\nann:200003:7\n',
  );
  expect(entries).toHaveLength(5);
  expect(subidsOf(entries, { uid: 1000, name: 'ann' })).toEqual([
    span(200000, 10),
    span(300000, 65546),
  ]);
  expect(subidsOf(entries, { uid: 1000 })).toEqual([span(365536, 10)]);
  expect(subidsOf(entries, { uid: 7, name: 'eve' })).toEqual([]);
});

test.each([
  ['too few fields', 'ann:100000'],
  ['too many fields', 'ann:100000:65536:1'],
  ['no owner', ':100000:65536'],
  ['an empty number', 'ann::65536'],
  ['a sign', 'ann:-1:65536'],
  ['a space', 'ann: 100000:65536'],
  ['hexadecimal', 'ann:0x10:65536'],
  ['what base 0 reads as octal', 'ann:0100000:65536'],
  ['a count of zero', 'ann:100000:0'],
  ['ids beyond the last', 'ann:4294967290:6'],
  ['a number beyond 32 bits', 'ann:1:99999999999'],
  ['a comment', '# ann:100000:65536'],
])('a line with %s grants nothing, and its neighbours still count', (_, line) => {
  const entries = parseSubids(`ann:500000:10\n${line}\n\nann:600000:10`);
  expect(subidsOf(entries, { uid: 1000, name: 'ann' })).toEqual([
    span(500000, 10),
    span(600000, 10),
  ]);
});

test('the last id there is can be granted', () => {
  expect(parseSubids('ann:4294967290:5')).toEqual([{ owner: 'ann', start: 4294967290, count: 5 }]);
});

test('a file that is not there grants nothing', () => {
  expect(readSubids('/nonexistent/subuid')).toEqual([]);
});

test('merging joins what touches; intersecting keeps it apart', () => {
  expect(merge([span(10, 5), span(0, 3), span(15, 1), span(12, 2)])).toEqual([
    span(0, 3),
    span(10, 6),
  ]);
  expect(intersect([span(0, 20)], [span(0, 10), span(10, 5), span(30, 5)])).toEqual([
    span(0, 10),
    span(10, 5),
  ]);
  expect(overlap(span(0, 10), span(10, 1))).toBe(false);
  expect(overlap(span(0, 10), span(9, 1))).toBe(true);
});

test('an id can be taken out at either end and in the middle', () => {
  expect(without([span(0, 3)], 0)).toEqual([span(1, 2)]);
  expect(without([span(0, 3)], 1)).toEqual([span(0, 1), span(2, 1)]);
  expect(without([span(0, 3)], 2)).toEqual([span(0, 2)]);
  expect(without([span(0, 3)], 3)).toEqual([span(0, 3)]);
});

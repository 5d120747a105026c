import type { OverlayRoot } from '../../options.js';
import { annotation, annotationPrefix } from '../annotations.js';
import type { IoRates } from '../limits.js';
import { device, idPool, maxAnnotation, user } from './options.js';
import { integer, list, object, oneOf, type Rule, record } from './rule.js';
import { absolutePath, checkText, matching, text } from './text.js';

const positive = integer(1, Number.MAX_SAFE_INTEGER);

const overlay = object<OverlayRoot>(
  {
    lower: list(absolutePath, 500, 1),
    upper: absolutePath,
    work: absolutePath,
    size: integer(4096, Number.MAX_SAFE_INTEGER),
  },
  { required: ['lower'] },
);

const io = object<IoRates>(
  { device, readBps: positive, writeBps: positive, readIops: positive, writeIops: positive },
  { required: ['device'] },
);

/** A rule for what a string holds as JSON. */
function json(rule: Rule): Rule {
  return (value, at) => {
    checkText(value, at);
    let parsed: unknown;
    try {
      parsed = JSON.parse(value);
    } catch {
      throw at.invalid('JSON', value);
    }
    rule(parsed, at);
  };
}

/** What each of our own annotations may hold. */
const own: Readonly<Record<(typeof annotation)[keyof typeof annotation], Rule>> = {
  [annotation.rootfs]: oneOf('host', 'overlay'),
  [annotation.overlay]: json(overlay),
  [annotation.limits]: oneOf('none'),
  [annotation.cpuTime]: matching(/^[1-9]\d{0,14}$/, 'ms as an integer'),
  [annotation.init]: oneOf('false', 'only'),
  [annotation.landlock]: oneOf('auto', 'require', 'off'),
  [annotation.cgroupParent]: absolutePath,
  [annotation.idPool]: json(idPool),
  [annotation.io]: json(list(io, 100)),
  [annotation.user]: user,
};

const rules: Readonly<Record<string, Rule>> = own;

const name: Rule = (value, at) => {
  matching(/./s, 'a name', maxAnnotation)(value, at);
  const isOurs = (value as string).startsWith(annotationPrefix);
  if (isOurs && !Object.hasOwn(rules, value as string)) {
    throw at.invalid(`one of ringfort's annotations: ${Object.keys(rules).join(', ')}`);
  }
};

const values = record(name, text(maxAnnotation));

/** A spec's annotations: anybody's, and of ringfort's own only those that exist. */
export const annotations: Rule = (value, at) => {
  values(value, at);
  for (const [key, element] of Object.entries(value as Record<string, string>)) {
    if (Object.hasOwn(rules, key)) rules[key]?.(element, at.key(key));
  }
};

import { signalNumber } from '../../result.js';
import { maxAnnotation } from './options.js';
import { optionsPlace } from './place.js';
import { boolean, object, type Rule, record } from './rule.js';
import { abortSignal, timer } from './runOptions.js';
import { text } from './text.js';

/** For what the call itself looks at; its name alone is checked here. */
const later: Rule = () => {};

const signal = abortSignal;

/** As of `createContainer`. */
const label = text(maxAnnotation);

/** What may be said to each method of a container whose options are few. */
const rules = {
  abortable: object<{ signal: unknown }>({ signal }),
  attach: object<{ stdin: unknown }>({ stdin: boolean }),
  list: object<{ all: unknown; labels: unknown }>({
    all: boolean,
    labels: record(label, label),
  }),
  logs: object<Record<'follow' | 'since' | 'tail' | 'stdout' | 'stderr' | 'signal', unknown>>({
    follow: boolean,
    since: later,
    tail: later,
    stdout: boolean,
    stderr: boolean,
    signal,
  }),
  remove: object<{ force: unknown }>({ force: boolean }),
  snapshot: object<{ path: unknown; signal: unknown }>({ path: later, signal }),
  stats: object<{ interval: unknown; signal: unknown }>({ interval: timer, signal }),
  stop: object<{ signal: unknown; timeout: unknown }>({
    signal: (value) => void signalNumber(value as NodeJS.Signals),
    timeout: timer,
  }),
};

/**
 * Checks the options of a call.
 * @throws InvalidSpecError `ERR_INVALID_OPTION`, also for a name that there is not
 */
export function checkCall(call: keyof typeof rules, options: unknown): void {
  rules[call](options, optionsPlace);
}

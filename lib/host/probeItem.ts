import type { ContainerError } from '../errors.js';
import type { ProbeItem } from './probe.js';

/** What an attempt found; `ok` unless it says otherwise. */
export type Finding = Partial<Pick<ProbeItem, 'status' | 'mend'>> & Pick<ProbeItem, 'detail'>;

/**
 * One item of the report: what the attempt found, or `missing` with what it threw.
 * @param mend what to do when it throws something that has no hint of its own
 */
export function attempt(
  id: string,
  title: string,
  mend: string | undefined,
  find: () => Finding,
): ProbeItem {
  try {
    return { id, title, status: 'ok', ...find() };
  } catch (error) {
    return { id, title, ...failure(error, mend) };
  }
}

/** An error as a finding: its code and first line, and its hint as what to do. */
export function failure(error: unknown, mend?: string): Finding & { status: 'missing' } {
  const { code, message, hint } = error as Partial<ContainerError>;
  const hintless = (message ?? String(error)).replace(hint === undefined ? '' : ` (${hint})`, '');
  const line = hintless.split('\n')[0] ?? '';
  const advice = hint ?? mend;
  return {
    status: 'missing',
    // a system error's message starts with its code already
    detail: code === undefined || line.startsWith(code) ? line : `${code}: ${line}`,
    ...(advice === undefined ? {} : { mend: advice }),
  };
}

import { isObject } from '../spec/rules/rule.js';
import type { DetachedState } from './state.js';

/**
 * Format of `state.json`, and of what a monitor and its clients say to each other; another one is
 * refused.
 */
export const version = 1;

/** A bigint in JSON: of seccomp's arguments. */
export const bigKey = '$bigint';

function revive(_key: string, value: unknown): unknown {
  if (!isObject(value) || !(bigKey in value)) return value;
  return BigInt(value[bigKey] as string);
}

const isText = (value: unknown): value is string => typeof value === 'string';
const isTexts = (value: unknown) => Array.isArray(value) && value.every(isText);
const isPath = (value: unknown) => isText(value) && value.startsWith('/');
const isTextTable = (value: unknown) => isObject(value) && Object.values(value).every(isText);
const isDigits = (value: unknown) => isText(value) && /^\d{1,20}$/.test(value);
const isCount = (value: unknown) => Number.isSafeInteger(value) && Number(value) > 0;

function isIdentity(value: unknown): boolean {
  return isObject(value) && isPath(value.path) && isDigits(value.inode) && isDigits(value.device);
}

function isCgroup(value: unknown): boolean {
  if (!isObject(value) || !isTexts(value.usageFiles) || !isObject(value.paths)) return false;
  const { unified, v1 } = value.paths;
  return (unified === undefined || isPath(unified)) && isTextTable(v1);
}

function isFacts(value: unknown): boolean {
  if (!isObject(value) || !isTexts(value.fileSources)) return false;
  return [value.uidMappings, value.gidMappings].every(Array.isArray);
}

function isStreams(value: unknown): boolean {
  const names = ['stdin', 'stdout', 'stderr', 'pty'];
  return isObject(value) && names.every((name) => typeof value[name] === 'boolean');
}

/** Whether it is as we write it, as far as the rest is lost without. */
function isState(value: unknown, id: string): value is DetachedState {
  if (!isObject(value) || value.version !== version || value.id !== id) return false;
  const { command, logs, cgroups } = value;
  return (
    [value.number, value.pid, value.monitorPid].every(Number.isSafeInteger) &&
    Number.isFinite(value.createdAt) &&
    isText(value.bootId) &&
    (command === undefined || isTexts(command)) &&
    [value.labels, value.reads].every(isTextTable) &&
    [value.spec, value.isolation].every(isObject) &&
    isFacts(value.facts) &&
    isStreams(value.streams) &&
    isObject(logs) &&
    [logs.maxSize, logs.maxFiles].every(isCount) &&
    isCgroup(value.cgroup) &&
    Array.isArray(cgroups) &&
    cgroups.every(isIdentity)
  );
}

/** A state from its text; undefined when it is damaged, another container's or version's. */
export function parseState(text: string, id: string): DetachedState | undefined {
  try {
    const state: unknown = JSON.parse(text, revive);
    return isState(state, id) ? state : undefined;
  } catch {
    return undefined;
  }
}

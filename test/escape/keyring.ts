import { run } from '../../lib/run.js';
import type { TextOptions } from '../helpers/containers.js';
import { drop, withPlanEdit } from './planEdit.js';

/*
 * Runs in a session keyring of its own, which a test process cannot give itself: whether a guest has
 * that one. Arguments: the probe, its place inside, options as JSON, `closed` or `open`.
 */
const [probe = '', place = '', options = '', state] = process.argv.slice(2);
const edit = state === 'open' ? drop('newKeyring') : undefined;
const keyring = async (mounts: string[]) => {
  const all: TextOptions = { ...JSON.parse(options), mounts, seccomp: 'unconfined' };
  return (await withPlanEdit(edit, () => run(place, ['keyring'], all))).stdout.trim();
};
const mounts = [`${probe}:${place}:ro`];
const [one, other] = [await keyring(mounts), await keyring(mounts)];
console.log(one === other ? `same ${one}` : 'others');

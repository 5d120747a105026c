import { readFileSync, statSync } from 'node:fs';
import { invalid } from '../errors.js';
import type { IoRates } from '../spec/limits.js';
import type { SpecResources, SpecThrottle } from '../spec/types.js';
import type { ParentFacts } from './facts.js';
import type { Setting } from './resources.js';
import { unsupported } from './unavailable.js';
import { ioWeight } from './weights.js';

type BlockIo = NonNullable<SpecResources['blockIO']>;

const throttles = [
  { list: 'throttleReadBpsDevice', v1: 'read_bps_device', v2: 'rbps', option: 'readBps' },
  { list: 'throttleWriteBpsDevice', v1: 'write_bps_device', v2: 'wbps', option: 'writeBps' },
  { list: 'throttleReadIOPSDevice', v1: 'read_iops_device', v2: 'riops', option: 'readIops' },
  { list: 'throttleWriteIOPSDevice', v1: 'write_iops_device', v2: 'wiops', option: 'writeIops' },
] as const;

/**
 * Writes for `io` (v2) or `blkio` (v1). On v1 only reads and direct writes are throttled: writeback
 * of buffered pages is not charged to the writer there (cgroup-v1/blkio-controller.rst).
 * @throws UnsupportedError for a weight where no scheduler takes one
 */
export function ioSettings(io: BlockIo, facts: ParentFacts): Setting[] {
  const settings: Setting[] = [];
  if (io.weight !== undefined) settings.push(weightSetting(io.weight, facts));
  const byDevice = new Map<string, string[]>();
  for (const { list, v1, v2 } of throttles) {
    for (const { major, minor, rate } of io[list] ?? []) {
      const device = `${major}:${minor}`;
      if (facts.version === 1) {
        settings.push({ file: `blkio.throttle.${v1}`, data: `${device} ${rate}` });
      } else {
        byDevice.set(device, [...(byDevice.get(device) ?? []), `${v2}=${rate}`]);
      }
    }
  }
  for (const [device, keys] of byDevice) {
    settings.push({ file: 'io.max', data: `${device} ${keys.join(' ')}` });
  }
  return settings;
}

function weightSetting(weight: number, { weightFile }: ParentFacts): Setting {
  if (weightFile === undefined) {
    throw unsupported('controller io: neither io.weight nor io.bfq.weight is here', {
      option: 'linux.resources.blockIO.weight',
      hint: 'load the bfq scheduler, or use throttles',
    });
  }
  const value = weightFile === 'io.weight' ? ioWeight(weight) : weight;
  return { file: weightFile, data: String(value) };
}

/**
 * Adds the IO limits of devices that are named by path (or `major:minor`).
 * @throws InvalidSpecError for what is not a whole block device
 */
export function addIoLimits(
  { blockIO, ...rest }: SpecResources,
  limits: readonly IoRates[],
): SpecResources {
  if (limits.length === 0) return { ...rest, ...(blockIO !== undefined && { blockIO }) };
  const merged: BlockIo = { ...blockIO };
  for (const limit of limits) {
    const device = blockDevice(limit.device);
    for (const { list, option } of throttles) {
      const rate = limit[option];
      if (rate === undefined) continue;
      merged[list] = [...(merged[list] ?? []), { ...device, rate }];
    }
  }
  return { ...rest, blockIO: merged };
}

function blockDevice(device: string): Pick<SpecThrottle, 'major' | 'minor'> {
  const numbers = /^(\d{1,4}):(\d{1,7})$/.exec(device);
  if (numbers !== null) return { major: Number(numbers[1]), minor: Number(numbers[2]) };
  const stats = statSync(device, { throwIfNoEntry: false });
  if (stats?.isBlockDevice() !== true) {
    throw invalid('limits.io', 'a block device or major:minor', device);
  }
  // makedev(3): 12 bits of major, 20 of minor, interleaved.
  const rdev = BigInt(stats.rdev);
  const major = Number(((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n));
  const minor = Number((rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n));
  if (isPartition(major, minor)) {
    throw invalid('limits.io', 'a whole disk: the kernel does not throttle partitions', device);
  }
  return { major, minor };
}

function isPartition(major: number, minor: number): boolean {
  try {
    return readFileSync(`/sys/dev/block/${major}:${minor}/partition`, 'utf8') !== '';
  } catch {
    return false;
  }
}

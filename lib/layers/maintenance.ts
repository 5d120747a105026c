import { invalid } from '../errors.js';
import { FileAgent } from '../files/agent.js';
import { untilGone } from '../follow.js';
import { hostFacts } from '../host/hostFacts.js';
import { type Launched, launch } from '../launch.js';
import type { CreateOptions } from '../options.js';
import { launchFileAgent } from '../program.js';
import type { Spec } from '../spec/types.js';
import { createSpecOf, newId } from '../specOf.js';
import { openStreams } from '../streams.js';

/** What of a container's options decides with which ids and limits its layers are worked on. */
export type LayerOptions = Pick<CreateOptions, 'cgroupParent' | 'idPool' | 'limits'>;

/** Whose layers are worked on. */
export interface LayersOf {
  spec?: Spec | undefined;
  options?: LayerOptions | undefined;
}

/** Of a container's options those that its layers need, as plain data. */
export function layerOptionsOf({ cgroupParent, idPool, limits }: CreateOptions): LayerOptions {
  return {
    ...(limits === 'none' && { limits }),
    ...(cgroupParent !== undefined && { cgroupParent }),
    ...(idPool !== undefined && { idPool }),
  };
}

/** A directory of the host that the maintenance container shows. */
export interface ShownDirectory {
  source: string;
  /** One name below the root: `/from`. */
  at: string;
  writable?: boolean;
}

/**
 * Beside those of every agent: to keep set-group-ID bits of groups that we are not in, and to set
 * file capabilities (capabilities(7)).
 */
const extraCapabilities = ['CAP_FSETID', 'CAP_SETFCAP'];

/** Owners must be the same numbers on both sides of a copy: for root that takes an idmapped mount. */
function bind({ source, at, writable = false }: ShownDirectory) {
  const access = writable ? 'rw' : 'ro';
  const owners = hostFacts().privileged ? ['idmap'] : [];
  // No guest's program runs there, so that no source is one.
  const options = ['bind', access, 'dangerous', ...owners];
  return { type: 'bind', source, destination: at, options };
}

function optionsOf({ spec, options = {} }: LayersOf): CreateOptions {
  const { uidMappings, gidMappings } = spec?.linux ?? {};
  return {
    ...layerOptionsOf(options),
    ...(uidMappings !== undefined && { uidMappings }),
    ...(gidMappings !== undefined && { gidMappings }),
  };
}

async function start(options: CreateOptions): Promise<Launched> {
  const id = newId();
  const streams = openStreams({ stdio: 'ignore' });
  try {
    const spec = createSpecOf(id, options);
    const onSent = () => streams.sent();
    return await launch({ id, spec, fds: streams.fds, lives: true, onSent });
  } catch (error) {
    streams.destroy();
    throw error;
  }
}

/**
 * A container in which no program runs, only a file agent of ours, which works on layers of others
 * with their ids: for an ordinary user, whose layers hold files of subordinate ids, there is no
 * other way; and for everybody, it has no power over anything but what it is shown.
 */
export class Maintenance implements AsyncDisposable {
  readonly agent: FileAgent;
  readonly #launched: Launched;

  private constructor(launched: Launched) {
    this.#launched = launched;
    this.agent = new FileAgent(async () => {
      return (await launchFileAgent(launched, newId(), extraCapabilities)).fd;
    });
  }

  /**
   * @param lower layers to show merged at `/lower`, the first on top
   * @throws as `createContainer`
   */
  static async open(
    of: LayersOf,
    shown: readonly ShownDirectory[],
    lower: readonly string[] = [],
  ): Promise<Maintenance> {
    const odd = lower.find((path) => path.includes(':'));
    if (odd !== undefined) throw invalid('rootfs.lower', "paths without ':'", odd);
    const merged = { type: 'overlay', destination: '/lower' };
    const mounts = [
      ...shown.map(bind),
      ...(lower.length > 0 ? [{ ...merged, options: [`lowerdir=${lower.join(':')}`] }] : []),
    ];
    const options = { mounts, ...optionsOf(of) };
    try {
      return new Maintenance(await start(options));
    } catch (error) {
      if ((error as { code?: string }).code !== 'ERR_CGROUP_UNAVAILABLE') throw error;
      // Limits keep a layer of endless depth from using up the kernel's memory; no guest runs here.
      return new Maintenance(await start({ ...options, limits: 'none' }));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.agent.close();
    this.#launched.kill();
    await untilGone(this.#launched);
  }
}

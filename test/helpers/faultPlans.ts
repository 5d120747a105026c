import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { closeSync, mkdirSync, openSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Container, type ContainerError, createContainer, Pool } from '../../lib/index.js';
import { launch } from '../../lib/launch.js';
import type { LauncherClient } from '../../lib/launcher/launcher.js';
import type { CreateOptions, RunOptions, SpawnOptions } from '../../lib/options.js';
import { newId, specOf } from '../../lib/specOf.js';
import { startSupervisor } from '../../lib/supervisor.js';
import { close } from '../../lib/sys/files.js';
import type { Role } from './faults.js';

/** Where an attempt may make things, and what it must not forget to name. */
export interface Place {
  /** A directory of its own. */
  directory: string;
  /** What the guest appends to says whether any of its instructions has run. */
  marks: string;
  /** Of the containers that were made here. */
  ids: string[];
}

function idIn({ ids }: Place): string {
  const id = newId();
  ids.push(id);
  return id;
}

/** How an attempt went, if no error was thrown before anything was started. */
export interface Attempt {
  /** Whether the caller has been told that the program runs. */
  started: boolean;
  /** It ended by itself, with 0, and all else was as it is without a fault. */
  ended: boolean;
  error?: unknown;
}

/** Something to do with a launcher, one of whose calls fails meanwhile. */
export interface FaultPlan {
  name: string;
  roles: readonly Role[];
  /** Prepares a row of attempts, without a fault. */
  prepare(place: Place): Promise<Prepared>;
}

/** Ready for an attempt. */
export interface Prepared {
  /** It is over: a container that it was in is ended. */
  attempt(): Promise<Attempt>;
  /** Of a container that was there before, and must be there afterwards. */
  box?: Container;
  /** It serves for one attempt only. */
  once?: boolean;
}

const says = ['sh', '-c', 'echo ran >&1'] as const;

/** A layer with the links that make /usr's programs work. */
function layer(place: Place): string {
  const path = join(place.directory, 'layer');
  mkdirSync(path);
  for (const name of ['usr', 'proc', 'sys', 'dev', 'tmp', 'etc']) mkdirSync(join(path, name));
  for (const name of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${name}`, join(path, name));
  return path;
}

function directories(place: Place, ...names: string[]): string[] {
  const paths = names.map((name) => join(place.directory, name));
  for (const path of paths) mkdirSync(path);
  return paths;
}

/** One launch, of a program that says that it ran. */
async function launchOnce(place: Place, options: RunOptions, pty: boolean): Promise<Attempt> {
  const id = idIn(place);
  const marks = openSync(place.marks, 'a+');
  const masters: number[] = [];
  try {
    const [file, ...args] = says;
    const script = pty ? ['-c', 'echo ran >> /marks'] : args;
    const terminal = pty ? { pty: { cols: 80, rows: 24 } } : {};
    const { ended } = await launch({
      id,
      spec: specOf(id, file, script, { ...options, ...terminal }),
      fds: pty ? [] : [marks, marks, marks],
      onPty: (fd) => masters.push(fd),
    });
    try {
      const { exitCode } = await ended;
      return { started: true, ended: exitCode === 0 };
    } catch (error) {
      return { started: true, ended: false, error };
    }
  } catch (error) {
    return { started: false, ended: false, error };
  } finally {
    closeSync(marks);
    for (const fd of masters) close(fd);
  }
}

function launches(name: string, optionsIn: (place: Place) => RunOptions, pty = false): FaultPlan {
  return {
    name,
    roles: ['launcher', 'child', 'init'],
    async prepare(place) {
      const options = optionsIn(place);
      return { attempt: () => launchOnce(place, options, pty) };
    },
  };
}

const held = ['CAP_NET_BIND_SERVICE'];
/** What a program that is no root keeps. */
const sets = { bounding: held, effective: held, permitted: held, inheritable: held, ambient: held };

function rich(place: Place): RunOptions {
  const [shared = ''] = directories(place, 'shared');
  return {
    mounts: [
      `${shared}:/shared:ro`,
      `${place.marks}:/marks:rw`,
      { destination: '/scratch', type: 'tmpfs', source: 'tmpfs', options: ['size=1m'] },
    ],
    limits: { memory: '64MiB', pids: 20, cpus: 1, cpuWeight: 50, nofile: 200 },
    ...(process.getuid?.() === 0 && {
      resources: { devices: [{ allow: true, type: 'c', major: 10, minor: 200, access: 'rw' }] },
    }),
    sysctl: { 'net.ipv4.ip_unprivileged_port_start': '0' },
    domainname: 'domain',
    capabilities: sets,
    user: 'nobody',
  };
}

/** One program in a container that lives. */
function spawned(box: Container, place: Place, options: SpawnOptions): Promise<Attempt> {
  const marks = openSync(place.marks, 'a+');
  const [file, ...args] = says;
  const stdio = options.pty === undefined ? { stdio: [marks, marks, marks] as const } : {};
  const attempt: Attempt = { started: false, ended: false };
  return new Promise((resolve) => {
    const program = box.spawn(file, args, { ...stdio, ...options });
    let output = '';
    program.stdout?.on('data', (chunk) => {
      output += chunk;
    });
    program.on('spawn', () => {
      attempt.started = true;
    });
    program.on('error', (error) => {
      attempt.error ??= error;
      if (!attempt.started) resolve(attempt);
    });
    program.on('close', (exitCode) => {
      attempt.ended = exitCode === 0;
      if (output !== '') writeFileSync(place.marks, output);
      resolve(attempt);
    });
  }).finally(() => closeSync(marks)) as Promise<Attempt>;
}

function programs(
  name: string,
  roles: readonly Role[],
  create: CreateOptions,
  options: SpawnOptions,
): FaultPlan {
  return {
    name,
    roles,
    async prepare(place) {
      const box = await createContainer({ ...create, id: idIn(place) });
      return { box, attempt: () => spawned(box, place, options) };
    },
  };
}

async function end(box: Container, { detached = false }: CreateOptions): Promise<void> {
  if (!detached) return box[Symbol.asyncDispose]();
  try {
    await box.remove({ force: true });
  } catch (error) {
    // Its monitor has let go of us.
    if ((error as ContainerError).code !== 'ERR_DISCONNECTED') throw error;
    await Container.remove(box.id, { force: true });
  }
}

/** A container from its start to its end; a program in it says that it ran. */
async function life(place: Place, options: CreateOptions): Promise<Attempt> {
  let box: Container;
  try {
    box = await createContainer({ ...options, id: idIn(place) });
  } catch (error) {
    return { started: false, ended: false, error };
  }
  const marks = openSync(place.marks, 'a+');
  try {
    if (options.start === false) await box.start();
    const [file, ...args] = says;
    const { exitCode } = await box.exec(file, args, { stdio: ['ignore', marks, marks] });
    await end(box, options);
    return { started: true, ended: exitCode === 0 };
  } catch (error) {
    await end(box, options).catch(() => {});
    return { started: true, ended: false, error };
  } finally {
    closeSync(marks);
  }
}

function lives(name: string, roles: readonly Role[], options: CreateOptions): FaultPlan {
  return {
    name,
    roles,
    prepare: async (place) => ({ attempt: () => life(place, options) }),
  };
}

/** A pool from its start to its end; the program that waits in its container says that it ran. */
const pooled: FaultPlan = {
  name: 'pooled',
  roles: ['launcher', 'child', 'init', 'program'],
  prepare: async (place) => ({
    async attempt() {
      const noteId = (message: unknown) => place.ids.push((message as { id: string }).id);
      subscribe('ringfort:container:create', noteId);
      const pool = new Pool({}, { max: 1 });
      try {
        const { container } = await pool.acquire();
        return await spawned(container, place, { limits: { pids: 10 } });
      } catch (error) {
        return { started: false, ended: false, error };
      } finally {
        await pool.close();
        unsubscribe('ringfort:container:create', noteId);
      }
    },
  }),
};

/** Calls on files, one of each kind. */
async function useFiles({ fs }: Container): Promise<string> {
  await fs.mkdir('/tmp/a/b', { recursive: true });
  await fs.writeFile('/tmp/a/file', 'text');
  await fs.appendFile('/tmp/a/file', ' more');
  await fs.rename('/tmp/a/file', '/tmp/a/b/file');
  await fs.copyFile('/tmp/a/b/file', '/tmp/a/copy');
  await fs.symlink('copy', '/tmp/a/link');
  await fs.chmod('/tmp/a/copy', 0o600);
  await fs.utimes('/tmp/a/copy', 1, 2);
  await fs.truncate('/tmp/a/b/file', 4);
  const names = await fs.readdir('/tmp/a', { recursive: true });
  const { size } = await fs.stat('/tmp/a/link');
  const texts = [
    await fs.readFile('/tmp/a/link', 'utf8'),
    await fs.readFile('/tmp/a/b/file', 'utf8'),
    await fs.readlink('/tmp/a/link'),
  ];
  await fs.rm('/tmp/a', { recursive: true });
  return [...names.map(String).sort(), size, ...texts].join(' ');
}

const filesSay = 'b b/file copy link 9 text more text copy';

const files: FaultPlan = {
  name: 'files',
  roles: ['launcher', 'files', 'program', 'init', 'joiner'],
  async prepare(place) {
    const box = await createContainer({ id: idIn(place) });
    return {
      box,
      once: true,
      async attempt() {
        try {
          const said = await useFiles(box);
          return { started: false, ended: said === filesSay };
        } catch (error) {
          return { started: false, ended: false, error };
        }
      },
    };
  },
};

/** A launcher from its start to its end. */
const start: FaultPlan = {
  name: 'launcher start',
  roles: ['launcher'],
  prepare: async () => ({
    async attempt() {
      let launcher: LauncherClient | undefined;
      try {
        ({ launcher } = await startSupervisor());
        return { started: false, ended: true };
      } catch (error) {
        return { started: false, ended: false, error };
      } finally {
        launcher?.close();
      }
    },
  }),
};

/** What is done with a launcher whose calls fail: everything that a launcher is asked for. */
export const faultPlans: readonly FaultPlan[] = [
  start,
  launches('host', () => ({})),
  launches('directory', (place) => ({ rootfs: layer(place), mounts: ['/usr:/usr:ro'] })),
  launches('overlay', (place) => {
    const [upper = '', work = ''] = directories(place, 'upper', 'work');
    return { rootfs: { lower: [layer(place)], upper, work }, mounts: ['/usr:/usr:ro'] };
  }),
  launches('rich, terminal', rich, true),
  launches('namespaces', () => ({
    namespaces: {
      time: 'new',
      // Another user's it is not for others.
      ...(process.getuid?.() === 0 && { net: { path: '/proc/self/ns/net' } }),
    },
  })),
  lives('container', ['launcher', 'child', 'init', 'program', 'joiner'], {}),
  lives('created, then started', ['launcher', 'child', 'joiner'], {
    start: false,
    command: ['sleep', '600'],
  }),
  programs('exec by init', ['launcher', 'init', 'program', 'joiner'], {}, { limits: { pids: 10 } }),
  programs(
    'terminal by init',
    ['launcher', 'program', 'joiner'],
    {},
    { pty: { cols: 80, rows: 24 } },
  ),
  programs(
    'exec by joiner',
    ['launcher', 'joiner'],
    { command: ['sleep', '600'] },
    { limits: { pids: 10 } },
  ),
  pooled,
  files,
  lives('detached', ['launcher', 'child', 'monitor'], {
    detached: true,
    command: ['sh', '-c', 'echo out; exec sleep 600'],
  }),
];

/** What the guests have written since the last call. */
export function takeMarks({ marks }: Place): string {
  const text = readFileSync(marks, 'utf8');
  writeFileSync(marks, '');
  return text.replaceAll('\r', '');
}

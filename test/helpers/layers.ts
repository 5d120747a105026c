import { createHash } from 'node:crypto';
import { chmodSync, mkdirSync, mkdtempSync, rmdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Directory } from '../../lib/files/directory.js';
import { readToEnd } from '../../lib/files/io.js';
import { fileProtocol } from '../../lib/files/protocol.js';
import { removeTree } from '../../lib/files/remove.js';
import type { Stats } from '../../lib/files/stats.js';
import { walk } from '../../lib/files/walk.js';
import type { Container, CreateOptions } from '../../lib/index.js';
import { attribute, attributeNames } from '../../lib/layers/attributes.js';
import { Maintenance } from '../../lib/layers/maintenance.js';
import { close } from '../../lib/sys/files.js';

const flags = fileProtocol.noFollow | fileProtocol.noSymlinks;
const about = { syscall: 'test' };
type KeptRoot = { lower: [string]; upper: string; work: string };

/** Directories of an overlay, in a place of their own. */
export class LayerBench {
  readonly path = mkdtempSync(join(tmpdir(), 'ringfort-layers-'));
  readonly rootfs: KeptRoot;

  /** @param files of the lower layer, beside what /usr's programs need */
  constructor(files: Record<string, string> = {}) {
    chmodSync(this.path, 0o755);
    const [lower, upper, work] = ['lower', 'upper', 'work'].map((name) => this.at(name)) as [
      string,
      string,
      string,
    ];
    for (const each of [lower, upper, work]) mkdirSync(each);
    for (const link of ['bin', 'lib', 'lib64']) symlinkSync(`usr/${link}`, join(lower, link));
    for (const [file, text] of Object.entries({ 'data/keep': 'keep', ...files })) {
      mkdirSync(join(lower, file, '..'), { recursive: true });
      writeFileSync(join(lower, file), text);
    }
    this.rootfs = { lower: [lower], upper, work };
  }

  at(name: string): string {
    return join(this.path, name);
  }

  get options(): CreateOptions & { rootfs: KeptRoot } {
    return { rootfs: this.rootfs, mounts: ['/usr:/usr:ro'] };
  }

  /** Everything in a layer as it lies on the disk, whoever may read it. */
  async listing(layer: string): Promise<Record<string, string>> {
    const maintenance = await Maintenance.open({}, [{ source: layer, at: '/layer' }]);
    try {
      return await list(maintenance);
    } finally {
      await maintenance[Symbol.asyncDispose]();
    }
  }

  /** Removes it, with files of every owner. */
  async remove(): Promise<void> {
    const shown = [{ source: this.path, at: '/bench', writable: true }];
    const maintenance = await Maintenance.open({}, shown);
    try {
      const { agent } = maintenance;
      const top = await Directory.open({ agent, about }, { path: Buffer.from('/bench') });
      const names: Buffer[] = [];
      for (let entry = await top.next(); entry !== undefined; entry = await top.next())
        names.push(entry.name);
      top.close();
      for (const name of names) await removeTree(agent, `/bench/${name}`);
    } finally {
      await maintenance[Symbol.asyncDispose]();
    }
    rmdirSync(this.path);
  }
}

async function list({ agent }: Maintenance): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  const path: string[] = [];
  const call = (...[op, request]: Parameters<Parameters<typeof attribute>[0]>) =>
    agent.call(op, request, about);
  const top = await Directory.open({ agent, about }, { path: Buffer.from('/layer') });
  const describe = async (stats: Stats, dir: number, name?: Buffer): Promise<string> => {
    const at = name === undefined ? { dir } : { dir, path: name, flags };
    const attributes = [];
    for (const each of await attributeNames(call, at))
      attributes.push(`${each}=${(await attribute(call, at, each))?.toString('hex')}`);
    const { uid, gid, mtimeNs, rdev } = stats;
    const facts = [stats.mode.toString(8), uid, gid, rdev, mtimeNs, ...attributes.sort()];
    if (stats.isSymbolicLink()) facts.push(`-> ${(await call('readlink', at)).data}`);
    if (stats.isFile()) facts.push(stats.size, stats.size > 1 << 24 ? '' : await hash(agent, at));
    return facts.join(' ');
  };
  found['/'] = await describe(top.stats, top.handle);
  for await (const visit of walk(top)) {
    if (visit.kind === 'leave') path.pop();
    if (visit.kind === 'leave') continue;
    const text = visit.name.toString('latin1');
    const name = ['', ...path, text].join('/');
    const stats = await visit.parent.lstat(visit.name);
    found[name] = await describe(stats, visit.parent.handle, visit.name);
    const shared = stats.isCharacterDevice() || stats.isDirectory();
    // Whiteouts share an inode with one that the overlay keeps elsewhere.
    if (!shared) found[name] += ` ${stats.nlink}`;
    if (visit.kind === 'enter') path.push(text);
  }
  return found;
}

async function hash(agent: Maintenance['agent'], at: object): Promise<string> {
  const { fd } = await agent.call('open', { ...at, numbers: [0, 0] }, about);
  try {
    return createHash('sha256')
      .update(await readToEnd(fd, 0))
      .digest('hex');
  } finally {
    close(fd);
  }
}

/** Everything below /data as a container sees it. */
export async function inside(box: Container): Promise<string> {
  const script = `cd /data && find . -printf '%p %y %m %U %G %n %s %T@ %l\\n' | sort &&
    find . -type f -size -16M -print0 | sort -z | xargs -0 sha256sum`;
  const { exitCode, stdout, stderr } = await box.shell(script, { uid: 0 });
  if (exitCode !== 0) throw new Error(stderr);
  // The size of a directory is its file system's affair, as is that it was merged.
  return stdout.replace(/^(\S+ d \d+ \d+ \d+) \d+ \d+ /gm, '$1 ');
}

/** Runs a script of Python in a container; it must say nothing. */
export async function python(box: Container, script: string): Promise<void> {
  const { exitCode, stdout, stderr } = await box.exec('python3', ['-c', script]);
  if (exitCode !== 0 || stdout !== '') throw new Error(`${exitCode}: ${stdout}${stderr}`);
}

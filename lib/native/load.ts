import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ContainerError, UnsupportedError } from '../errors.js';
import type { Binding } from './binding.js';

const root = fileURLToPath(new URL('../../../', import.meta.url));
let binding: Binding | undefined;

/** Which C library this Node was linked with, as prebuildify tags it. */
function libc(): 'glibc' | 'musl' {
  const header = (process.report?.getReport() as { header?: { glibcVersionRuntime?: string } })
    ?.header;
  return header?.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}

function candidates(): string[] {
  const prebuilds = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
  return [
    join(root, 'build', 'Release', 'ringfort.node'),
    join(prebuilds, `ringfort.${libc()}.node`),
    join(prebuilds, 'ringfort.node'),
  ];
}

/**
 * The native addon: a local build if there is one, else the prebuild that fits.
 * @throws UnsupportedError `ERR_UNSUPPORTED_PLATFORM` on anything but Linux
 * @throws ContainerError `ERR_ADDON_NOT_FOUND` when neither a build nor a prebuild loads
 */
export function loadBinding(): Binding {
  if (binding !== undefined) return binding;
  if (process.platform !== 'linux') {
    throw new UnsupportedError(
      'ERR_UNSUPPORTED_PLATFORM',
      `ringfort needs Linux, this is ${process.platform}`,
    );
  }
  const file = candidates().find((path) => existsSync(path));
  if (file === undefined) {
    throw new ContainerError('ERR_ADDON_NOT_FOUND', 'the native addon was not found', {
      path: candidates()[0],
      hint: 'run npm rebuild ringfort (needs a C++ toolchain and Python)',
    });
  }
  binding = createRequire(import.meta.url)(file) as Binding;
  return binding;
}

/** Path of the launcher program on disk, if it lies beside the addon. */
export function launcherPath(): string | undefined {
  return [
    join(root, 'build', 'Release', 'launcher'),
    join(root, 'prebuilds', `${process.platform}-${process.arch}`, 'launcher'),
  ].find((path) => existsSync(path));
}

/** The package's own version. */
export function packageVersion(): string {
  return (JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string })
    .version;
}

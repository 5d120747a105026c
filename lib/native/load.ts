import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ContainerError, UnsupportedError } from '../errors.js';
import type { Binding } from './binding.js';

let binding: Binding | undefined;

/**
 * The package's directory. Found out when it is needed: a bundler may have left no address of this
 * module, which is no reason for the whole program to fail at its start.
 */
function packageRoot(): string {
  return fileURLToPath(new URL('../../../', import.meta.url));
}

/** The C library this Node is linked with, as prebuildify tags it. musl has no libc.so.6. */
function libc(): 'glibc' | 'musl' {
  const maps = readFileSync('/proc/self/maps', 'latin1');
  return /\/libc(\.so\.6|-2\.\d+\.so)$/m.test(maps) ? 'glibc' : 'musl';
}

/** The addon's file: a local build if there is one, else the prebuild that fits. */
function addonPath(): string | undefined {
  const root = packageRoot();
  const built = join(root, 'build', 'Release', 'ringfort.node');
  if (existsSync(built)) return built;
  const prebuilt = join(root, 'prebuilds', `linux-${process.arch}`, `ringfort.${libc()}.node`);
  return existsSync(prebuilt) ? prebuilt : undefined;
}

/**
 * The native addon: a local build if there is one, else the prebuild that fits.
 * @throws UnsupportedError `ERR_UNSUPPORTED_PLATFORM` on anything but Linux on x64 or arm64
 * @throws ContainerError `ERR_ADDON_NOT_FOUND` when there is neither, or it does not load
 */
export function loadBinding(): Binding {
  if (binding !== undefined) return binding;
  const platform = `${process.platform}-${process.arch}`;
  if (platform !== 'linux-x64' && platform !== 'linux-arm64') {
    throw new UnsupportedError(
      'ERR_UNSUPPORTED_PLATFORM',
      `ringfort needs Linux on x64 or arm64, this is ${platform}`,
    );
  }
  const hint = 'run npm rebuild ringfort; it needs a C++17 compiler, make and Python 3';
  let path: string | undefined;
  try {
    path = addonPath();
  } catch (cause) {
    const message = 'the native addon cannot be looked for: this module has no address';
    const external = 'a bundler has taken the package in: mark ringfort as external';
    throw new ContainerError('ERR_ADDON_NOT_FOUND', message, { hint: external, cause });
  }
  if (path === undefined) {
    throw new ContainerError('ERR_ADDON_NOT_FOUND', `no native addon in ${packageRoot()}`, {
      hint,
    });
  }
  try {
    binding = createRequire(import.meta.url)(path) as Binding;
  } catch (cause) {
    const message = `the native addon ${path} does not load`;
    throw new ContainerError('ERR_ADDON_NOT_FOUND', message, { path, hint, cause });
  }
  return binding;
}

/** Path of the launcher program on disk, if it lies beside the addon. */
export function launcherPath(): string | undefined {
  const addon = addonPath();
  if (addon === undefined) return undefined;
  const launcher = join(dirname(addon), 'launcher');
  return existsSync(launcher) ? launcher : undefined;
}

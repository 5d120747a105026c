/** Major and minor version of a kernel: `[6, 18]`. */
export type KernelVersion = readonly [major: number, minor: number];

/** The oldest that ringfort runs on: 5.14 has cgroup.kill, and all else that a launch stands on. */
export const kernelFloor: KernelVersion = [5, 14];

/** The version in a release such as `6.1.0-18-amd64` (uname(2)); 0.0 where there is none. */
export function parseKernel(release: string): KernelVersion {
  const [, major = 0, minor = 0] = /^(\d+)\.(\d+)/.exec(release) ?? [];
  return [Number(major), Number(minor)];
}

/** Whether a kernel has that version or a newer one. */
export function atLeast(kernel: KernelVersion, [major, minor]: KernelVersion): boolean {
  return kernel[0] > major || (kernel[0] === major && kernel[1] >= minor);
}

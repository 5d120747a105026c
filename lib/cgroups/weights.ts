/**
 * `cpu.shares` (v1 and OCI, 2..262144, default 1024) as a v2 `cpu.weight` (1..10000, default 100).
 * The formula that runc 1.3.2 and crun 1.23 changed to in 2025: with L = log2(shares),
 * weight = ceil(10^((L² + 125 L) / 612 − 7/34)). Unlike the linear one before it, it maps the three
 * fixed points 2, 1024 and 262144 to 1, 100 and 10000, so that the default stays the default.
 * @see https://github.com/opencontainers/runc/issues/4772
 */
export function weightFromShares(shares: number): number {
  const log = Math.log2(shares);
  const weight = 10 ** ((log * log + 125 * log) / 612 - 7 / 34);
  // The fixed points are whole numbers that floating point may miss by a hair.
  return Math.min(10_000, Math.max(1, Math.ceil(weight - 1e-9)));
}

/**
 * The greatest `cpu.shares` that `weightFromShares` turns into this `cpu.weight` (1..10000): the
 * one that takes the default 100 back to the default 1024.
 */
export function sharesFromWeight(weight: number): number {
  let low = 2;
  let high = 262_144;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (weightFromShares(middle) > weight) high = middle - 1;
    else low = middle;
  }
  return low;
}

/** OCI `blockIO.weight` (10..1000) as a v2 `io.weight` (1..10000): linear, as OCI runtimes do it. */
export function ioWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

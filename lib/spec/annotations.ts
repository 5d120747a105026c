/**
 * What the OCI spec has no field for, as annotations. Only ringfort's own option compiler writes
 * them; options and images cannot (their `org.ringfort.` annotations are refused or inert).
 */
export const annotation = {
  /** `'host'` or `'overlay'`; absent: root.path is a directory. */
  rootfs: 'org.ringfort.rootfs',
  /** JSON of an `OverlayRoot`, sizes in bytes. */
  overlay: 'org.ringfort.overlay',
  /** `'none'`: limits were given up by name. */
  limits: 'org.ringfort.limits',
  /** CPU time limit in ms. */
  cpuTime: 'org.ringfort.cpu-time',
  /** `'false'`: the program itself is pid 1; `'only'`: there is no program but our init. */
  init: 'org.ringfort.init',
  /** `'auto'`, `'require'` or `'off'`. */
  landlock: 'org.ringfort.landlock',
  /** Parent cgroup as in /proc/self/cgroup. */
  cgroupParent: 'org.ringfort.cgroup-parent',
  /** JSON `{ hostID, size }` of the range that ids are taken from. */
  idPool: 'org.ringfort.id-pool',
  /** JSON of IO limits whose device is a path, resolved when the cgroup is planned. */
  io: 'org.ringfort.io',
  /** `user` option: `'name'` or `'name:group'`, looked up in the container's root. */
  user: 'org.ringfort.user',
} as const;

/** Prefix of all of them. */
export const annotationPrefix = 'org.ringfort.';

/** A host path whose bind mount would hand the host to the container. */
export interface DangerousSource {
  path: string;
  /** What a container that sees it can do. */
  reason: string;
  /** `'write'`: dangerous only where the mount is writable; `'any'`: read-only, too. */
  when: 'any' | 'write';
}

const engine = 'its clients start privileged containers on the host';

/**
 * What may not be a bind mount's source. A name is not enough, since a symlink or a second mount
 * leads to the same place: the host side compares device and inode of each of these that exists.
 */
export const dangerousSources: readonly DangerousSource[] = [
  { path: '/', reason: 'it holds every file of the host', when: 'any' },
  { path: '/proc', reason: "it shows and controls the host's processes and kernel", when: 'any' },
  { path: '/sys', reason: "it controls the host's devices and cgroups", when: 'any' },
  { path: '/sys/fs/cgroup', reason: "it controls the host's cgroups", when: 'any' },
  { path: '/dev', reason: "it holds the host's disks and memory", when: 'any' },
  { path: '/dev/shm', reason: "it holds the shared memory of the host's programs", when: 'any' },
  { path: '/run', reason: "it holds the sockets of the host's services", when: 'any' },
  { path: '/var', reason: "it holds the host's state, secrets of services included", when: 'any' },
  {
    path: '/var/lib',
    reason: "it holds the host's state, secrets of services included",
    when: 'any',
  },
  { path: '/etc', reason: "it holds the host's keys and password hashes", when: 'any' },
  { path: '/root', reason: "it holds the host administrator's keys", when: 'any' },
  { path: '/boot', reason: "it holds the host's kernel", when: 'any' },
  { path: '/usr', reason: 'the host runs the programs in it', when: 'write' },
  { path: '/bin', reason: 'the host runs the programs in it', when: 'write' },
  { path: '/sbin', reason: 'the host runs the programs in it', when: 'write' },
  { path: '/lib', reason: "the host's programs load the libraries in it", when: 'write' },
  { path: '/lib64', reason: "the host's programs load the libraries in it", when: 'write' },
  { path: '/run/docker.sock', reason: engine, when: 'any' },
  { path: '/run/podman/podman.sock', reason: engine, when: 'any' },
  { path: '/run/containerd/containerd.sock', reason: engine, when: 'any' },
  { path: '/run/crio/crio.sock', reason: engine, when: 'any' },
  { path: '/run/dbus/system_bus_socket', reason: "it commands the host's services", when: 'any' },
  { path: '/run/systemd/private', reason: "it commands the host's services", when: 'any' },
];

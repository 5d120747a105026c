import { native, returned } from './call.js';
import { descriptor, text, u32 } from './check.js';

/**
 * Gives the caller namespaces of its own, or ends its sharing of other things: unshare(2).
 *
 * Warning: acts on the calling thread only. CLONE_NEWUSER fails with EINVAL in any process that
 * has threads, so always in Node. After CLONE_NEWPID or CLONE_NEWTIME the thread itself stays
 * where it was and only its children are born in the new namespace. After CLONE_NEWPID (on older
 * kernels CLONE_NEWTIME too) it can start no further threads, so no worker either.
 * @param flags `CloneFlags.CLONE_NEW*`, CLONE_FS or CLONE_FILES, or-ed
 * @throws SyscallError
 */
export function unshare(flags: number): void {
  returned(native().unshare(u32('unshare.flags', flags)), 'unshare');
}

/**
 * Enters existing namespaces: setns(2).
 *
 * Warning: acts on the calling thread only. A user namespace cannot be entered from a process
 * with threads (EINVAL), nor a mount namespace by a thread that shares its root and working
 * directory with others (EINVAL; `unshare(CLONE_FS)` first). A pid or time namespace is entered
 * by the thread's future children only.
 * @param fd of a file in /proc/pid/ns, or a pidfd
 * @param nstype the `CLONE_NEW*` that a namespace file must be of, 0 for any; with a pidfd, the
 *   namespaces to enter
 * @throws SyscallError
 */
export function setns(fd: number, nstype: number): void {
  returned(native().setns(descriptor('setns.fd', fd), u32('setns.nstype', nstype)), 'setns');
}

/**
 * Sets the host name: sethostname(2).
 *
 * Warning: of the calling thread's UTS namespace, which is the host's unless the thread has
 * left it.
 * @param name at most 64 bytes
 * @throws SyscallError
 */
export function sethostname(name: string): void {
  returned(native().sethostname(text('sethostname.name', name)), 'sethostname');
}

/**
 * Sets the NIS domain name: setdomainname(2).
 *
 * Warning: of the calling thread's UTS namespace, as `sethostname`.
 * @param name at most 64 bytes
 * @throws SyscallError
 */
export function setdomainname(name: string): void {
  returned(native().setdomainname(text('setdomainname.name', name)), 'setdomainname');
}

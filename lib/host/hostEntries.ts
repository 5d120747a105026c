import { lstatSync, readdirSync, readlinkSync, type Stats } from 'node:fs';
import { posix } from 'node:path';
import type { HostEntry } from '../policy/facts.js';

/** Directories of programs and libraries; all but /usr are links into it on a merged system. */
const systemPaths = ['/usr', '/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32'];

/**
 * What of /etc is shown: files that programs in /usr do not work without, and that hold no secret
 * of the host. `*` stands for any further characters.
 */
const etcNames = [
  // The dynamic loader's, without which no program outside the default paths starts.
  ...['ld.so.cache', 'ld.so.conf', 'ld.so.conf.d', 'ld-musl-*'],
  // Where the system keeps the choice between versions of a program: cc, java, editor, awk.
  'alternatives',
  // Certificates and the settings of the TLS libraries. Private keys in there are not readable:
  // the container's ids own nothing on the host.
  ...['ssl', 'pki', 'ca-certificates', 'ca-certificates.conf', 'crypto-policies', 'gnutls'],
  // Names of users, services and hosts: getpwuid, getservbyname and the order they ask in.
  ...['passwd', 'group', 'nsswitch.conf', 'services', 'protocols', 'host.conf', 'gai.conf'],
  // Time, language and kind of system.
  ...['localtime', 'timezone', 'locale.alias', 'locale.conf', 'os-release', 'debian_version'],
  // Interpreters that keep part of their library or settings here.
  ...['python3*', 'java-*', 'perl', 'lua', 'ghostscript', 'ImageMagick-*', 'fonts', 'R'],
  // Terminals, line editing, and shells that are started interactively.
  ...['terminfo', 'inputrc', 'bash.bashrc', 'profile', 'shells', 'mime.types', 'magic'],
];

const etcPatterns = etcNames.map((name) => ({
  prefix: name.replace(/\*$/, ''),
  open: name.endsWith('*'),
}));

function isShownInEtc(name: string): boolean {
  return etcPatterns.some(({ prefix, open }) => (open ? name.startsWith(prefix) : name === prefix));
}

/** Whether a link's target is something that the container is shown, too. */
function staysInside(path: string, target: string, shown: ReadonlySet<string>): boolean {
  const end = posix.resolve(posix.dirname(path), target);
  for (let at = end; at !== '/'; at = posix.dirname(at)) if (shown.has(at)) return true;
  return false;
}

function entryOf(path: string, stats: Stats): HostEntry | undefined {
  if (stats.isSymbolicLink()) return { path, kind: 'symlink', target: readlinkSync(path) };
  if (stats.isDirectory()) return { path, kind: 'directory' };
  return stats.isFile() ? { path, kind: 'file' } : undefined;
}

function look(): HostEntry[] {
  const names = readdirSync('/etc').filter(isShownInEtc).sort();
  const entries = [...systemPaths, ...names.map((name) => `/etc/${name}`)].flatMap((path) => {
    const stats = lstatSync(path, { throwIfNoEntry: false });
    return (stats && entryOf(path, stats)) ?? [];
  });
  const shown = new Set(entries.map(({ path }) => path));
  return entries.filter(
    ({ path, target }) => target === undefined || staysInside(path, target, shown),
  );
}

let known: { stamp: string; entries: readonly HostEntry[] } | undefined;

/**
 * What a `rootfs: 'host'` container is shown of this host: /usr and its links, and an allow-list
 * of /etc; nothing of /home, /root, /var, /run, /srv, /opt. Links whose target is not shown are
 * left out. Looked up again only when `/` or `/etc` has changed.
 */
export function hostEntries(): readonly HostEntry[] {
  const stamp = ['/', '/etc'].map((path) => lstatSync(path).mtimeMs).join();
  if (known?.stamp !== stamp) known = { stamp, entries: look() };
  return known.entries;
}

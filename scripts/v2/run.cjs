// The kernel-facing suites where cgroup v2 is all there is: boots Debian's cloud kernel in QEMU, with
// this machine's files below it, and runs job.sh there. Needs root and the packages
// qemu-system-x86 linux-image-cloud-amd64 busybox-static cpio kmod; nothing on this machine changes.
// RINGFORT_JEST_ARGS is passed on to jest, RINGFORT_TEST_PASSES says which passes there are.
const { spawn, spawnSync } = require('node:child_process');
const { once } = require('node:events');
const fs = require('node:fs');
const { join } = require('node:path');
const { setTimeout: sleep } = require('node:timers/promises');

const root = join(__dirname, '../..');
/** The whole run, milliseconds; a guest that says nothing until then is a failure. */
const limitMs = 180 * 60_000;
/** What makes the emulated guest quicker, by a fifth in all, than QEMU's and the kernel's own choices. */
const quicker = {
  // Without `rep stosb` and `rep movsb`, which are emulated a byte at a time.
  cpu: 'max,-la57,-erms,-fsrm',
  // Every look at an hpet ends in QEMU. Code is translated once for all processes that have it at the
  // same address.
  kernel: 'tsc=reliable norandmaps cryptomgr.notests mitigations=off',
};
const modules = ['virtio_pci', 'virtio_console', 'virtio_blk', 'virtiofs', 'overlay'];

function found(what, paths) {
  const path = paths.find((each) => fs.existsSync(each));
  if (path === undefined) throw new Error(`${what}: none of ${paths.join(', ')} is here`);
  return path;
}

function output(file, args, options = {}) {
  const { status, error, stdout, stderr } = spawnSync(file, args, { ...options, encoding: 'utf8' });
  if (status !== 0) throw error ?? new Error(`${file}: ${stderr}`);
  return stdout;
}

function newestKernel() {
  const versions = fs
    .readdirSync('/lib/modules')
    .filter((each) => each.endsWith('-cloud-amd64') && fs.existsSync(`/boot/vmlinuz-${each}`))
    .sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  if (versions.length === 0) throw new Error('no kernel of linux-image-cloud-amd64 in /boot');
  return versions.at(-1);
}

/** Files of the modules, each after those that it needs. */
function moduleFiles(kernel) {
  const lines = modules.flatMap((name) =>
    output('modprobe', ['-S', kernel, '--show-depends', name]).split('\n'),
  );
  const files = lines.flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []);
  return [...new Set(files)];
}

function quoted(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

/** busybox, the modules, init.sh as /init, and what job.sh is to know. */
function makeInitramfs(temporary, kernel) {
  const tree = join(temporary, 'initramfs');
  for (const dir of ['bin', 'modules', 'proc', 'sys', 'dev', 'lower', 'rw', 'new'])
    fs.mkdirSync(join(tree, dir), { recursive: true });
  fs.copyFileSync(found('busybox-static', ['/bin/busybox']), join(tree, 'bin/busybox'));
  moduleFiles(kernel).forEach((file, at) => {
    fs.copyFileSync(file, join(tree, 'modules', `${String(at).padStart(2, '0')}.ko`));
  });
  for (const name of ['init', 'job']) {
    fs.copyFileSync(join(__dirname, `${name}.sh`), join(tree, name));
    fs.chmodSync(join(tree, name), 0o755);
  }
  const environment = {
    RINGFORT_ROOT: root,
    RINGFORT_NODE: process.execPath,
    RINGFORT_JEST_ARGS: process.env.RINGFORT_JEST_ARGS ?? '',
    RINGFORT_TEST_PASSES: process.env.RINGFORT_TEST_PASSES ?? 'self user',
  };
  const lines = Object.entries(environment).map(
    ([name, value]) => `export ${name}=${quoted(value)}\n`,
  );
  fs.writeFileSync(join(tree, 'environment'), lines.join(''));
  const names = fs.readdirSync(tree, { recursive: true }).join('\n');
  const image = join(temporary, 'initramfs.cpio');
  output('cpio', ['--quiet', '-o', '-H', 'newc', '-O', image], { cwd: tree, input: names });
  return image;
}

/** virtiofsd, which sees this machine's files through read-only mounts that only it has. */
async function shareFiles(temporary) {
  const socket = join(temporary, 'share.sock');
  const source = join(temporary, 'share');
  fs.mkdirSync(source);
  const script = `
    mount --bind / "$1" && mount -o remount,bind,ro "$1" || exit
    mount --bind "$2" "$1$2" && mount -o remount,bind,ro "$1$2" || exit
    exec "$3" --socket-path="$4" -o source="$1" -o cache=always -o sandbox=chroot`;
  const server = found('virtiofsd', ['/usr/libexec/virtiofsd', '/usr/lib/qemu/virtiofsd']);
  const log = fs.openSync(join(temporary, 'share.log'), 'w');
  const child = spawn(
    'unshare',
    ['--mount', '--propagation', 'private', 'sh', '-c', script, 'sh', source, root, server, socket],
    { stdio: ['ignore', log, log] },
  );
  for (let tries = 100; !fs.existsSync(socket); tries--) {
    if (tries === 0 || child.exitCode !== null)
      throw new Error(`virtiofsd: ${fs.readFileSync(join(temporary, 'share.log'), 'utf8')}`);
    await sleep(50);
  }
  return { child, socket };
}

function startGuest(temporary, kernel, image, socket) {
  // A disk for what overlay, virtiofs and tmpfs cannot do: idmapped mounts, IO limits.
  const disk = join(temporary, 'disk');
  fs.writeFileSync(disk, '');
  fs.truncateSync(disk, 1 << 30);
  const qemu = spawn(
    'qemu-system-x86_64',
    [
      ['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot'],
      ['-M', 'q35', '-accel', 'tcg,thread=multi', '-cpu', quicker.cpu, '-smp', '2', '-m', '3G'],
      ['-object', 'memory-backend-memfd,id=mem,size=3G,share=on', '-numa', 'node,memdev=mem'],
      ['-kernel', `/boot/vmlinuz-${kernel}`, '-initrd', image],
      ['-append', `console=ttyS0 loglevel=5 panic=-1 ${quicker.kernel}`],
      ['-serial', `file:${join(temporary, 'console')}`],
      ['-chardev', `socket,id=share,path=${socket}`],
      ['-device', 'vhost-user-fs-pci,chardev=share,tag=share'],
      ['-drive', `if=none,id=disk,format=raw,cache=unsafe,file=${disk}`],
      ['-device', 'virtio-blk-pci,drive=disk'],
      ['-device', 'virtio-serial-pci'],
      ['-add-fd', 'fd=3,set=1', '-chardev', 'file,id=output,append=on,path=/dev/fdset/1'],
      ['-device', 'virtserialport,chardev=output'],
      ['-chardev', `file,id=status,path=${join(temporary, 'status')}`],
      ['-device', 'virtserialport,chardev=status'],
    ].flat(),
    // Not its stdout: a port whose other end has seen the end of a file takes nothing any more.
    { stdio: ['ignore', 'inherit', 'inherit', 1] },
  );
  return qemu;
}

/** What job.sh exited with; anything but its own word is a failure. */
async function runGuest(temporary, children) {
  const kernel = newestKernel();
  const image = makeInitramfs(temporary, kernel);
  const { child: server, socket } = await shareFiles(temporary);
  children.push(server);
  const qemu = startGuest(temporary, kernel, image, socket);
  children.push(qemu);
  console.log(`booting Linux ${kernel} under emulation; this takes minutes`);
  const ended = await Promise.race([once(qemu, 'exit'), sleep(limitMs, 'late', { ref: false })]);
  const answer = join(temporary, 'status');
  const status = fs.existsSync(answer) ? fs.readFileSync(answer, 'utf8').trim() : '';
  if (/^\d+$/.test(status)) return Number(status);
  console.error(ended === 'late' ? `no answer in ${limitMs / 60_000} minutes` : 'no answer');
  console.error(fs.readFileSync(join(temporary, 'console'), 'utf8'));
  return 1;
}

async function main() {
  if (process.getuid() !== 0) throw new Error('expected root, who may make read-only mounts');
  const temporary = fs.mkdtempSync('/var/tmp/ringfort-v2-');
  const children = [];
  const end = async () => {
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    fs.rmSync(temporary, { recursive: true, force: true });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.once(signal, () => end().then(() => process.exit(1)));
  try {
    return await runGuest(temporary, children);
  } finally {
    await end();
  }
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error) => {
    console.error(error.message);
    process.exitCode = 1;
  },
);

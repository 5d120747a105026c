import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { run } from '../../lib/run.js';
import { sh } from '../helpers/containers.js';
import { cgroups, command, inUsr, linux, suite } from '../helpers/needs.js';

suite('ordinary programs under every default wall', [linux, cgroups], () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'ringfort-programs-'));
    chmodSync(directory, 0o755);
  });
  afterAll(() => rmSync(directory, { recursive: true }));

  suite('python', [inUsr('python3')], () => {
    test('threads, subprocesses, sockets, temporary files', async () => {
      const program = `
import concurrent.futures as f, multiprocessing as m, os, socket, subprocess, tempfile, threading
total = []
threads = [threading.Thread(target=total.append, args=(i,)) for i in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sum(total))
with f.ThreadPoolExecutor(4) as pool: print(sum(pool.map(lambda x: x * x, range(10))))
with m.get_context('fork').Pool(2) as pool: print(sum(pool.map(abs, range(-4, 0))))
print(subprocess.run(['echo', 'sub'], capture_output=True, text=True).stdout.strip())
a, b = socket.socketpair(); a.send(b'pair'); print(b.recv(9).decode())
with tempfile.NamedTemporaryFile() as t: print(os.path.dirname(t.name))
`;
      const { stdout, stderr } = await run('/usr/bin/python3', ['-'], { input: program });
      expect({ stdout, stderr }).toEqual({ stdout: '28\n285\n10\nsub\npair\n/tmp\n', stderr: '' });
    });
  });

  suite('node', [inUsr('node')], () => {
    test('workers, children, timers, crypto, files', async () => {
      const program = `
        const { Worker } = require('node:worker_threads');
        const { execFileSync } = require('node:child_process');
        const fs = require('node:fs');
        fs.writeFileSync('/tmp/x', 'file');
        console.log(execFileSync('cat', ['/tmp/x'], { encoding: 'utf8' }));
        console.log(require('node:crypto').createHash('sha256').update('').digest('hex').slice(0, 8));
        new Worker('require("worker_threads").parentPort.postMessage("worker")', { eval: true })
          .on('message', (text) => setTimeout(() => console.log(text), 5));`;
      const { stdout, stderr } = await run('/usr/bin/node', ['-e', program]);
      expect({ stdout, stderr }).toEqual({ stdout: 'file\ne3b0c442\nworker\n', stderr: '' });
    });
  });

  suite('gcc', [inUsr('gcc')], () => {
    test('compiles, links and runs a program with threads', async () => {
      const program = `
        #include <pthread.h>
        #include <stdio.h>
        static void *go(void *at) { *(int *)at = 7; return 0; }
        int main(void) { pthread_t t; int n = 0; pthread_create(&t, 0, go, &n);
          pthread_join(t, 0); printf("%d\\n", n); return 0; }`;
      const build = 'cat > /tmp/a.c && gcc -O2 -pthread -o /tmp/a /tmp/a.c && /tmp/a';
      // gcc finds its linker by PATH.
      const env = { PATH: '/usr/bin:/bin' };
      const { stdout, stderr } = await run('sh', ['-c', build], { input: program, env });
      expect({ stdout, stderr }).toEqual({ stdout: '7\n', stderr: '' });
    });
  });

  suite('perl', [inUsr('perl')], () => {
    test('forks and reads a pipe', async () => {
      const program = 'open(my $p, "-|", "echo from child") or die; print <$p>; print 6*7, "\\n"';
      expect((await run('perl', ['-e', program])).stdout).toBe('from child\n42\n');
    });
  });

  suite('java', [inUsr('java')], () => {
    test('starts its threads and says its version', async () => {
      const limits = { memory: '1GiB', pids: 256 };
      const { stdout, stderr, exitCode } = await run('java', ['-Xmx64m', '-version'], { limits });
      expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 0 });
      expect(stderr).toMatch(/version/);
    });
  });

  suite('git', [inUsr('git')], () => {
    test('commits', async () => {
      const script = `cd /tmp && git init -q r && cd r && echo x > f && git add f &&
        git -c user.name=a -c user.email=a@b commit -qm one && git log --format=%s && git status -s`;
      expect(await sh(script, { env: { HOME: '/root', PATH: '/usr/bin:/bin' } })).toBe('one\n');
    });
  });

  suite('the shell and its tools', [command('tar'), command('find'), command('sort')], () => {
    test('tar, sort, find, xargs, sed, awk, dd, job control', async () => {
      writeFileSync(join(directory, 'list'), 'c\nb\na\n');
      const script = `cd /tmp && mkdir d && cp /mnt/list d && tar cf - d | tar xf - -C /run
        sort /run/d/list | head -1; find /run -name list -newer /etc/hostname | wc -l
        find /run/d -type f -print0 | xargs -0 wc -l | sed 's/ .*//'; awk '{n++} END {print n}' d/list
        dd if=/dev/zero bs=1k count=2 status=none | wc -c
        sleep 9 & kill $!; wait; (exit 3); echo $?; timeout 0.01 sleep 9; echo $?; nice -n 5 echo nice`;
      const out = await sh(script, { mounts: [`${directory}:/mnt:ro`] });
      expect(out).toMatch(/^a\n[01]\n3\n3\n2048\n3\n124\nnice\n$/);
    });
  });
});

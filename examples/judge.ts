// A judge: compiles a C program in one container, runs it against a test in another, and says
// OK, WA (wrong answer), CE (does not compile), TLE (time), MLE (memory), OLE (output) or RE
// (run-time error).
//   node dist/examples/judge.js
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunResult, run } from 'ringfort';

/** One task: what goes in, what must come out, and what it may cost. */
export interface Task {
  input: string;
  expected: string;
  cpuTime: number;
  wallTime: number;
  memory: string;
}

/** The judge's word, and what the program used. */
export interface Verdict {
  verdict: 'OK' | 'WA' | 'CE' | 'TLE' | 'MLE' | 'OLE' | 'RE';
  detail: string;
}

function verdictOf(result: RunResult, expected: string): Verdict {
  const { usage, reason } = result;
  const detail = `${usage.cpuTimeMs.toFixed(0)} ms CPU, ${result.durationMs.toFixed(0)} ms, ${usage.peakMemoryBytes ?? 0} bytes`;
  switch (reason) {
    case 'timeout':
      return { verdict: 'TLE', detail: `wall time; ${detail}` };
    case 'cpu-time':
      return { verdict: 'TLE', detail: `CPU time; ${detail}` };
    case 'oom':
      return { verdict: 'MLE', detail };
    case 'output':
      return { verdict: 'OLE', detail };
  }
  if (result.failed)
    return {
      verdict: 'RE',
      detail: `${result.signal ?? `exit code ${result.exitCode}`}; ${detail}`,
    };
  return { verdict: result.stdout === expected ? 'OK' : 'WA', detail };
}

/** Compiles and runs one submission. */
export async function judge(source: string, task: Task): Promise<Verdict> {
  const dir = await mkdtemp(join(tmpdir(), 'judge-'));
  try {
    await chmod(dir, 0o755);
    await writeFile(join(dir, 'main.c'), source);
    const compiled = await run('gcc', ['-O1', '-o', 'main', 'main.c'], {
      // The environment is empty unless given, and gcc looks for its linker in PATH.
      env: { PATH: '/usr/bin' },
      mounts: [{ type: 'bind', source: dir, destination: '/work', options: ['rw', 'rbind'] }],
      cwd: '/work',
      timeout: 30_000,
      limits: { memory: '512MiB', pids: 64 },
    });
    if (compiled.failed) return { verdict: 'CE', detail: compiled.stderr };
    const result = await run('/work/main', [], {
      mounts: [`${dir}:/work:ro`],
      input: task.input,
      timeout: task.wallTime,
      forceKillAfterDelay: 100,
      limits: { memory: task.memory, cpuTime: task.cpuTime, pids: 8 },
      maxBuffer: '64KiB',
      maxBufferAction: 'kill',
    });
    return verdictOf(result, task.expected);
  } finally {
    await rm(dir, { recursive: true });
  }
}

const submissions: Record<string, string> = {
  'adds two numbers':
    '#include <stdio.h>\nint main(){int a,b;scanf("%d%d",&a,&b);printf("%d\\n",a+b);}',
  'adds wrongly': '#include <stdio.h>\nint main(){puts("4");}',
  'never ends': 'int main(){for(;;);}',
  'sleeps for ever': '#include <unistd.h>\nint main(){for(;;)pause();}',
  'eats memory':
    '#include <stdlib.h>\n#include <string.h>\nint main(){for(;;){char*p=malloc(1<<20);if(p)memset(p,1,1<<20);}}',
  'never stops talking': '#include <stdio.h>\nint main(){for(;;)puts("spam");}',
  crashes: 'int main(){volatile int*p=0;return*p;}',
  'does not compile': 'int main({',
};

const task: Task = {
  input: '1 2\n',
  expected: '3\n',
  cpuTime: 1000,
  wallTime: 4000,
  memory: '64MiB',
};

for (const [name, source] of Object.entries(submissions)) {
  const { verdict, detail } = await judge(source, task);
  console.log(`${verdict.padEnd(4)}${name} (${detail.split('\n')[0]})`);
}

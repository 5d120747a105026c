// Biome over the TypeScript, clang-format and clang-tidy over the C++. With --fix the two
// formatters write. The clang tools are skipped with a notice where they are not installed, and
// missed where RINGFORT_MUST_RUN=1. Each linter's verdict is one line: `lint <name>: passed`.
const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync } = require('node:fs');
const { join } = require('node:path');

const root = join(__dirname, '..');
const fix = process.argv.includes('--fix');

function run(file, args) {
  return spawnSync(file, args, { cwd: root, stdio: 'inherit' }).status === 0;
}

/** The tool's name here; version 14 first, because versions format differently. */
function findClang(tool) {
  return [`${tool}-14`, tool].find((name) => spawnSync(name, ['--version']).status === 0);
}

function nativeFiles(folders, pattern) {
  return folders
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) => readdirSync(join(root, folder)).map((name) => `${folder}/${name}`))
    .filter((file) => pattern.test(file));
}

function biome() {
  const args = fix ? ['check', '--write'] : ['check', '--diagnostic-level=warn'];
  return run(process.execPath, [
    require.resolve('@biomejs/biome/bin/biome'),
    ...args,
    '--error-on-warnings',
  ]);
}

function clangFormat(tool) {
  const folders = [
    ...['native', 'native/launcher', 'native/addon'],
    ...['test/native', 'test/probe/probe', 'bench/limit'],
  ];
  const mode = fix ? ['-i'] : ['--dry-run', '-Werror'];
  return run(tool, [...mode, ...nativeFiles(folders, /\.(cc?|h)$/)]);
}

function clangTidy(tool) {
  const { include } = require('node-addon-api');
  const headers = join(require.resolve('node-api-headers/package.json'), '..', 'include');
  const nodeHeaders = join(process.execPath, '..', '..', 'include', 'node');
  const addonFlags = [include.replaceAll('"', ''), headers, nodeHeaders].map(
    (path) => `-isystem${path}`,
  );
  const check = (folder, flags) =>
    // One process for each core at most; xargs fails when any of them does.
    spawnSync(
      'xargs',
      ['-P2', '-I{}', tool, '--quiet', '{}', '--', '-std=c++17', '-Inative', ...flags],
      {
        cwd: root,
        input: nativeFiles([folder], /\.cc$/).join('\n'),
        stdio: ['pipe', 'inherit', 'ignore'],
      },
    ).status === 0;
  const launcher = check('native/launcher', ['-DRINGFORT_FREESTANDING', '-ffreestanding']);
  const addon = check('native/addon', [
    ...addonFlags,
    '-DNAPI_VERSION=9',
    '-DNAPI_DISABLE_CPP_EXCEPTIONS',
  ]);
  return launcher && addon;
}

function lint(name, check, tool) {
  if (tool === undefined && name !== 'biome') {
    const must = process.env.RINGFORT_MUST_RUN === '1';
    console.log(`lint ${name}: ${must ? 'failed' : 'skipped'}: ${name}-14 is not installed`);
    return !must;
  }
  const passed = check(tool);
  console.log(`lint ${name}: ${passed ? 'passed' : 'failed'}`);
  return passed;
}

const passed = [
  lint('biome', biome),
  lint('clang-format', clangFormat, findClang('clang-format')),
  fix || lint('clang-tidy', clangTidy, findClang('clang-tidy')),
];
process.exitCode = passed.every(Boolean) ? 0 : 1;

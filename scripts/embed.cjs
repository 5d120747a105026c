// Turns the launcher program into a C++ array, so that the addon carries it as bytes.
const { readFileSync, writeFileSync } = require('node:fs');
const [, , input, output] = process.argv;
const bytes = readFileSync(input);
writeFileSync(
  output,
  `#include "addon/launcher_bytes.h"
namespace ringfort {
alignas(16) const unsigned char kLauncherBytes[] = {${bytes.join(',')}};
const unsigned long kLauncherSize = ${bytes.length};
}
`,
);

// The launcher program, carried inside the addon. scripts/embed.cjs writes the definition.
#pragma once

namespace ringfort {
extern const unsigned char kLauncherBytes[];
extern const unsigned long kLauncherSize;
}  // namespace ringfort

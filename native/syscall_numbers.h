// System calls that the headers of the oldest supported build (Debian 11) do not all have. From 424
// on a call has the same number on every architecture.
#pragma once

namespace ringfort::nr {

constexpr long pidfd_send_signal = 424;
constexpr long open_tree = 428;
constexpr long move_mount = 429;
constexpr long fsopen = 430;
constexpr long fsconfig = 431;
constexpr long fsmount = 432;
constexpr long pidfd_open = 434;
constexpr long clone3 = 435;
constexpr long close_range = 436;
constexpr long openat2 = 437;
constexpr long mount_setattr = 442;
constexpr long landlock_create_ruleset = 444;
constexpr long landlock_add_rule = 445;
constexpr long landlock_restrict_self = 446;

}  // namespace ringfort::nr

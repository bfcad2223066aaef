#pragma once
// Which process on which host wrote a file, and whether it still lives. Private to src/store.

#include <string>

#include <sys/types.h>

namespace dln {

[[nodiscard]] std::string host_name();

/// When the process began, in the kernel's own words; "" when there is no such process (or no
/// /proc). With boot_id() it tells a process from a later one with the same number.
[[nodiscard]] std::string process_start(pid_t pid);

/// Changes with every boot of this host; "" when unknown.
[[nodiscard]] std::string boot_id();

/// In which process numbers of this kernel are counted (containers have their own); "" when unknown.
[[nodiscard]] std::string process_namespace();

/// True when a process with this number exists on this host.
[[nodiscard]] bool process_exists(pid_t pid);

}  // namespace dln

#include "store/process_identity.hpp"

#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <sstream>

#include <unistd.h>

namespace dln {

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) {
        return "unknown";
    }
    return name.data();
}

std::string process_start(pid_t pid) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    const std::string line{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    // proc(5): the second field, the name in parentheses, may hold anything; the 22nd is the start
    // time.
    const std::size_t end_of_name = line.rfind(')');
    if (end_of_name == std::string::npos) {
        return "";
    }
    std::istringstream rest(line.substr(end_of_name + 1));
    std::string field;
    for (int number = 3; number <= 22; ++number) {
        rest >> field;
        if (number == 3 && (field == "Z" || field == "X")) {
            return "";  // dead, not yet reaped
        }
    }
    return field;
}

std::string boot_id() {
    std::ifstream file("/proc/sys/kernel/random/boot_id");
    std::string id;
    std::getline(file, id);
    return id;
}

std::string process_namespace() {
    std::array<char, 64> target{};
    const ssize_t length = ::readlink("/proc/self/ns/pid", target.data(), target.size());
    return length < 0 ? "" : std::string(target.data(), static_cast<std::size_t>(length));
}

bool process_exists(pid_t pid) { return ::kill(pid, 0) == 0 || errno == EPERM; }

}  // namespace dln

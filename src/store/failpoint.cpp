#include "dln/store/failpoint.hpp"

#include <csignal>
#include <cstdlib>
#include <string_view>

namespace dln {

void failpoint(const char* name) {
    const char* wanted = std::getenv("DLN_FAILPOINT");
    if (wanted == nullptr) {
        return;
    }
    const std::string_view text(wanted);
    const std::size_t colon = text.find(':');
    if (text.substr(0, colon) != name) {
        return;
    }
    const char* count = colon == std::string_view::npos ? "1" : wanted + colon + 1;
    static long passed = 0;
    if (++passed == std::strtol(count, nullptr, 10)) {
        std::raise(SIGKILL);
    }
}

}  // namespace dln

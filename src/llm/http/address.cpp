#include "llm/http/address.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <arpa/inet.h>

#include "dln/error.hpp"
#include "dln/text/utf8.hpp"

#include "llm/http/secret.hpp"

namespace dln::http {

namespace {

constexpr std::string_view kExpected = "Expected something like \"http://127.0.0.1:8000\".";

class Parser {
  public:
    Parser(std::string_view text, std::string_view place) : text_(text), place_(place) {}

    [[nodiscard]] Address parse() {
        Address address;
        if (text_.find_first_of("?#") != std::string_view::npos) {
            fail(
                "a query or fragment. Give the key by key_env or key_file, and only the base "
                "address");
        }
        std::string_view rest = text_;
        if (!take_scheme(rest, address.tls)) {
            fail("no scheme http:// or https://");
        }
        const auto slash = std::min(rest.find('/'), rest.size());
        take_authority(rest.substr(0, slash), address);
        address.path = rest.substr(slash);
        while (address.path.ends_with('/')) {
            address.path.pop_back();
        }
        check_path(address.path);
        return address;
    }

  private:
    [[noreturn]] void fail(std::string_view what) const {
        std::string shown = redact(text_, Secret());
        const auto sign = shown.rfind('@');
        if (sign != std::string::npos && shown.find("://") == std::string::npos) {
            shown = "[hidden]" + shown.substr(sign);
        }
        throw UsageError(fmt::format("{}: address \"{}\" has {}. {}", place_, printable(shown, 120),
                                     what, kExpected));
    }

    static bool take_scheme(std::string_view& rest, bool& tls) {
        for (const bool secure : {false, true}) {
            const std::string_view scheme = secure ? "https://" : "http://";
            const auto same = [](char a, char b) {
                return std::tolower(static_cast<unsigned char>(a)) == b;
            };
            if (rest.size() >= scheme.size() &&
                std::equal(scheme.begin(), scheme.end(), rest.begin(),
                           [&](char b, char a) { return same(a, b); })) {
                rest.remove_prefix(scheme.size());
                tls = secure;
                return true;
            }
        }
        return false;
    }

    void take_authority(std::string_view authority, Address& address) const {
        if (authority.find('@') != std::string_view::npos) {
            fail("a user part. Give the key by key_env or key_file");
        }
        std::string_view port;
        bool has_port = false;
        if (authority.starts_with('[')) {
            const auto end = authority.find(']');
            if (end == std::string_view::npos) {
                fail("a bracket that is not closed");
            }
            address.host = authority.substr(1, end - 1);
            port = authority.substr(end + 1);
            has_port = port.starts_with(':');
            if (!port.empty() && !has_port) {
                fail("something else than a port behind the host");
            }
            in6_addr bytes{};
            if (::inet_pton(AF_INET6, address.host.c_str(), &bytes) != 1) {
                fail("no IPv6 address in its brackets");
            }
        } else {
            const auto colon = std::min(authority.find(':'), authority.size());
            address.host = authority.substr(0, colon);
            port = authority.substr(colon);
            has_port = !port.empty();
            const bool sound = std::all_of(address.host.begin(), address.host.end(), [](char byte) {
                const auto c = static_cast<unsigned char>(byte);
                return c < 0x80 && (std::isalnum(c) != 0 || c == '.' || c == '-' || c == '_');
            });
            if (address.host.empty() || !sound) {
                fail(address.host.empty() ? "no host" : "a host with characters that no host has");
            }
        }
        std::transform(address.host.begin(), address.host.end(), address.host.begin(),
                       [](char byte) {
                           return static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
                       });
        address.port = has_port ? port_of(port.substr(1)) : (address.tls ? 443 : 80);
    }

    [[nodiscard]] int port_of(std::string_view digits) const {
        int port = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), port);
        if (error != std::errc() || end != digits.data() + digits.size() || port < 1 ||
            port > 65535) {
            fail("a port that is not in 1..65535");
        }
        return port;
    }

    void check_path(std::string_view path) const {
        constexpr std::string_view kForbidden = "\"<>\\^`{|}";
        const bool sound = std::all_of(path.begin(), path.end(), [&](char byte) {
            return byte > 0x20 && byte < 0x7f && kForbidden.find(byte) == std::string_view::npos;
        });
        if (!sound || path.find("//") != std::string_view::npos ||
            path.find("/..") != std::string_view::npos) {
            fail("a path with spaces, \"//\", \"/..\" or characters that need %-encoding");
        }
    }

    std::string_view text_;
    std::string_view place_;
};

}  // namespace

std::string Address::url() const {
    const bool v6 = host.find(':') != std::string::npos;
    return fmt::format("{}://{}{}{}:{}{}", tls ? "https" : "http", v6 ? "[" : "", host,
                       v6 ? "]" : "", port, path);
}

Address parse_address(std::string_view text, std::string_view place) {
    return Parser(text, place).parse();
}

bool is_loopback(const Address& address) {
    if (address.host == "localhost") {
        return true;
    }
    in_addr v4{};
    if (::inet_pton(AF_INET, address.host.c_str(), &v4) == 1) {
        return (ntohl(v4.s_addr) >> 24U) == 127;
    }
    in6_addr v6{};
    return ::inet_pton(AF_INET6, address.host.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

bool key_may_travel(const Address& address, bool allow_insecure) {
    return address.tls || is_loopback(address) || allow_insecure;
}

}  // namespace dln::http

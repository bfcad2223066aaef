// A hundred megabytes in a hundred kilobytes: for clients that must not unpack what they did not ask for.

#include <boost/beast/zlib/deflate_stream.hpp>
#include <boost/crc.hpp>

#include "fault_effects.hpp"

namespace fake_llm {
namespace {

namespace zlib = boost::beast::zlib;

constexpr std::size_t kPiece = 1 << 20;

void append_little_endian(std::string& out, std::uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) {
        out.push_back(static_cast<char>((value >> static_cast<unsigned>(shift)) & 0xffU));
    }
}

}  // namespace

std::string gzip_bomb(std::uint64_t bytes) {
    std::string out("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    zlib::deflate_stream deflate;
    boost::crc_32_type crc;
    const std::string spaces(kPiece, ' ');
    std::string packed(kPiece, '\0');
    std::uint64_t left = bytes;
    do {
        const auto now = static_cast<std::size_t>(std::min<std::uint64_t>(left, kPiece));
        left -= now;
        crc.process_bytes(spaces.data(), now);
        zlib::z_params state;
        state.next_in = spaces.data();
        state.avail_in = now;
        state.next_out = packed.data();
        state.avail_out = packed.size();
        boost::beast::error_code error;
        deflate.write(state, left == 0 ? zlib::Flush::finish : zlib::Flush::none, error);
        out.append(packed.data(), state.total_out);
    } while (left > 0);
    append_little_endian(out, crc.checksum());
    append_little_endian(out, static_cast<std::uint32_t>(bytes));
    return out;
}

}  // namespace fake_llm

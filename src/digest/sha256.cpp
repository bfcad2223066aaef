#include "dln/digest/sha256.hpp"

#include <array>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "dln/error.hpp"

namespace dln {

void Sha256::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    DLN_ASSERT(context_ && EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1,
               "OpenSSL has no SHA-256");
}

void Sha256::add(std::string_view bytes) {
    DLN_ASSERT(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1, "{} bytes",
               bytes.size());
}

std::string Sha256::finish() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned length = 0;
    DLN_ASSERT(EVP_DigestFinal_ex(context_.get(), digest.data(), &length) == 1, "SHA-256");
    return fmt::format("{:02x}", fmt::join(digest.data(), digest.data() + length, ""));
}

std::string sha256(std::string_view bytes) {
    Sha256 hash;
    hash.add(bytes);
    return hash.finish();
}

}  // namespace dln

#pragma once
// SHA-256 over bytes that come piece by piece. Private to src/store.

#include <memory>
#include <string>
#include <string_view>

#include <openssl/evp.h>

namespace dln {

class Sha256 {
  public:
    Sha256();
    void add(std::string_view bytes);
    /// The digest in hexadecimal. Call once, last.
    [[nodiscard]] std::string finish();

  private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

[[nodiscard]] std::string sha256(std::string_view bytes);

}  // namespace dln

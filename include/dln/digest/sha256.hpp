#pragma once
// SHA-256 over bytes that come piece by piece: identity of jobs and data, seals of step files. The only
// place of OpenSSL. Any rank.

#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace dln {

class Sha256 {
  public:
    Sha256();
    void add(std::string_view bytes);
    /// The digest in hexadecimal. Call once, last.
    [[nodiscard]] std::string finish();

  private:
    struct Free {
        void operator()(evp_md_ctx_st* context) const;
    };
    std::unique_ptr<evp_md_ctx_st, Free> context_;
};

[[nodiscard]] std::string sha256(std::string_view bytes);

}  // namespace dln

#include "llm/http/refused_exchange.hpp"

namespace dln::http {
namespace {

std::size_t items_of(const ScoreRequest& request) { return request.items.size(); }
std::size_t items_of(const GenerateRequest& request) { return request.items.size(); }
std::size_t items_of(const EmbedRequest& request) { return request.texts.size(); }

class RefusedExchange final : public Exchange {
  public:
    RefusedExchange(const Request& request, std::string why)
        : why_(std::move(why)), reply_(failed_reply(request, why_)) {
        usage_.calls = std::visit(
            [](const auto& asked) { return static_cast<std::int64_t>(items_of(asked)); }, request);
    }
    std::vector<Call> begin() override { return {}; }
    Verdict take(std::size_t /*index*/, std::string_view /*body*/) override {
        return {.kind = Verdict::Kind::refused, .reason = why_};
    }
    Verdict fail(std::size_t /*index*/,
                 int /*status*/,
                 std::string_view /*body*/,
                 std::string_view /*reason*/) override {
        return {.kind = Verdict::Kind::refused, .reason = why_};
    }
    bool done() const override { return true; }
    Reply take_reply() override { return std::move(reply_); }
    Usage usage() const override { return usage_; }

  private:
    std::string why_;
    Reply reply_;
    Usage usage_;
};

}  // namespace

std::unique_ptr<Exchange> make_refused_exchange(const Request& request, const std::string& why) {
    return std::make_unique<RefusedExchange>(request, why);
}

}  // namespace dln::http

// The communicator of a program that runs alone.

#include <utility>

#include "dln/comm/communicator.hpp"
#include "dln/error.hpp"

namespace dln {
namespace {

class LocalSum final : public PendingSum {
  public:
    explicit LocalSum(std::vector<std::int64_t> values) : values_(std::move(values)) {}
    bool done() override { return true; }
    std::vector<std::int64_t> take() override { return std::move(values_); }

  private:
    std::vector<std::int64_t> values_;
};

class LocalCommunicator final : public Communicator {
  public:
    [[nodiscard]] int rank() const noexcept override { return 0; }
    [[nodiscard]] int size() const noexcept override { return 1; }
    std::string broadcast(std::string bytes) override { return bytes; }
    bool all_of(bool ok) override { return ok; }
    void send(int destination, std::string /*bytes*/) override {
        throw InternalError(
            fmt::format("send to rank {} of 1: there is no other rank", destination));
    }
    std::optional<Message> receive() override { return std::nullopt; }
    std::unique_ptr<PendingSum> start_sum(std::vector<std::int64_t> values) override {
        return std::make_unique<LocalSum>(std::move(values));
    }
    std::unique_ptr<Communicator> split(int /*group*/) override {
        return std::make_unique<LocalCommunicator>();
    }
};

}  // namespace

std::unique_ptr<Communicator> make_local_communicator() {
    return std::make_unique<LocalCommunicator>();
}

}  // namespace dln

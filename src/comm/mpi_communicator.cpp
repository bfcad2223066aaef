// The communicator over MPI_COMM_WORLD, and over groups of its ranks.
//
// A message is sent in pieces of at most piece_bytes because MPI counts in int. The tag says
// whether more pieces follow; MPI keeps the order between two ranks, so the pieces of a message
// arrive one after another. A piece that was matched may still be under way (the sender makes
// progress only inside MPI calls and may be computing): it waits in `incoming_`, so that receive()
// never blocks.

#include "comm/mpi_communicator.hpp"

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <list>
#include <utility>

#include "dln/error.hpp"

#include "comm/mpi_handles.hpp"

namespace dln {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 30;
constexpr int kTagLastPiece = 0;
constexpr int kTagMorePieces = 1;

class MpiPendingSum final : public PendingSum {
  public:
    explicit MpiPendingSum(std::shared_ptr<MpiSum> sum) : sum_(std::move(sum)) {}
    bool done() override { return sum_->request.test("MPI_Ireduce"); }
    std::vector<std::int64_t> take() override {
        DLN_ASSERT(done(), "sum taken before it was done");
        return std::move(sum_->result);
    }

  private:
    std::shared_ptr<MpiSum> sum_;
};

class MpiCommunicator final : public Communicator {
  public:
    /// `library` may be null when someone else keeps MPI initialised.
    MpiCommunicator(std::unique_ptr<MpiLibrary> library, std::size_t piece_bytes)
        : exceptions_at_start_(std::uncaught_exceptions()),
          library_(std::move(library)),
          piece_bytes_(piece_bytes),
          partial_(static_cast<std::size_t>(comm_.size())) {
        DLN_ASSERT(piece_bytes > 0 && piece_bytes <= INT_MAX, "{} bytes a piece", piece_bytes);
    }
    /// The group of `all` that this rank is in; `all` keeps MPI initialised.
    MpiCommunicator(const MpiCommunicator& all, int group)
        : exceptions_at_start_(std::uncaught_exceptions()),
          piece_bytes_(all.piece_bytes_),
          comm_(all.comm_, group),
          partial_(static_cast<std::size_t>(comm_.size())) {}
    ~MpiCommunicator() override;

    [[nodiscard]] int rank() const noexcept override { return comm_.rank(); }
    [[nodiscard]] int size() const noexcept override { return comm_.size(); }
    std::string broadcast(std::string bytes) override;
    bool all_of(bool ok) override;
    void send(int destination, std::string bytes) override;
    std::optional<Message> receive() override;
    std::unique_ptr<PendingSum> start_sum(std::vector<std::int64_t> values) override;
    std::unique_ptr<Communicator> split(int group) override;

  private:
    void reap();
    bool match_incoming();
    std::optional<Message> take_arrived();
    void settle();

    int exceptions_at_start_;
    std::unique_ptr<MpiLibrary> library_;  // before comm_: finalised after it
    std::size_t piece_bytes_;
    MpiOwnComm comm_;
    std::list<MpiTransfer> outgoing_;
    std::list<MpiTransfer> incoming_;   // matched pieces in order of matching
    std::vector<std::string> partial_;  // per source: the pieces so far of an unfinished message
    std::list<std::shared_ptr<MpiSum>> sums_;
};

MpiCommunicator::~MpiCommunicator() {
    if (std::uncaught_exceptions() <= exceptions_at_start_) {
        try {
            settle();
            return;
        } catch (const std::exception& error) {
            std::fprintf(stderr, "rank %d: while closing MPI: %s\n", rank(), error.what());
        }
    }
    // Peers may be reading the buffers (shared memory) until abort_all_ranks ends the job: never
    // freed.
    static std::list<MpiTransfer> kept_transfers;
    static std::list<std::shared_ptr<MpiSum>> kept_sums;
    kept_transfers.splice(kept_transfers.end(), outgoing_);
    kept_transfers.splice(kept_transfers.end(), incoming_);
    kept_sums.splice(kept_sums.end(), sums_);
    comm_.abandon();
    static_cast<void>(library_.release());
}

/// Brings everything under way to an end, so that no send waits for a receiver that has left: every
/// rank takes and drops what still arrives until all ranks have nothing left to send.
void MpiCommunicator::settle() {
    MpiRequest barrier;
    bool in_barrier = false;
    while (!in_barrier || !barrier.test("MPI_Ibarrier")) {
        while (receive()) {
        }
        reap();
        if (!in_barrier && outgoing_.empty() && sums_.empty()) {
            check_mpi(MPI_Ibarrier(comm_.get(), barrier.out()), "MPI_Ibarrier");
            in_barrier = true;
        }
    }
    while (!incoming_.empty()) {
        static_cast<void>(take_arrived());
    }
}

void MpiCommunicator::reap() {
    outgoing_.remove_if([](MpiTransfer& transfer) { return transfer.request.test("MPI_Isend"); });
    sums_.remove_if([](const auto& sum) { return sum->request.test("MPI_Ireduce"); });
}

std::string MpiCommunicator::broadcast(std::string bytes) {
    std::uint64_t length = bytes.size();
    check_mpi(MPI_Bcast(&length, 1, MPI_UINT64_T, 0, comm_.get()), "MPI_Bcast");
    bytes.resize(length);
    for (std::size_t begin = 0; begin < length; begin += piece_bytes_) {
        const auto count = static_cast<int>(std::min(piece_bytes_, length - begin));
        check_mpi(MPI_Bcast(bytes.data() + begin, count, MPI_BYTE, 0, comm_.get()), "MPI_Bcast");
    }
    return bytes;
}

bool MpiCommunicator::all_of(bool ok) {
    const int mine = ok ? 1 : 0;
    int all = 0;
    check_mpi(MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, comm_.get()), "MPI_Allreduce");
    return all == 1;
}

void MpiCommunicator::send(int destination, std::string bytes) {
    DLN_ASSERT(destination >= 0 && destination < size() && destination != rank(),
               "rank {} of {} sends to rank {}", rank(), size(), destination);
    reap();
    const std::size_t length = bytes.size();
    std::size_t begin = 0;
    do {
        const std::size_t count = std::min(piece_bytes_, length - begin);
        const bool last = begin + count == length;
        MpiTransfer& piece = outgoing_.emplace_back();
        // Moved from in the only turn of the loop: NOLINTNEXTLINE(bugprone-use-after-move)
        piece.bytes = count == length ? std::move(bytes) : bytes.substr(begin, count);
        check_mpi(
            MPI_Isend(piece.bytes.data(), static_cast<int>(count), MPI_BYTE, destination,
                      last ? kTagLastPiece : kTagMorePieces, comm_.get(), piece.request.out()),
            "MPI_Isend");
        begin += count;
    } while (begin < length);
}

std::optional<Message> MpiCommunicator::receive() {
    // What is here already costs no look: one that finds nothing yields the core.
    if (auto message = take_arrived()) return message;
    reap();
    while (match_incoming()) {
    }
    return take_arrived();
}

/// Starts to receive one piece that some rank has sent, if there is one.
bool MpiCommunicator::match_incoming() {
    int found = 0;
    MPI_Message handle = MPI_MESSAGE_NULL;
    MPI_Status status;
    check_mpi(MPI_Improbe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_.get(), &found, &handle, &status),
              "MPI_Improbe");
    if (found == 0) {
        return false;
    }
    int count = 0;
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &count), "MPI_Get_count");
    MpiTransfer& piece = incoming_.emplace_back();
    piece.source = status.MPI_SOURCE;
    piece.last_piece = status.MPI_TAG == kTagLastPiece;
    piece.bytes.resize(static_cast<std::size_t>(count));
    check_mpi(MPI_Imrecv(piece.bytes.data(), count, MPI_BYTE, &handle, piece.request.out()),
              "MPI_Imrecv");
    return true;
}

/// The first message all of whose pieces are here. A source whose earlier piece is still under way
/// is passed over, so that the order of its messages holds.
std::optional<Message> MpiCommunicator::take_arrived() {
    std::vector<bool> held_up(partial_.size(), false);
    for (auto piece = incoming_.begin(); piece != incoming_.end();) {
        const auto source = static_cast<std::size_t>(piece->source);
        if (held_up[source] || !piece->request.test("MPI_Imrecv")) {
            held_up[source] = true;
            ++piece;
            continue;
        }
        std::string& bytes = partial_[source];
        bytes = bytes.empty() ? std::move(piece->bytes) : std::move(bytes) + piece->bytes;
        const bool complete = piece->last_piece;
        piece = incoming_.erase(piece);
        if (complete) {
            return Message{static_cast<int>(source), std::exchange(bytes, {})};
        }
    }
    return std::nullopt;
}

std::unique_ptr<PendingSum> MpiCommunicator::start_sum(std::vector<std::int64_t> values) {
    DLN_ASSERT(values.size() <= INT_MAX, "a sum of {} values", values.size());
    reap();
    auto sum = std::make_shared<MpiSum>();
    sum->values = std::move(values);
    if (rank() == 0) {
        sum->result.resize(sum->values.size());
    }
    sums_.push_back(sum);
    check_mpi(
        MPI_Ireduce(sum->values.data(), sum->result.data(), static_cast<int>(sum->values.size()),
                    MPI_INT64_T, MPI_SUM, 0, comm_.get(), sum->request.out()),
        "MPI_Ireduce");
    return std::make_unique<MpiPendingSum>(std::move(sum));
}

std::unique_ptr<Communicator> MpiCommunicator::split(int group) {
    return std::make_unique<MpiCommunicator>(*this, group);
}

}  // namespace

std::unique_ptr<Communicator> make_communicator_in_pieces(std::size_t piece_bytes) {
    return std::make_unique<MpiCommunicator>(nullptr, piece_bytes);
}

std::unique_ptr<Communicator> make_mpi_communicator() {
    return std::make_unique<MpiCommunicator>(std::make_unique<MpiLibrary>(), kPieceBytes);
}

void abort_all_ranks(int exit_code) {
    std::fflush(nullptr);
    int initialised = 0;
    int finalised = 0;
    MPI_Initialized(&initialised);
    MPI_Finalized(&finalised);
    if (initialised != 0 && finalised == 0) {
        MPI_Abort(MPI_COMM_WORLD, exit_code);
    }
    std::_Exit(exit_code);
}

}  // namespace dln

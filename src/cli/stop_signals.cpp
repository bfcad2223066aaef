#include "cli/stop_signals.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <string_view>

#include <fmt/format.h>
#include <unistd.h>

#include "dln/error.hpp"

namespace dln {
namespace {

struct NamedSignal {
    int number;
    const char* name;
};
constexpr std::array<NamedSignal, 3> kHandled{
    {{SIGUSR1, "SIGUSR1"}, {SIGTERM, "SIGTERM"}, {SIGINT, "SIGINT"}}};

// All that a handler may touch: it can run between any two instructions, in any thread.
std::atomic<int> received_signal{0};
std::atomic<bool> is_deferred{false};
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

void handle(int signal) {
    if (!is_deferred) ::_exit(static_cast<int>(ExitCode::submit_again));
    if (signal == SIGINT && received_signal == SIGINT) {
        std::signal(SIGINT, SIG_DFL);
        std::raise(SIGINT);  // delivered when this handler returns
        return;
    }
    received_signal = signal;
}

void set_handler(int signal, void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;  // a write that is under way is not cut short
    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, nullptr);
}

// Slurm sends SIGTERM at the end and SIGKILL after it: a minute before, both are far away.
constexpr std::chrono::seconds kBeforeJobEnd{60};
// What is under way is waited for no longer than this (kStopGrace), and files are written in between.
constexpr std::chrono::seconds kBeforeMaxHours{15};

std::optional<std::chrono::system_clock::time_point> slurm_job_end() {
    const char* text = std::getenv("SLURM_JOB_END_TIME");
    if (text == nullptr) return std::nullopt;
    const std::string_view digits(text);
    std::int64_t seconds = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), seconds);
    if (error != std::errc() || end != digits.data() + digits.size() || seconds <= 0) {
        return std::nullopt;
    }
    return std::chrono::system_clock::from_time_t(static_cast<std::time_t>(seconds));
}

}  // namespace

StopSignals::StopSignals() {
    received_signal = 0;
    is_deferred = false;
    for (const NamedSignal& signal : kHandled) set_handler(signal.number, handle);
}

StopSignals::~StopSignals() {
    for (const NamedSignal& signal : kHandled) set_handler(signal.number, SIG_DFL);
}

void StopSignals::defer() noexcept { is_deferred = true; }

std::string StopSignals::received() {
    const int number = received_signal;
    const auto* found = std::ranges::find(kHandled, number, &NamedSignal::number);
    return found == kHandled.end() ? std::string() : found->name;
}

StopTime::StopTime(double max_hours) {
    using std::chrono::system_clock;
    const auto take = [this](system_clock::time_point time, std::string name) {
        if (!nearest_ || time < nearest_->begin_stopping) nearest_ = {time, std::move(name)};
    };
    if (max_hours > 0.0) {
        const auto all = std::chrono::duration_cast<system_clock::duration>(
            std::chrono::duration<double, std::ratio<3600>>(max_hours));
        // Of a short time a tenth is enough: the run should still do something.
        take(
            system_clock::now() + all - std::min<system_clock::duration>(kBeforeMaxHours, all / 10),
            fmt::format("--max-hours {}", max_hours));
    }
    // A limit that was extended is not told: one that has passed is none.
    const auto end = slurm_job_end();
    if (end && *end - kBeforeJobEnd > system_clock::now()) {
        take(*end - kBeforeJobEnd, "the end of the Slurm job");
    }
}

std::string StopTime::reached() const {
    const bool is_due = nearest_ && std::chrono::system_clock::now() >= nearest_->begin_stopping;
    return is_due ? nearest_->name : std::string();
}

std::string stop_reason(const StopTime& time) {
    const std::string signal = StopSignals::received();
    return signal.empty() ? time.reached() : signal;
}

}  // namespace dln

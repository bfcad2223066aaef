#include "cli/sweep_dispatch.hpp"

#include <algorithm>
#include <thread>

#include <nlohmann/json.hpp>

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kEnd = "end";  // all groups are done
constexpr const char* kStop =
    "stop";  // another group was told to stop: save, and ask for nothing more

// Ranks that wait must not take a core from those that compute.
void pause_a_little() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

std::string wait_for_message(Communicator& world) {
    for (;;) {
        if (const auto message = world.receive()) return message->bytes;
        pause_a_little();
    }
}

// The settings go along: what a search decided only rank 0 knows.
std::string text_of(const Trial& trial) {
    return Json{{"trial", trial.number},
                {"pause_after", trial.pause_after},
                {"settings", settings_json(trial.settings)}}
        .dump();
}

std::string text_of(const TrialReport& report) {
    Json json{{"stopping", report.is_stopping}};
    if (report.ended) json["ended"] = *report.ended;
    if (report.metric) json["metric"] = *report.metric;
    return json.dump();
}

TrialReport report_of(const std::string& text) {
    const Json json = Json::parse(text);
    TrialReport report{.ended = {}, .metric = {}, .is_stopping = json.at("stopping").get<bool>()};
    if (json.contains("ended")) report.ended = json["ended"].get<std::uint64_t>();
    if (json.contains("metric")) report.metric = json["metric"].get<double>();
    return report;
}

}  // namespace

Trial trial_of(const std::string& text, const Trials& trials) {
    const Json json = Json::parse(text);
    Trial trial = trials.trial(json.at("trial").get<std::uint64_t>());
    trial.pause_after = json.at("pause_after").get<std::int64_t>();
    trial.settings = settings_of(json.at("settings"));
    return trial;
}

void LookPace::looked(bool found, Time now) {
    looked_ = now;
    interval_ = found ? kShortest : std::min(2 * interval_, kLongest);
}

void Dispatcher::learn(const TrialReport& report) {
    if (report.ended) source_.ended(*report.ended, report.metric);
    if (report.is_stopping) has_stopped_ = true;
}

void Dispatcher::answer_waiting() {
    while (!waiting_.empty()) {
        std::optional<Trial> trial;
        if (!has_stopped_) trial = source_.next();
        if (!trial && !is_over()) return;
        if (!trial) --others_left_;
        const int rank = waiting_.front();
        world_.send(rank, trial ? text_of(*trial) : std::string());
        if (trial) running_.insert(rank);
        waiting_.pop_front();
    }
}

void Dispatcher::serve() {
    const std::clock_t start = std::clock();
    bool found = false;
    while (const auto message = world_.receive()) {
        learn(report_of(message->bytes));
        running_.erase(message->source);
        waiting_.push_back(message->source);
        found = true;
    }
    if (has_stopped_) tell_to_stop();
    answer_waiting();
    source_.keep_alive();
    pace_.looked(found, std::chrono::steady_clock::now());
    serving_ += std::clock() - start;
}

void Dispatcher::serve_in_passing() {
    if (pace_.is_due(std::chrono::steady_clock::now())) serve();
}

// A group that has ended its trial meanwhile passes over it: it asks, and is told that there is no more.
void Dispatcher::tell_to_stop() {
    for (const int rank : running_) world_.send(rank, kStop);
    running_.clear();
}

std::string Dispatcher::take(const TrialReport& report,
                             const std::function<bool()>& is_asked_to_stop) {
    learn(report);
    for (;;) {
        if (is_asked_to_stop()) has_stopped_ = true;
        serve();
        if (has_stopped_) return {};
        if (const auto trial = source_.next()) return text_of(*trial);
        if (source_.is_exhausted()) return {};
        pause_a_little();
    }
}

void Dispatcher::serve_to_the_end() {
    while (others_left_ > 0) {
        serve();
        pause_a_little();
    }
    for (int rank = 1; rank < world_.size(); ++rank) world_.send(rank, kEnd);
}

std::string TrialAsker::ask(const TrialReport& report) {
    world_.send(0, text_of(report));
    std::string answer = wait_for_message(world_);
    while (answer == kStop) answer = wait_for_message(world_);
    pace_.looked(true, std::chrono::steady_clock::now());
    return answer;
}

void TrialAsker::listen_in_passing() {
    const auto now = std::chrono::steady_clock::now();
    if (!pace_.is_due(now)) return;
    const auto message = world_.receive();
    if (message) is_told_to_stop_ = message->bytes == kStop;
    pace_.looked(false, now);
}

void wait_for_the_end(Communicator& world) { (void)wait_for_message(world); }

}  // namespace dln

#include "cli/sweep_dispatch.hpp"

#include <thread>

#include <nlohmann/json.hpp>

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kEnd = "end";  // all groups are done

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
        world_.send(waiting_.front(), trial ? text_of(*trial) : std::string());
        waiting_.pop_front();
    }
}

void Dispatcher::serve() {
    const std::clock_t start = std::clock();
    while (const auto message = world_.receive()) {
        learn(report_of(message->bytes));
        waiting_.push_back(message->source);
    }
    answer_waiting();
    source_.keep_alive();
    served_ = std::chrono::steady_clock::now();
    serving_ += std::clock() - start;
}

void Dispatcher::serve_in_passing() {
    if (std::chrono::steady_clock::now() - served_ >= kBetween) serve();
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

std::string ask_for_trial(Communicator& world, const TrialReport& report) {
    world.send(0, text_of(report));
    return wait_for_message(world);
}

void wait_for_the_end(Communicator& world) { (void)wait_for_message(world); }

}  // namespace dln

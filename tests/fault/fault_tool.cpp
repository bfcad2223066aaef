// What campaign.py needs from the store itself:
//
//   fault_tool names                         all failpoints, one a line
//   fault_tool held JOURNAL MODEL            of the requests on standard input, those that the journal holds
//   fault_tool steps DIRECTORY [EVERY]       damages the newest step file in every way, and reads it
//   fault_tool journal JOURNAL MODEL LINES   damages the first LINES lines in every way, and reads them
//
// Requests are JSON lines with "path" and "body", as in the log of tools/fake-llm-server. With EVERY only each
// EVERY-th byte is damaged. `steps` and `journal` end with 1 when damage was not noticed.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "dln/error.hpp"
#include "dln/store/checkpoint_store.hpp"
#include "dln/store/failpoint.hpp"
#include "dln/store/journal.hpp"

#include "support/temporary_directory.hpp"

namespace dln {
namespace {

namespace fs = std::filesystem;
using testing::read_bytes;
using testing::TemporaryDirectory;
using testing::write_bytes;

struct Request {
    std::string path;
    std::string body;
    friend auto operator<=>(const Request&, const Request&) = default;
};

/// Of standard input, each once.
std::set<Request> read_requests() {
    std::set<Request> requests;
    for (std::string line; std::getline(std::cin, line);) {
        const auto json = nlohmann::json::parse(line);
        if (json.contains("body")) requests.insert({json["path"], json["body"]});
    }
    return requests;
}

/// A file whose bytes are changed one at a time and put right again.
class Damaged {
  public:
    explicit Damaged(std::string path)
        : path_(std::move(path)), sound_(read_bytes(path_)), file_(path_, kInOut) {}

    [[nodiscard]] const std::string& sound() const { return sound_; }

    /// Calls `look` with each single bit of each EVERY-th byte flipped.
    void flip_each_bit(std::size_t every, const std::function<void()>& look) {
        for (std::size_t at = 0; at < sound_.size(); at += every) {
            for (unsigned bit = 0; bit < 8; ++bit) {
                put(at, static_cast<char>(sound_[at] ^ static_cast<char>(1U << bit)));
                look();
            }
            put(at, sound_[at]);
        }
    }

    /// Calls `look` with the file cut to each EVERY-th shorter length, longest first.
    void cut_to_each_length(std::size_t every, const std::function<void(std::size_t)>& look) {
        for (std::size_t length = sound_.size(); length-- > 0;) {
            if (length % every != 0 && length + 1 != sound_.size()) continue;
            fs::resize_file(path_, length);
            look(length);
        }
        file_.close();
        write_bytes(path_, sound_);
        file_.open(path_, kInOut);
    }

  private:
    static constexpr auto kInOut = std::ios::in | std::ios::out | std::ios::binary;

    void put(std::size_t at, char byte) {
        file_.seekp(static_cast<std::streamoff>(at));
        file_.put(byte);
        file_.flush();
    }

    std::string path_;
    std::string sound_;
    std::fstream file_;
};

int damage_steps(const std::string& directory, std::size_t every) {
    const auto store = make_hdf5_store(directory, "");
    const std::vector<std::int64_t> steps = store->steps();
    if (steps.size() < 2) throw std::runtime_error(directory + ": fewer than two step files");
    const std::string newest = directory + "/" + step_file_name(steps.back());
    const StepFile sound = read_step_file(newest);
    Damaged file(newest);
    long looks = 0, unchanged = 0, missed = 0, fallbacks = 0;
    const auto look = [&] {
        try {
            const StepFile read = read_step_file(newest);
            ++(read.document.arrays == sound.document.arrays ? unchanged : missed);
        } catch (const CheckpointError&) {
        }
        // Reading the file before it as well takes most of the time.
        if (++looks % 101 != 0) return;
        const auto loaded = store->load_newest();
        const bool is_loud =
            loaded->skipped.size() == 1 && loaded->skipped[0].find(newest) != std::string::npos;
        const bool is_previous = loaded->file.header.step == steps[steps.size() - 2];
        ++(is_loud && is_previous ? fallbacks : missed);
    };
    file.flip_each_bit(every, look);
    const long flips = looks;
    file.cut_to_each_length(every, [&](std::size_t) { look(); });
    fmt::print(
        "step file of {} bytes: {} flipped bits, {} truncations; {} read with content unchanged, "
        "{} not "
        "noticed; {} times the file before it was looked for, and used with a message each time\n",
        file.sound().size(), flips, looks - flips, unchanged, missed, fallbacks);
    return missed == 0 && unchanged == 0 ? 0 : 1;
}

struct HeldReply {
    Request request;
    std::string reply;
};

std::vector<HeldReply> held_replies(Journal& journal,
                                    const std::string& model,
                                    const std::set<Request>& requests) {
    std::vector<HeldReply> held;
    for (const Request& request : requests) {
        if (auto reply = journal.find({model, request.path, request.body})) {
            held.push_back({request, *std::move(reply)});
        }
    }
    return held;
}

int print_held(const std::string& directory, const std::string& model) {
    Journal journal = Journal::read_only(directory);
    const std::set<Request> requests = read_requests();
    for (const HeldReply& held : held_replies(journal, model, requests)) {
        const nlohmann::json json{{"path", held.request.path}, {"body", held.request.body}};
        fmt::print("{}\n", json.dump());
    }
    return 0;
}

/// The first `count` lines of all files of a journal.
std::string first_lines(const std::string& directory, std::size_t count) {
    std::string lines;
    for (const auto& entry : fs::directory_iterator(directory)) {
        std::ifstream file(entry.path(), std::ios::binary);
        for (std::string line; count > 0 && std::getline(file, line); --count) lines += line + "\n";
    }
    return lines;
}

int damage_journal(const std::string& directory, const std::string& model, std::size_t count) {
    const TemporaryDirectory place;
    const std::string path = place / "rank-0.jsonl";
    write_bytes(path, first_lines(directory, count));
    Journal whole = Journal::read_only(place.path());
    const std::vector<HeldReply> held = held_replies(whole, model, read_requests());
    if (held.empty()) throw std::runtime_error(directory + ": holds none of the requests");
    Damaged file(path);
    long looks = 0, lost = 0, missed = 0;
    // `most` lines may be lost. A damaged line is counted, one that was cut off may be gone silently.
    const auto look = [&](std::size_t most, bool is_counted) {
        ++looks;
        Journal journal = Journal::read_only(place.path());
        const JournalCounts counts = journal.counts();
        std::size_t gone = 0;
        bool is_wrong = is_counted && counts.skipped_lines + counts.torn_tails == 0;
        for (const HeldReply& one : held) {
            const auto reply = journal.find({model, one.request.path, one.request.body});
            if (!reply) {
                ++gone;
            } else if (*reply != one.reply) {
                is_wrong = true;
            }
        }
        lost += static_cast<long>(gone);
        if (is_wrong || gone > most) ++missed;
    };
    // A damaged line feed makes one line of two.
    file.flip_each_bit(1, [&] { look(2, true); });
    const long flips = looks;
    file.cut_to_each_length(1, [&](std::size_t length) {
        const bool is_torn = length > 0 && file.sound()[length - 1] != '\n';
        look(held.size(), is_torn);
    });
    fmt::print(
        "{} journal lines of {} bytes: {} flipped bits, {} truncations; {} replies dropped, {} "
        "times a "
        "wrong reply, a line lost without being counted, or too many lost\n",
        whole.counts().held, file.sound().size(), flips, looks - flips, lost, missed);
    return missed == 0 ? 0 : 1;
}

int run(const std::vector<std::string>& words) {
    const auto is = [&](const char* command, std::size_t least, std::size_t most) {
        return !words.empty() && words[0] == command && words.size() > least &&
               words.size() <= most + 1;
    };
    if (is("names", 0, 0)) {
        for (const std::string& name : failpoint_names()) fmt::print("{}\n", name);
        return 0;
    }
    if (is("held", 2, 2)) return print_held(words[1], words[2]);
    if (is("steps", 1, 2))
        return damage_steps(words[1], words.size() > 2 ? std::stoul(words[2]) : 1);
    if (is("journal", 3, 3)) return damage_journal(words[1], words[2], std::stoul(words[3]));
    fmt::print(stderr,
               "fault_tool names | held JOURNAL MODEL | steps DIRECTORY [EVERY] | journal JOURNAL "
               "MODEL LINES\n");
    return 2;
}

}  // namespace
}  // namespace dln

int main(int argc, char** argv) try {
    return dln::run(std::vector<std::string>(argv + 1, argv + argc));
} catch (const std::exception& error) {
    fmt::print(stderr, "fault_tool: {}\n", error.what());
    return 2;
}

#include "cli/mop_session.hpp"

#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "dln/data/read.hpp"
#include "dln/error.hpp"
#include "dln/llm/embedded.hpp"
#include "dln/mop/base_model.hpp"
#include "dln/mop/compress.hpp"
#include "dln/nn/tape.hpp"
#include "dln/text/utf8.hpp"
#include "dln/train/evaluate.hpp"

#include "cli/ranks.hpp"

namespace dln {
namespace {

constexpr const char* kModelPointer = "/model";

const SplitSpec* split_of(const DataSpec& data, std::size_t split) {
    if (split == kTrainSplit) return &data.train;
    const std::optional<SplitSpec>& other = split == kDevSplit ? data.dev : data.test;
    return other ? &*other : nullptr;
}

const char* name_of_split(std::size_t split) {
    constexpr std::array<const char*, 3> kNames{"train", "dev", "test"};
    return kNames.at(split);
}

// Beside the models: a state holds for as long as its model does.
std::string hidden_states_directory() {
    return (std::filesystem::path(model_cache_directory()).parent_path() / "hidden-states")
        .string();
}

// Evenly spread over the training texts.
std::vector<std::vector<std::int32_t>> calibration_texts(const std::vector<mop::GatedText>& train,
                                                         std::size_t count) {
    std::vector<std::vector<std::int32_t>> chosen;
    const std::size_t wanted = std::min(count, train.size());
    for (std::size_t i = 0; i < wanted; ++i) {
        chosen.push_back(train[i * train.size() / wanted].tokens);
    }
    return chosen;
}

}  // namespace

// The texts of a split. Of each the last answer token is not in `gated`: it predicts nothing.
struct MopSession::Tokenised {
    std::vector<mop::GatedText> gated;
    std::vector<std::vector<std::int32_t>> answers;
};

bool needs_training_texts(const MopJob& job) {
    return job.model.compression.pruning == Pruning::wanda;
}

AnyJob share_any_job(Communicator& comm, const std::function<AnyJob()>& read) {
    std::optional<AnyJob> job;
    const std::string shared = from_root(comm, [&] {
        job = read();
        if (const auto* mixture = std::get_if<MopJob>(&*job)) {
            return "m" + mop_job_to_json(*mixture).dump();
        }
        return "n" + job_to_json(std::get<Job>(*job)).dump();
    });
    if (job) return std::move(*job);
    const std::string text = shared.substr(1);
    if (shared.front() == 'm') return mop_job_from_json(text, "resolved job");
    return job_from_json(text, "resolved job");
}

MopSession::MopSession(Communicator& comm, MopJob job, const SplitsWanted& wanted)
    : comm_(comm), job_(std::move(job)) {
    for (const MopTaskSpec& task : job_.tasks) templates_.emplace_back(task.text.text);
    share_examples(wanted);
}

void MopSession::share_examples(const SplitsWanted& wanted) {
    const std::array<bool, 3> is_wanted{wanted.train, wanted.dev, wanted.test};
    std::vector<std::string> digests;
    for (std::size_t split = 0; split < examples_.size(); ++split) {
        for (std::size_t task = 0; task < job_.tasks.size(); ++task) {
            const SplitSpec* spec = split_of(job_.tasks[task].data, split);
            const bool is_read = spec != nullptr && is_wanted.at(split);
            Dataset data;
            const std::string bytes = from_root(comm_, [&]() -> std::string {
                if (is_read) data = read_split(*spec);
                return comm_.size() > 1 ? data.serialize() : std::string();
            });
            if (comm_.rank() != 0) data = Dataset::deserialize(bytes);
            digests.push_back(data.digest());
            for (std::size_t i = 0; i < data.size(); ++i) {
                examples_.at(split).add(data[i].input, data[i].target);
                task_of_.at(split).push_back(task);
            }
        }
    }
    hash_ = mop_job_hash(job_, digests);
}

Context MopSession::context(std::size_t task, std::string_view input) const {
    TemplateValues values;
    values.texts["input"] = std::string(input);
    return {.text = templates_.at(task).render(values), .chat = job_.tasks.at(task).text.chat};
}

void MopSession::check_fits() const {
    const GgufShape& shape = base_.shape;
    const MixtureSpec& mixture = job_.mixture;
    if (mixture.injection_block >= shape.blocks) {
        throw UsageError(fmt::format(
            "{}: /mixture/injection_block: {}, but {} has {} blocks. Expected 0 to {}.", job_.path,
            mixture.injection_block, job_.model.model, shape.blocks, shape.blocks - 1));
    }
    const std::size_t vectors = mixture.experts * mixture.vectors;
    const std::size_t room = shape.context_tokens;
    if (vectors + job_.model.longest_text > room) {
        throw UsageError(fmt::format(
            "{}: /mixture: {} experts of {} vectors and a text of {} tokens (/model/longest_text) "
            "are {} positions, but {} has {}. Expected fewer of one of them.",
            job_.path, mixture.experts, mixture.vectors, job_.model.longest_text,
            vectors + job_.model.longest_text, job_.model.model, room));
    }
}

MopSession::Tokenised MopSession::tokenise(std::size_t split) const {
    Tokenised texts;
    const Dataset& examples = examples_.at(split);
    const std::optional<std::int32_t> end = tokenizer_->end_token();
    for (std::size_t i = 0; i < examples.size(); ++i) {
        const std::size_t task = task_of_.at(split)[i];
        const Context before = context(task, examples[i].input);
        const std::vector<std::int32_t> head = tokenizer_->encode(before);
        const std::string answer =
            job_.tasks[task].text.separator.value_or("") + std::string(examples[i].target);
        std::vector<std::int32_t> all = tokenizer_->encode(before, answer);
        // A tokeniser may join the context's last bytes and the answer's first: then these belong to the answer.
        const auto parted = std::ranges::mismatch(head, all).in2;
        std::vector<std::int32_t> tail(parted, all.end());
        if (end) tail.push_back(*end);
        all.erase(parted, all.end());
        const std::size_t context_tokens = all.size();
        if (context_tokens == 0 || tail.empty() ||
            context_tokens + tail.size() > job_.model.longest_text) {
            throw UsageError(fmt::format(
                "{}: task \"{}\", {} example {}: {} tokens of context and {} of answer. Expected "
                "at least one of each and at most {} together (/model/longest_text).",
                job_.path, printable(job_.tasks[task].name, 60), name_of_split(split), i,
                context_tokens, tail.size(), job_.model.longest_text));
        }
        all.insert(all.end(), tail.begin(), tail.end() - 1);
        texts.gated.push_back({.tokens = std::move(all), .gate_tokens = context_tokens});
        texts.answers.push_back(std::move(tail));
    }
    return texts;
}

void MopSession::open_model() {
    base_ = open_gguf_weights(job_.model.model, kModelPointer);
    check_fits();
    tokenizer_ = open_tokenizer(base_.path);
    for (std::size_t task = 0; task < job_.tasks.size(); ++task) {
        if (!job_.tasks[task].text.chat || tokenizer_->has_chat_template()) continue;
        throw UsageError(fmt::format(
            "{}: /tasks/{}/text/chat: {} has no chat template. Expected \"chat\": false.",
            job_.path, task, job_.model.model));
    }
}

void MopSession::prepare(std::size_t split, const Tokenised& texts) {
    mop::MixtureTexts& to = texts_.at(split);
    to.answers = texts.answers;
    to.task_of = task_of_.at(split);
    to.digest = examples_.at(split).digest();
    to.z = nn::Matrix(texts.gated.size(), base_.shape.width);
    for (std::size_t i = 0; i < texts.gated.size(); ++i) {
        std::ranges::copy(states_->gate_input(texts.gated[i]), to.z.row(i).begin());
    }
    to.rows = [states = states_, gated = texts.gated](std::size_t i) {
        return states->read(gated.at(i)).rows;
    };
}

void MopSession::start() {
    nn::keep_freed_memory();
    std::array<Tokenised, 3> tokenised;
    on_all_ranks(comm_, [&] {
        open_model();
        for (std::size_t split = 0; split < tokenised.size(); ++split) {
            tokenised.at(split) = tokenise(split);
        }
        const Compression& compression = job_.model.compression;
        if (!compression.changes_nothing()) {
            base_ = mop::compressed(
                base_, compression,
                calibration_texts(tokenised[kTrainSplit].gated, job_.model.calibration_texts));
        }
        weights_ = mop::llama_weights(base_);
        states_ = std::make_shared<mop::HiddenStates>(
            weights_, base_.identity, job_.mixture.injection_block, hidden_states_directory());
    });
    on_all_ranks(comm_, [&] {
        for (const Tokenised& texts : tokenised) {
            (void)states_->ensure_share(texts.gated, static_cast<std::size_t>(comm_.rank()),
                                        static_cast<std::size_t>(comm_.size()));
        }
    });
    on_all_ranks(comm_, [&] {
        for (std::size_t split = 0; split < tokenised.size(); ++split) {
            prepare(split, tokenised.at(split));
        }
    });
}

mop::MixtureModel MopSession::model() const {
    return {.weights = &weights_, .first_block = job_.mixture.injection_block};
}

mop::MixtureShape MopSession::shape() const {
    return {.experts = job_.mixture.experts,
            .vectors = job_.mixture.vectors,
            .width = base_.shape.width,
            .gate = job_.mixture.gate.hidden};
}

mop::MixtureRanks MopSession::make_ranks(std::function<bool()> is_stop_asked,
                                         std::function<void()> on_turn) {
    return mop::MixtureRanks(comm_, {.job = job_,
                                     .model = model(),
                                     .shape = shape(),
                                     .splits = {&texts_[0], &texts_[1], &texts_[2]},
                                     .is_stop_asked = std::move(is_stop_asked),
                                     .on_turn = std::move(on_turn)});
}

}  // namespace dln

#include "cli/mop_predict.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <thread>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "dln/error.hpp"
#include "dln/mop/mixture_decoder.hpp"
#include "dln/mop/state.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/text/utf8.hpp"

#include "cli/mop_eval.hpp"
#include "cli/mop_session.hpp"
#include "cli/predict_lines.hpp"
#include "cli/ranks.hpp"

namespace dln {
namespace {

using Json = nlohmann::ordered_json;

// A line to answer, as all ranks know it.
struct Question {
    std::string input;
    std::size_t task = 0;
};

std::size_t task_of_line(const Json& line, const MopJob& job, const std::string& otherwise) {
    std::string name = otherwise;
    if (line.contains("task") && line["task"].is_string()) name = line["task"].get<std::string>();
    if (name.empty() && job.tasks.size() == 1) return 0;
    std::string known;
    for (std::size_t task = 0; task < job.tasks.size(); ++task) {
        if (job.tasks[task].name == name) return task;
        known += (known.empty() ? "" : ", ") + printable(job.tasks[task].name, 40);
    }
    throw UsageError(fmt::format(
        "{}: a line {}, and the words around an input are those of its task. Expected a field "
        "\"task\" in the line, or --task, with one of: {}.",
        job.path, name.empty() ? "has no task" : "is of task \"" + printable(name, 60) + "\"",
        known));
}

std::vector<float> log_gate(const mop::MixtureParameters& parameters,
                            mop::GateUse use,
                            std::span<const float> z) {
    nn::Matrix in(1, z.size());
    std::ranges::copy(z, in.values.begin());
    nn::Tape tape;
    const mop::TapedMixture taped = mop::on_tape(tape, parameters, use, std::move(in));
    return tape.value(taped.log_gate).values;
}

class Answering {
  public:
    Answering(const MopSession& session,
              const mop::MixtureParameters& parameters,
              const MopPredict& options)
        : session_(session),
          options_(options),
          decoder_(*session.model().weights,
                   parameters.prompts,
                   session.shape().experts,
                   session.model().first_block,
                   [parameters, use = mop::gate_use(session.job())](std::span<const float> z) {
                       return log_gate(parameters, use, z);
                   }) {}

    // What the line's object gains.
    [[nodiscard]] Json answer(const Question& question, std::uint64_t number) {
        const Context context = session_.context(question.task, question.input);
        const std::vector<std::int32_t> tokens = session_.tokenizer().encode(context);
        Json gained;
        if (tokens.size() > room()) {
            annotate_failure(
                gained, fmt::format("the context has {} tokens, {} fit", tokens.size(), room()));
            return gained;
        }
        const MopTaskSpec& task = session_.job().tasks[question.task];
        if (task.classes.empty()) {
            say(tokens, number, gained);
        } else {
            choose(context, tokens, task, gained);
        }
        return gained;
    }

  private:
    [[nodiscard]] std::size_t room() const {
        const std::size_t vectors = session_.shape().experts * session_.shape().vectors;
        const auto answer = static_cast<std::size_t>(options_.max_tokens);
        const std::size_t all = session_.base().shape.context_tokens;
        return all > vectors + answer ? all - vectors - answer : 0;
    }

    void say(const std::vector<std::int32_t>& tokens, std::uint64_t number, Json& gained) {
        const CounterRng random(
            {.seed = session_.job().seed, .role = RandomRole::prediction, .example = number});
        const GeneratedText text = mop::generate(
            decoder_, session_.tokenizer(), tokens,
            {.max_tokens = options_.max_tokens, .temperature = options_.temperature}, random);
        if (!text.ok()) return annotate_failure(gained, text.error);
        gained["output"] = std::string(trim(text.text));
    }

    void choose(const Context& context,
                const std::vector<std::int32_t>& tokens,
                const MopTaskSpec& task,
                Json& gained) {
        std::vector<std::vector<std::int32_t>> targets;
        for (const std::string& name : task.classes) {
            std::vector<std::int32_t> all =
                session_.tokenizer().encode(context, task.text.separator.value_or("") + name);
            const auto parted = std::ranges::mismatch(tokens, all).in2;
            targets.emplace_back(parted, all.end());
            if (const auto end = session_.tokenizer().end_token()) targets.back().push_back(*end);
        }
        const std::vector<TargetScore> scores = mop::score(decoder_, tokens, targets);
        std::vector<double> logs;
        for (const TargetScore& score : scores) {
            if (!score.ok()) return annotate_failure(gained, score.error);
            logs.push_back(
                std::accumulate(score.token_log_probs.begin(), score.token_log_probs.end(), 0.0));
        }
        const auto best = std::ranges::max_element(logs);
        double sum = 0.0;
        for (const double log : logs) sum += std::exp(log - *best);
        gained["output"] = task.classes[static_cast<std::size_t>(best - logs.begin())];
        for (std::size_t c = 0; c < logs.size(); ++c) {
            gained["probabilities"][task.classes[c]] =
                std::round(std::exp(logs[c] - *best) / sum * 1e6) / 1e6;
        }
    }

    const MopSession& session_;
    const MopPredict& options_;
    mop::MixtureDecoder decoder_;
};

// Every rank answers its share; rank 0 gets all, in the order of the questions.
std::vector<Json> answer_on_all_ranks(MopSession& session,
                                      const mop::MixtureParameters& parameters,
                                      const std::vector<Question>& questions,
                                      const MopPredict& options) {
    Communicator& comm = session.comm();
    const auto rank = static_cast<std::size_t>(comm.rank());
    const auto ranks = static_cast<std::size_t>(comm.size());
    std::vector<Json> answers(questions.size());
    Json own = Json::array();
    Answering answering(session, parameters, options);
    for (std::size_t i = rank; i < questions.size(); i += ranks) {
        answers[i] = answering.answer(questions[i], i);
        own.push_back(answers[i]);
    }
    if (rank != 0) {
        comm.send(0, own.dump(-1, ' ', false, Json::error_handler_t::replace));
        return answers;
    }
    for (std::size_t missing = ranks - 1; missing > 0;) {
        auto message = comm.receive();
        if (!message) {
            std::this_thread::yield();
            continue;
        }
        const Json theirs = Json::parse(message->bytes);
        for (std::size_t k = 0; k < theirs.size(); ++k) {
            answers[static_cast<std::size_t>(message->source) + k * ranks] = theirs[k];
        }
        --missing;
    }
    return answers;
}

// The trained parameters on all ranks.
mop::MixtureParameters share_parameters(Communicator& comm,
                                        const MopJob& job,
                                        const std::string& run_dir) {
    mop::MixtureParameters parameters;
    const std::string bytes = from_root(comm, [&] {
        parameters = mop::best_parameters(
            read_trained_mixture(run_dir.empty() ? job.run_dir : run_dir, job));
        Json json = Json::array();
        for (const nn::Matrix* part : parameters.parts()) {
            json.push_back({part->rows, part->columns, part->values});
        }
        const std::vector<std::uint8_t> packed = Json::to_cbor(json);
        return std::string(packed.begin(), packed.end());
    });
    if (comm.rank() == 0) return parameters;
    const Json json = Json::from_cbor(bytes);
    for (std::size_t i = 0; i < parameters.parts().size(); ++i) {
        nn::Matrix& part = *parameters.parts().at(i);
        part = nn::Matrix(json[i][0].get<std::size_t>(), json[i][1].get<std::size_t>());
        part.values = json[i][2].get<std::vector<float>>();
    }
    return parameters;
}

}  // namespace

int run_mop_predict(Communicator& comm, const MopJob& job, const MopPredict& options) {
    Lines lines;
    const Json shared = Json::parse(from_root(comm, [&] {
        check_output(options.output);
        lines = read_lines(options.input, options.field);
        Json questions = Json::array();
        for (std::size_t i = 0; i < lines.objects.size(); ++i) {
            questions.push_back(
                {lines.inputs[i].input, task_of_line(lines.objects[i], job, options.task)});
        }
        return questions.dump(-1, ' ', false, Json::error_handler_t::replace);
    }));
    std::vector<Question> questions;
    for (const Json& each : shared) {
        questions.push_back({each[0].get<std::string>(), each[1].get<std::size_t>()});
    }
    const mop::MixtureParameters parameters = share_parameters(comm, job, options.run_dir);
    MopSession session(comm, job,
                       {.train = needs_training_texts(job), .dev = false, .test = false});
    session.start();
    const std::vector<Json> answers = answer_on_all_ranks(session, parameters, questions, options);
    if (comm.rank() != 0) return 0;
    std::string text;
    std::size_t failed = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        lines.objects[i].update(answers[i]);
        failed += answers[i]["output"].is_null() ? 1U : 0U;
        text += lines.objects[i].dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
    }
    write_output(options.output, text);
    if (failed > 0) {
        spdlog::warn("{} of {} predictions failed; \"error\" in their lines says why", failed,
                     answers.size());
    }
    return static_cast<int>(failed == answers.size() ? ExitCode::backend : ExitCode::complete);
}

}  // namespace dln

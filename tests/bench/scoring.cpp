// Scoring a block of items as one tree against scoring each text alone, with logits for every token: what
// the embedded backend gains over a server's echo. Same process, model, context and thread.
//
//   bench_scoring [--quick] [--block N]

#include <cmath>

#include "dln/job/job.hpp"
#include "dln/llm/embedded.hpp"

#include "bench/measure.hpp"

namespace dln::bench {
namespace {

struct Workload {
    std::string name;
    std::vector<std::string> inputs;
    double target = 0.0;  // least ratio
};

// As training meets them: a question to start from, a prompt as the quick start's model writes them (32
// tokens at most), and a paragraph as larger models do.
struct Prompt {
    std::string name;
    std::string text;
};
const std::vector<Prompt>& prompts() {
    static const std::vector<Prompt> list{
        {"short prompt", "Is the following positive or negative?"},
        {"medium prompt",
         "Explain to the person what positive means and what negative means, and then say which of "
         "the two the text that follows is, in one word."},
        {"long prompt",
         "Read the text below as if a friend had sent it to you. Consider what happened, whether "
         "the people in it are better or worse off than before, and how the one who wrote it seems "
         "to feel. Then decide whether its sentiment is positive or negative. Answer with exactly "
         "one of these two words and nothing else."}};
    return list;
}

ScoreItem item(const std::string& prompt, const std::string& input) {
    Context context{
        .text = prompt + "\n" + input, .chat = false, .shared_bytes = prompt.size() + 1};
    return {std::move(context), {"\npositive", "\nnegative"}};
}

// Largest difference between the two ways' scores of equal items: they must compute the same.
double largest_difference(const ScoreReply& a,
                          const std::vector<std::size_t>& at,
                          const ScoreReply& b) {
    double most = 0.0;
    for (std::size_t i = 0; i < at.size(); ++i) {
        for (std::size_t t = 0; t < b.scores[i].size(); ++t) {
            const auto& x = a.scores[at[i]][t].token_log_probs;
            const auto& y = b.scores[i][t].token_log_probs;
            for (std::size_t k = 0; k < y.size(); ++k)
                most = std::max(most, std::abs(x.at(k) - y[k]));
        }
    }
    return most;
}

// One prompt: all inputs in blocks, and every `stride`-th alone.
struct Rates {
    double blocks = 0.0;  // seconds a scored text
    double alone = 0.0;
    double blocks_tokens = 0.0;  // computed for a text
    double alone_tokens = 0.0;
    double difference = 0.0;
};

Rates measure(Backend& backend,
              const std::string& prompt,
              const Workload& work,
              std::size_t block,
              std::size_t stride) {
    Rates rates;
    ScoreReply together;
    std::int64_t tokens = 0;
    double start = cpu_seconds();
    for (std::size_t first = 0; first < work.inputs.size(); first += block) {
        ScoreRequest request;
        for (std::size_t i = first; i < std::min(first + block, work.inputs.size()); ++i) {
            request.items.push_back(item(prompt, work.inputs[i]));
        }
        Completion completion = run_request(backend, std::move(request));
        tokens += completion.usage.evaluated_tokens;
        auto& reply = std::get<ScoreReply>(completion.reply);
        std::ranges::move(reply.scores, std::back_inserter(together.scores));
    }
    const double texts = 2.0 * static_cast<double>(work.inputs.size());
    rates.blocks = (cpu_seconds() - start) / texts;
    rates.blocks_tokens = static_cast<double>(tokens) / texts;
    ScoreRequest sample;
    std::vector<std::size_t> at;
    for (std::size_t i = 0; i < work.inputs.size(); i += stride) {
        at.push_back(i);
        sample.items.push_back(item(prompt, work.inputs[i]));
    }
    start = cpu_seconds();
    const Completion alone = score_each_alone(backend, sample);
    const double sampled = 2.0 * static_cast<double>(at.size());
    rates.alone = (cpu_seconds() - start) / sampled;
    rates.alone_tokens = static_cast<double>(alone.usage.evaluated_tokens) / sampled;
    rates.difference = largest_difference(together, at, std::get<ScoreReply>(alone.reply));
    return rates;
}

void run(Backend& backend, const Workload& work, std::size_t block, std::size_t stride) {
    Rates sum;
    std::vector<std::pair<std::string, double>> ratios;
    for (const Prompt& prompt : prompts()) {
        const Rates rates = measure(backend, prompt.text, work, block, stride);
        ratios.emplace_back(prompt.name, rates.alone / rates.blocks);
        sum.blocks += rates.blocks;
        sum.alone += rates.alone;
        sum.blocks_tokens += rates.blocks_tokens;
        sum.alone_tokens += rates.alone_tokens;
        sum.difference = std::max(sum.difference, rates.difference);
    }
    const auto count = static_cast<double>(prompts().size());
    print_figure(fmt::format("{}: in blocks of {} / each alone", work.name, block),
                 sum.alone / sum.blocks, "", {.at_least = work.target, .at_most = {}});
    for (const auto& [name, ratio] : ratios) {
        print_figure(fmt::format("{}, {}", work.name, name), ratio, "");
    }
    print_figure(fmt::format("{}: tokens computed, alone / in blocks", work.name),
                 sum.alone_tokens / sum.blocks_tokens, "");
    print_figure(fmt::format("{}: in blocks", work.name), count / sum.blocks, " texts/s");
    print_figure(fmt::format("{}: each alone", work.name), count / sum.alone, " texts/s");
    print_figure(fmt::format("{}: largest difference of a token", work.name), sum.difference,
                 " nat");
}

int main_of(const std::vector<std::string>& options) {
    bool quick = false;
    std::size_t block = ScoringSpec{}.block;
    for (std::size_t i = 0; i < options.size(); ++i) {
        if (options[i] == "--quick") quick = true;
        if (options[i] == "--block") block = std::stoul(options.at(i + 1));
    }
    const BackendSpec spec;
    const auto backend =
        make_embedded_backend({.model = spec.model, .context_tokens = spec.context_tokens});
    const std::size_t examples = quick ? 48 : 96;
    Workload sentences{.name = "sentences of 25 words", .inputs = {}, .target = 5.5};
    Workload words{.name = "single words", .inputs = {}, .target = 5.5};
    for (std::size_t i = 0; i < examples; ++i) {
        sentences.inputs.push_back(sentence(i, 25));
        words.inputs.push_back(word(i));
    }
    run(*backend, sentences, block, quick ? 16 : 12);
    run(*backend, words, block, quick ? 8 : 4);
    return 0;
}

}  // namespace
}  // namespace dln::bench

int main(int count, char** values) {
    return dln::bench::run_main("bench_scoring", [&] {
        return dln::bench::main_of({values + 1, values + count});
    });
}

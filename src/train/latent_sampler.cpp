#include "train/latent_sampler.hpp"

#include <algorithm>
#include <map>

#include "dln/comm/fixed_point.hpp"
#include "dln/random/counter_rng.hpp"
#include "dln/text/utf8.hpp"

namespace dln {

LatentSampler::LatentSampler(const TrainContext& context,
                             TaskGraph& graph,
                             const NetworkParameters& incumbent,
                             StepRecord& record,
                             std::uint64_t step)
    : context_(context),
      graph_(graph),
      incumbent_(incumbent),
      record_(record),
      batch_(record.batch),
      latents_(record.latents),
      step_(step),
      classes_(class_names(context.network)) {}

void LatentSampler::sample(const PositionGroup& group, bool right_too, std::function<void()> done) {
    auto draw = std::make_shared<Draw>();
    draw->done = std::move(done);
    for (const std::size_t position : group.positions) {
        if (right_too || latents_.is_wrong[position]) draw->positions.push_back(position);
    }
    // So that later layers see whose first layer came to nothing.
    for (const std::size_t position : draw->positions) {
        for (std::size_t k = 0; k < latents_.samples; ++k) {
            latents_.is_drawn[position * latents_.samples + k] = true;
        }
    }
    sample_layer(std::move(draw), 0);
}

void LatentSampler::sample_layer(std::shared_ptr<const Draw> draw, std::size_t layer) {
    if (layer == latents_.hidden) {
        draw->done();
        return;
    }
    auto asked = std::make_shared<Asked>(ask(*draw, layer));
    const PosteriorSpec& posterior = context_.posterior.spec();
    const LayerSpec& spec = context_.network.layer(layer);
    std::vector<Unit> units = make_generate_units({.request = {.items = asked->items,
                                                               .max_tokens = spec.max_tokens,
                                                               .temperature = posterior.temperature,
                                                               .top_p = posterior.top_p,
                                                               .stop = spec.stop},
                                                   .purpose = TextPurpose::sample,
                                                   .layer = layer,
                                                   .places = places_of(*asked)},
                                                  posterior.block, ModelRole::backward);
    const TaskId task = graph_.add(
        {.needs = {}, .expand = [units = std::move(units)] { return units; }, .cells = 0});
    tasks_.push_back(task);
    graph_.add(
        {.needs = {task},
         .expand = [this, draw = std::move(draw), asked, task, layer]() -> std::vector<Unit> {
             take(*asked, graph_.result(task), layer);
             sample_layer(draw, layer + 1);
             return {};
         },
         .cells = 0});
}

LatentSampler::Asked LatentSampler::ask(const Draw& draw, std::size_t layer) const {
    Asked asked;
    std::map<std::string, std::size_t> known;
    const bool is_greedy = context_.posterior.spec().temperature == 0.0;
    for (const std::size_t position : draw.positions) {
        for (std::size_t k = 0; k < latents_.samples; ++k) {
            if (!latents_.drawn(position, k)) continue;
            GenerateItem wanted = item(position, k, layer);
            std::size_t place = asked.items.size();
            if (is_greedy) place = known.try_emplace(wanted.context.text, place).first->second;
            if (place == asked.items.size()) {
                asked.items.push_back(std::move(wanted));
                asked.samples.emplace_back();
            }
            asked.samples[place].push_back(position * latents_.samples + k);
        }
    }
    return asked;
}

std::vector<TextPlace> LatentSampler::places_of(const Asked& asked) const {
    std::vector<TextPlace> places;
    for (const std::vector<std::size_t>& samples : asked.samples) {
        places.push_back(
            {batch_[samples.front() / latents_.samples], samples.front() % latents_.samples});
    }
    return places;
}

void LatentSampler::take(const Asked& asked, const TaskResult& result, std::size_t layer) {
    std::vector<std::string> texts;
    for (const auto& unit : result.texts) texts.insert(texts.end(), unit.begin(), unit.end());
    for (std::size_t place = 0; place < asked.samples.size(); ++place) {
        const std::string text(trim(texts.at(place)));
        for (const std::size_t sample : asked.samples[place]) {
            // A short text has a high prior: an empty one would win.
            latents_.is_drawn[sample] = !text.empty();
            if (text.empty()) {
                latents_.sampled[sample].clear();
                ++empty_;
                continue;
            }
            latents_.sampled[sample].resize(layer);
            latents_.sampled[sample].push_back(text);
        }
    }
}

std::string LatentSampler::prompt_at(std::size_t layer, std::size_t position) const {
    return expert_of(incumbent_[layer], expert_at(record_, layer, position)).prompt;
}

GenerateItem LatentSampler::item(std::size_t position,
                                 std::size_t sample,
                                 std::size_t layer) const {
    const Dataset& split = context_.splits[kTrainSplit];
    const Network& network = context_.network;
    // Beside the forward pass nobody knows what it will have said by now.
    const bool knows_forward = !context_.posterior.spec().speculate;
    const auto shown = [&](std::size_t of, const Trajectory& before) {
        const Example example = split[batch_[of]];
        return PosteriorExample{.input = network.layer_input(layer, example.input, before),
                                .target = std::string(example.target),
                                .output = knows_forward && latents_.has_forward[of]
                                              ? latents_.forward[of][layer]
                                              : std::string()};
    };
    PosteriorInput input{.seed = context_.job.seed,
                         .step = step_,
                         .layer = layer,
                         .example = batch_[position],
                         .shown = shown(position, latents_.sample(position, sample)),
                         .illustration = {},
                         .prompt = prompt_at(layer, position),
                         .next_prompt = prompt_at(layer + 1, position),
                         .classes = classes_};
    if (context_.posterior.shows_illustration() && batch_.size() > 1) {
        CounterRng random({.seed = input.seed,
                           .step = step_,
                           .layer = layer,
                           .role = RandomRole::illustration,
                           .example = input.example,
                           .sample = sample});
        const std::size_t other = (position + 1 + random.below(batch_.size() - 1)) % batch_.size();
        // What a layer behind the first sees follows from a forward pass.
        if (layer == 0 || (knows_forward && latents_.has_forward[other])) {
            input.illustration = shown(other, latents_.forward[other]);
        }
    }
    return context_.posterior.item(input, sample);
}

std::vector<TaskId> LatentSampler::score_samples(const PositionGroup& group) {
    std::vector<TaskId> tasks;
    for (std::size_t layer = 0; layer < latents_.hidden; ++layer) {
        TextUnit whole;
        Scored scored{.task = 0, .layer = layer, .samples = {}};
        for (const std::size_t position : group.positions) {
            for (std::size_t k = 0; k < latents_.samples; ++k) {
                if (!latents_.drawn(position, k)) continue;
                Context context = item(position, k, layer).context;
                // A chat turn begins on a line of its own: there is nothing to separate.
                std::string target = context.chat ? "" : context_.network.scoring().separator;
                target += latents_.sample(position, k)[layer];
                whole.items.push_back({std::move(context), std::move(target)});
                scored.samples.push_back(position * latents_.samples + k);
            }
        }
        const std::size_t block = context_.network.scoring().block;
        const std::size_t width = 2 * whole.items.size();
        scored.task = graph_.add(
            {.needs = {},
             .expand = [whole = std::move(whole),
                        block] { return make_text_units(whole, block, ModelRole::backward); },
             .cells = width});
        tasks.push_back(scored.task);
        tasks_.push_back(scored.task);
        scored_.push_back(std::move(scored));
    }
    return tasks;
}

std::vector<ScoreTable> LatentSampler::sample_scores() const {
    std::vector<ScoreTable> scores(latents_.hidden, ScoreTable(batch_.size(), latents_.samples));
    for (const Scored& scored : scored_) {
        const std::vector<std::int64_t>& table = graph_.result(scored.task).table;
        for (std::size_t i = 0; i < scored.samples.size(); ++i) {
            if (table[2 * i + 1] == 0) continue;
            scores[scored.layer].set(scored.samples[i] / latents_.samples,
                                     scored.samples[i] % latents_.samples,
                                     from_fixed_point(table[2 * i]));
        }
    }
    return scores;
}

}  // namespace dln

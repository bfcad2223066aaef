#pragma once
// A backend that stands in for a job's model while a run is rehearsed: texts are drawn from those that the model
// wrote for the plan, scores are drawn, nothing is sent. It counts what the requests would cost, and tells the time
// in calls that wait for each other: any number of them run beside each other. Rank 0 only.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/engine/payload.hpp"
#include "dln/llm/backend.hpp"
#include "dln/network/network.hpp"
#include "dln/train/plan.hpp"

#include "train/drawn_scores.hpp"
#include "train/rehearsed_texts.hpp"

namespace dln {

class StandIn : public Backend {
  public:
    /// All must outlive this object. `models`: that it stands in for, asked for nothing. Contexts and targets are counted and texts
    /// written while `texts` learns.
    StandIn(const Job& job,
            const Network& network,
            const std::vector<Dataset>& splits,
            const PlannedModels& models,
            RehearsedTexts& texts,
            const RehearsalMood& mood);

    /// Says what the unit is whose requests will carry `id`.
    void expect(std::uint64_t id, payload::Content content);
    /// From now on costs are added to `sum`, and texts are those of this step.
    void begin(PlannedWork& sum, std::uint64_t step);
    /// Costs nothing: a journal would hold it.
    [[nodiscard]] const PlannedWork& recalled() const { return recalled_; }
    [[nodiscard]] const RequestChain& now() const { return now_; }
    /// Some of all requests: whole ones for scores, texts one by one.
    [[nodiscard]] const SampledRequests& sampled() const { return sampled_; }

    /// Of the backward model: proposals must fit into its context.
    [[nodiscard]] const BackendInfo& info() const noexcept override {
        return models_.backward.info();
    }
    void submit(std::uint64_t id, Request request) override;
    [[nodiscard]] std::vector<Completion> poll(std::chrono::milliseconds timeout) override;
    [[nodiscard]] std::size_t wanted_requests() const noexcept override { return 1U << 20U; }
    [[nodiscard]] int count_tokens(const Context& context) override;

  private:
    struct Later {
        bool operator()(const RequestChain& a, const RequestChain& b) const {
            return a.length() != b.length() ? a.length() < b.length() : a.texts < b.texts;
        }
    };
    struct Unit {
        payload::Content content;
        std::size_t passes = 0;  // layers that it was asked about
    };
    // Of what a request asks.
    struct Asked {
        std::size_t layer = 0;
        NetworkParameters parameters;         // that were asked, this layer's last
        std::vector<std::uint64_t> examples;  // by item
        std::size_t split = 0;
        bool is_forward = false;                        // of a step
        bool is_content_free = false;                   // `examples` are in no split
        std::optional<Measure> measure = std::nullopt;  // of the network's answer, or of a latent
    };
    struct PendingText {
        std::uint64_t id = 0;
        GenerateRequest request;
        Asked asked;
        std::vector<WantedText> wanted;
        std::vector<TextPlace> places;
    };
    [[nodiscard]] Asked asked_of(const Unit& unit) const;
    [[nodiscard]] TextKind kind_of(const Asked& asked, int max_tokens) const;
    void submit_scores(std::uint64_t id, const Unit& unit, const ScoreRequest& request);
    void submit_texts(std::uint64_t id, const Unit& unit, GenerateRequest request);
    [[nodiscard]] std::vector<double> scores_of(const Asked& asked,
                                                const ScoreItem& item,
                                                std::size_t first);
    void answer_texts();
    [[nodiscard]] GeneratedText text_of(const PendingText& pending, std::size_t place);
    [[nodiscard]] GeneratedText drawn(const WantedText& wanted, const TextPlace* place) const;
    [[nodiscard]] GeneratedText answer_of(const PendingText& pending, std::size_t place);
    void pay_texts(const PendingText& pending, const GenerateReply& reply);
    void pay(const RequestCost& cost, ModelRole role, bool is_text, std::uint64_t key);
    void sample_request(const Request& request);

    const Job& job_;
    const Network& network_;
    const std::vector<Dataset>& splits_;
    PlannedModels models_;
    RehearsedTexts& texts_;
    RehearsalMood mood_;
    DrawnScores scores_;
    std::map<std::uint64_t, Unit> units_;
    std::vector<PendingText> unanswered_;
    std::multimap<RequestChain, Completion, Later> pending_;  // by when they end
    std::map<std::uint64_t, RequestChain> journal_;           // by key: when they came
    RequestChain now_;
    PlannedWork* sum_ = nullptr;
    PlannedWork recalled_;
    std::uint64_t step_ = 0;
    SampledRequests sampled_;
    // How many were seen, and each how many-th is kept.
    struct Thinned {
        std::size_t seen = 0;
        std::size_t each = 1;
    };
    Thinned scores_seen_;
    Thinned texts_seen_;
};

}  // namespace dln

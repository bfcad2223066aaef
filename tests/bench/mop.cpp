// A training step of a mixture of prompts, forward and backward, on random weights of SmolLM2-135M's shape: how much of it
// is matrix products, how near it comes to what the library does on large ones, what the experts cost beside a single
// prompt, and how much memory it takes. One thread, as a rank has.
//
//   bench_mop [--quick]

#include <algorithm>
#include <cmath>
#include <memory>

#include <cblas.h>
#include <sys/resource.h>

#include "dln/error.hpp"
#include "dln/mop/llama.hpp"
#include "dln/nn/operations.hpp"
#include "dln/random/counter_rng.hpp"

#include "bench/measure.hpp"

namespace {

/// Of all calls since it was last set to nothing.
struct Products {
    double seconds = 0.0;
    double operations = 0.0;  ///< 2 m n k each
};
Products products;

double thread_seconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

// The linker leads every call of cblas_sgemm here (--wrap), also those of src/nn.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier): the linker's names
decltype(cblas_sgemm) __real_cblas_sgemm;
void __wrap_cblas_sgemm(CBLAS_ORDER order,
                        CBLAS_TRANSPOSE a_transposed,
                        CBLAS_TRANSPOSE b_transposed,
                        blasint m,
                        blasint n,
                        blasint k,
                        float alpha,
                        const float* a,
                        blasint a_stride,
                        const float* b,
                        blasint b_stride,
                        float beta,
                        float* c,
                        blasint c_stride) {
    const double start = thread_seconds();
    __real_cblas_sgemm(order, a_transposed, b_transposed, m, n, k, alpha, a, a_stride, b, b_stride,
                       beta, c, c_stride);
    products.seconds += thread_seconds() - start;
    products.operations += 2.0 * m * n * k;
}
// NOLINTEND(bugprone-reserved-identifier)
}

namespace dln::bench {
namespace {

using nn::Matrix;
using nn::Tape;
using nn::Variable;

constexpr std::size_t kBlocks = 30;
constexpr std::size_t kVocabulary = 49152;
constexpr std::size_t kFfn = 1536;
constexpr mop::LlamaShape kShape{
    .width = 576, .heads = 9, .kv_heads = 3, .head_size = 64, .rope_base = 1e5F};
constexpr std::size_t kInjection = 10;
constexpr std::size_t kTexts = 4;
constexpr std::size_t kLength = 96;
constexpr std::size_t kAnswer = 8;  ///< tokens of each text that count: 32 in all
constexpr std::size_t kVectors = 10;

/// Entries of variance 1 / columns, so that hidden states keep their size.
Matrix random_matrix(std::size_t rows, std::size_t columns) {
    static std::uint64_t state = 1;
    Matrix matrix(rows, columns);
    const float size = std::sqrt(3.0F / static_cast<float>(columns));
    for (float& value : matrix.values) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        value = size * (static_cast<float>(state >> 40) * 0x1p-23F - 1.0F);
    }
    return matrix;
}

/// The model, with the matrices that it views.
class RandomModel {
  public:
    RandomModel() {
        weights_.shape = kShape;
        weights_.embedding = held(random_matrix(kVocabulary, kShape.width));
        weights_.output_norm = held(ones());
        const std::size_t inner = kShape.heads * kShape.head_size;
        const std::size_t shared = kShape.kv_heads * kShape.head_size;
        for (std::size_t b = 0; b < kBlocks; ++b) {
            weights_.blocks.push_back({.attention_norm = held(ones()),
                                       .q = held(random_matrix(inner, kShape.width)),
                                       .k = held(random_matrix(shared, kShape.width)),
                                       .v = held(random_matrix(shared, kShape.width)),
                                       .output = held(random_matrix(kShape.width, inner)),
                                       .ffn_norm = held(ones()),
                                       .gate = held(random_matrix(kFfn, kShape.width)),
                                       .up = held(random_matrix(kFfn, kShape.width)),
                                       .down = held(random_matrix(kShape.width, kFfn))});
        }
    }
    [[nodiscard]] const mop::LlamaWeights& weights() const { return weights_; }

  private:
    static Matrix ones() {
        Matrix matrix(1, kShape.width);
        std::ranges::fill(matrix.values, 1.0F);
        return matrix;
    }
    nn::MatrixView held(Matrix matrix) {
        matrices_.push_back(std::make_unique<const Matrix>(std::move(matrix)));
        return *matrices_.back();
    }

    std::vector<std::unique_ptr<const Matrix>> matrices_;
    mop::LlamaWeights weights_;
};

struct StepCost {
    double seconds = 0.0;
    Products products;
};

/// From hidden states at the injection block, as training has them from its cache, to the gradients.
StepCost step(const mop::LlamaWeights& weights, const Matrix& cached, std::size_t experts) {
    const Matrix prompts = random_matrix(experts * kVectors, kShape.width);
    const Matrix log_gate(kTexts, experts);
    std::vector<std::size_t> rows;
    for (std::size_t text = 1; text <= kTexts; ++text) {
        for (std::size_t t = kAnswer + 1; t-- > 1;) rows.push_back(text * kLength - 1 - t);
    }
    products = {};
    const double start = thread_seconds();
    Tape tape;
    const mop::Mixture mixture{.prompts = tape.parameter(prompts),
                               .log_gate = tape.parameter(log_gate)};
    const Variable hidden =
        run_blocks(tape, weights, tape.constant(cached), std::vector<std::size_t>(kTexts, kLength),
                   kInjection, kBlocks, mixture);
    const Variable loss = cross_entropy(tape, logits(tape, weights, hidden, rows),
                                        std::vector<std::int32_t>(rows.size(), 7));
    tape.backward(loss);
    const float size = std::abs(tape.gradient(mixture.prompts).values.front());
    DLN_ASSERT(std::isfinite(size) && size > 0.0F, "a gradient of {}", size);
    return {.seconds = thread_seconds() - start, .products = products};
}

/// Operations a second on large matrices: the best of some.
double peak_rate(bool quick) {
    constexpr std::size_t kSize = 1536;
    const Matrix a = random_matrix(kSize, kSize);
    const Matrix b = random_matrix(kSize, kSize);
    Matrix c(kSize, kSize);
    const auto size = static_cast<blasint>(kSize);
    double best = 0.0;
    for (int i = 0; i < (quick ? 3 : 6); ++i) {
        products = {};
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, size, size, size, 1.0F,
                    a.values.data(), size, b.values.data(), size, 0.0F, c.values.data(), size);
        best = std::max(best, products.operations / products.seconds);
    }
    return best;
}

double peak_memory_gib() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_maxrss) / (1024.0 * 1024.0);
}

int measure(bool quick) {
    nn::keep_freed_memory();
    const RandomModel model;
    const Matrix cached = random_matrix(kTexts * kLength, kShape.width);
    (void)step(model.weights(), cached, 1);  // pages of the weights, threads of the library
    double peak = 0.0;
    std::vector<double> seconds;
    std::vector<double> shares;
    std::vector<double> rates;
    std::vector<double> ratios;
    for (int i = 0; i < (quick ? 3 : 9); ++i) {
        peak = std::max(peak, peak_rate(quick));
        const StepCost one = step(model.weights(), cached, 1);
        const StepCost mixed = step(model.weights(), cached, 8);
        seconds.push_back(mixed.seconds);
        shares.push_back(mixed.products.seconds / mixed.seconds);
        rates.push_back(mixed.products.operations / mixed.seconds);
        ratios.push_back(mixed.seconds / one.seconds);
    }
    print_figure("step of 8 experts: processor time", median(seconds), " s");
    print_figure("step of 8 experts: share of it in matrix products", 100.0 * median(shares), " %",
                 {.at_least = 60.0, .at_most = {}});
    print_figure("large matrix products", peak / 1e9, " GFLOP/s");
    print_figure("step of 8 experts: its rate / that of large products",
                 100.0 * median(rates) / peak, " %", {.at_least = 55.0, .at_most = {}});
    print_figure("step of 8 experts / of a single prompt", median(ratios), "",
                 {.at_least = {}, .at_most = 1.2});
    print_figure("step of 8 experts: peak memory with all weights", peak_memory_gib(), " GiB",
                 {.at_least = {}, .at_most = 1.0});
    return 0;
}

}  // namespace
}  // namespace dln::bench

int main(int count, char** values) {
    return dln::bench::run_main("bench_mop", [&] {
        const std::vector<std::string> options(values + 1, values + count);
        if (options.size() > 1 || (options.size() == 1 && options[0] != "--quick")) {
            fmt::print(stderr, "usage: bench_mop [--quick]\n");
            return 2;
        }
        return dln::bench::measure(!options.empty());
    });
}

#pragma once
// A step document with everything that is awkward to store, for the tests of the stores and for h5py.

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "dln/store/checkpoint_store.hpp"

namespace dln::testing {

inline StepDocument sample_document(std::int64_t step = 0) {
    using Integers = std::vector<std::int64_t>;
    using Reals = std::vector<double>;
    using Texts = std::vector<std::string>;
    StepDocument document;
    auto& arrays = document.arrays;
    arrays["state/step"] = Array::scalar(step);
    arrays["state/seed"] = Array::scalar(std::numeric_limits<std::int64_t>::min());
    arrays["state/layers/0/prompt"] =
        Array::scalar(std::string("Ist der Text höflich? 是的 🙂"));
    arrays["state/layers/1/prompt"] = Array::scalar(std::string());
    arrays["candidates/prompts"] =
        Array::table(2, 2, Texts{"a", "", "line\nbreak", "tab\t\"quote\""});
    arrays["candidates/bytes"] =
        Array::list(Texts{std::string("nul\0inside", 10), "\xff\xfe", "", "plain"});
    arrays["candidates/long"] = Array::list(Texts{std::string(1 << 20, 'x'), "end"});
    arrays["scores/matrix"] =
        Array::table(2, 3,
                     Reals{-0.0, std::numeric_limits<double>::quiet_NaN(),
                           -std::numeric_limits<double>::infinity(),
                           std::numeric_limits<double>::denorm_min(), 1.0 / 3.0, -1.25});
    arrays["scores/counts"] =
        Array::list(Integers{std::numeric_limits<std::int64_t>::max(), -1, 0});
    arrays["scores/none"] = Array::list(Reals{});
    arrays["scores/no_texts"] = Array::list(Texts{});
    arrays["scores/no_rows"] = Array::table(0, 3, Integers{});
    arrays["scores/cube"] = {{2, 1, 2}, Integers{1, 2, 3, 4}};
    Reals many(10'000);
    for (std::size_t i = 0; i < many.size(); ++i) {
        many[i] = static_cast<double>(i) / 7.0;
    }
    arrays["scores/many"] = Array::table(100, 100, std::move(many));
    arrays["timing/seconds"] = Array::scalar(1.5);
    return document;
}

inline StepHeader sample_header(std::int64_t step = 0) {
    StepHeader header;
    header.program_version = "0.1.0";
    header.job_hash = "cafe";
    header.step = step;
    return header;
}

}  // namespace dln::testing

#pragma once
// prompts.json of a run: the parameters that `dln predict` and `dln eval` use.

#include <string>

#include "dln/job/job.hpp"
#include "dln/network/calibration.hpp"
#include "dln/network/parameters.hpp"

namespace dln {

/// Reads prompts.json text; templates are found by name in `job`. `path` serves messages. Throws
/// UsageError that names what does not fit.
[[nodiscard]] NetworkParameters parse_prompts(const std::string& text,
                                              const std::string& path,
                                              const Job& job);

/// The class prior in prompts.json text, by which the network's answers are calibrated; empty where it has none or
/// the job does not calibrate. Throws UsageError that names what does not fit.
[[nodiscard]] ClassLogProbs parse_class_prior(const std::string& text,
                                              const std::string& path,
                                              const Job& job);

}  // namespace dln

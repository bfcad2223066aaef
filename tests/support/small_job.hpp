#pragma once
// The jobs and data that tests of networks, units and training begin with; each test changes what it is
// about.

#include <string>
#include <utility>
#include <vector>

#include "dln/data/dataset.hpp"
#include "dln/job/job.hpp"

namespace dln::testing {

inline LayerSpec layer_of(const std::string& prompt,
                          const std::string& text = "{{prompt}}\n{{input}}") {
    LayerSpec layer;
    layer.prompts = {prompt};
    layer.templates = {{.name = "plain", .text = text}};
    return layer;
}

/// One layer that generates.
inline Job small_job(const std::string& text = "{{prompt}}\n{{input}}") {
    Job job;
    job.path = "job.json";
    job.name = "small";
    job.network.layers = {layer_of("P", text)};
    job.scoring.objective = Objective::accuracy;
    return job;
}

/// One layer with the classes no and yes, one form each.
inline Job class_job(const std::string& text = "{{prompt}}\n{{input}}") {
    Job job = small_job(text);
    job.classes = {{"no", {"no"}}, {"yes", {"yes"}}};
    job.scoring.objective = Objective::class_log_prob;
    job.scoring.leading_space = false;
    return job;
}

inline Dataset dataset_of(const std::vector<std::pair<std::string, std::string>>& examples) {
    Dataset data;
    for (const auto& [input, target] : examples) data.add(input, target);
    return data;
}

}  // namespace dln::testing

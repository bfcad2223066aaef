#pragma once
// What dln sweep status, collect and best share.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "dln/report/statistics.hpp"
#include "dln/sweep/results.hpp"

#include "cli/sweep.hpp"

namespace dln {

struct ReportOptions {
    std::string path;
    bool json = false;
    bool csv = false;
};

/// Adds `dln sweep <name>`, which reads a sweep and writes nothing.
CLI::App* add_report(CLI::App& sweep,
                     Chosen& chosen,
                     const char* name,
                     const char* what,
                     const std::shared_ptr<ReportOptions>& options,
                     int (*run)(const ReportOptions&));

/// Of an adaptive sweep; else null.
[[nodiscard]] const Decisions* decisions_of(const OpenSweep& sweep);
void print_json(const nlohmann::ordered_json& json);
[[nodiscard]] std::string number_text(const std::optional<double>& value);
[[nodiscard]] std::string interval_text(const std::optional<Interval>& interval);
/// How many calls the sweep's journal answered, if any.
void print_saved(const TrialCost& cost);
[[nodiscard]] nlohmann::ordered_json configuration_json(const ConfigurationResult& one);

}  // namespace dln

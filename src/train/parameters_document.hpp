#pragma once
// Parameters of networks as arrays of step files (docs/checkpoint-format.md). Pure; rank 0.

#include <cstddef>
#include <string>
#include <vector>

#include "dln/network/parameters.hpp"
#include "dln/store/checkpoint_store.hpp"

namespace dln {

/// Parameters of several networks of one job as tables [network, layer] below `path`.
void write_parameters(const std::vector<NetworkParameters>& networks,
                      const std::string& path,
                      StepDocument& document);
/// Reads them back; throws CheckpointError that names what does not fit.
[[nodiscard]] std::vector<NetworkParameters> read_parameters(const std::string& path,
                                                             const StepDocument& document);

/// Where a mixture layer's arrays are below `path`.
[[nodiscard]] std::string mixture_path(const std::string& path, std::size_t layer);

}  // namespace dln

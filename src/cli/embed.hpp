#pragma once
// Embeds texts for a command, on all ranks, before its own engine begins.

#include <span>
#include <string_view>

#include "dln/comm/communicator.hpp"
#include "dln/engine/embed_texts.hpp"
#include "dln/llm/backend.hpp"

namespace dln {

struct EmbeddedTexts {
    Embeddings embeddings;  ///< on all ranks
    // Of all ranks; on rank 0 only.
    Usage usage;
    BackendCounts counts;
};

/// `texts` are the same on all ranks, each once, and none is blank; `parts` are as make_embed_units() has them. Throws
/// SharedError (exit code 3) when a rank's backend has failed. Collective.
[[nodiscard]] EmbeddedTexts embed_on_all_ranks(Communicator& comm,
                                               std::span<const std::string_view> texts,
                                               std::span<const std::size_t> parts,
                                               Backend& backend);

}  // namespace dln

#include "cli/embed.hpp"

#include <optional>

#include "dln/engine/engine.hpp"
#include "dln/error.hpp"

#include "cli/ranks.hpp"

namespace dln {
namespace {

// Texts of a unit: enough for a few calls or decodes. It may enter the last bits of vectors, so it never changes
// with ranks or servers.
constexpr std::size_t kTextsAUnit = 64;

// Rank 0's part: gives out all units. The other ranks are told to stop whatever happens.
void embed_on_root(Engine& engine, std::span<const std::size_t> parts, EmbeddedTexts& embedded) {
    TaskGraph graph;
    const TaskId task = graph.add(
        {.needs = {}, .expand = [parts] { return make_embed_units(parts, kTextsAUnit); }});
    const auto end = [&] {
        embedded.counts = engine.total_counts();
        engine.stop_serving();
    };
    try {
        engine.run(graph);
    } catch (const BackendError&) {
        end();
        throw;
    }
    end();
    embedded.usage = graph.result(task).usage;
    embedded.embeddings = read_embeddings(graph.result(task));
}

}  // namespace

EmbeddedTexts embed_on_all_ranks(Communicator& comm,
                                 std::span<const std::string_view> texts,
                                 std::span<const std::size_t> parts,
                                 Backend& backend) {
    EmbedRunner runner(texts, backend);
    Engine engine(comm, runner);
    EmbeddedTexts embedded;
    // Other errors than the backend's end all ranks at once: nothing is known then of what they are doing.
    std::optional<BackendError> failure;
    if (comm.rank() == 0) {
        try {
            embed_on_root(engine, parts, embedded);
        } catch (const BackendError& error) {
            failure = error;
        }
    } else {
        engine.serve();
    }
    embedded.embeddings = deserialize_embeddings(from_root(comm, [&] {
        if (failure) throw BackendError(*failure);
        return serialize(embedded.embeddings);
    }));
    return embedded;
}

}  // namespace dln

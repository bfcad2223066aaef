#pragma once
// The readers of the three formats, for read_split alone. Each takes an open file, gives its records to
// the sink until that is full or the file ends, and throws UsageError as read_split says.

#include "example_sink.hpp"
#include "line_reader.hpp"

namespace dln {

void read_json_lines(LineReader& file, ExampleSink& sink);
void read_bbh(LineReader& file, ExampleSink& sink);
void read_csv(LineReader& file, ExampleSink& sink);

}  // namespace dln

#pragma once
// Named places where a test may have the program killed, to prove that a kill at any instant is
// survived. The variable DLN_FAILPOINT="<name>[:<n>]" makes the n-th passing (default: the first)
// of that point raise SIGKILL. Without the variable a point costs one getenv.

namespace dln {

/// Marks a point. Called by the store (after_open, after_write, after_close, before_rename,
/// after_rename: once a step file each; after_latest; after_journal_line) and by the trainer
/// (step_end).
void failpoint(const char* name);

}  // namespace dln

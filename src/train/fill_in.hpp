#pragma once
// What a job leaves out of a template that has the name of a built-in one.

namespace dln {

/// Takes text and kind from `known`, and its messages where the job has none of its own.
template <class TemplateSpec>
void fill_in(TemplateSpec& given, const TemplateSpec& known) {
    given.text = known.text;
    given.chat = known.chat;
    if (given.messages.empty()) given.messages = known.messages;
}

}  // namespace dln

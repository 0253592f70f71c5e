// Global variables of the kernel programs, before they are loaded.
#pragma once

struct bpf_object;

namespace skybraid {

// Where a variable of a section is in our memory; nullptr if there is none of that name.
void* GlobalVariable(const bpf_object* object, const char* section, const char* name);

}  // namespace skybraid

// Prints how many instructions the kernel's verifier went through for each program of an object, as one JSON
// object, with everything switched on.
//   verifier-cost bpf/build/skybraid.bpf.o
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "kernel_globals.h"

namespace {

bool SwitchOn(const bpf_object* object, const char* name) {
  void* at = skybraid::GlobalVariable(object, ".rodata", name);
  const uint32_t on = UINT32_MAX;
  if (at != nullptr) memcpy(at, &on, sizeof on);
  return at != nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: verifier-cost OBJECT\n");
    return 2;
  }
  bpf_object* object = bpf_object__open_file(argv[1], nullptr);
  if (object == nullptr || !SwitchOn(object, "sb_l7") || bpf_object__load(object) != 0) {
    fprintf(stderr, "%s can't be loaded\n", argv[1]);
    return 1;
  }
  const char* separator = "{";
  bpf_program* program;
  bpf_object__for_each_program(program, object) {
    bpf_prog_info info{};
    uint32_t length = sizeof info;
    bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length);
    printf("%s\"%s\":%u", separator, bpf_program__name(program), info.verified_insns);
    separator = ",";
  }
  printf("}\n");
  bpf_object__close(object);
  return 0;
}

#include "kernel_globals.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <cstring>

namespace skybraid {

void* GlobalVariable(const bpf_object* object, const char* section, const char* name) {
  const btf* types = object != nullptr ? bpf_object__btf(object) : nullptr;
  const bpf_map* map = object != nullptr ? bpf_object__find_map_by_name(object, section) : nullptr;
  if (types == nullptr || map == nullptr) return nullptr;
  const int id = btf__find_by_name_kind(types, section, BTF_KIND_DATASEC);
  size_t size = 0;
  auto* memory =
      static_cast<char*>(const_cast<void*>(bpf_map__initial_value(const_cast<bpf_map*>(map), &size)));
  if (id < 0 || memory == nullptr) return nullptr;
  const btf_type* datasec = btf__type_by_id(types, static_cast<uint32_t>(id));
  const btf_var_secinfo* variable = btf_var_secinfos(datasec);
  for (int i = 0; i < btf_vlen(datasec); i++, variable++) {
    const btf_type* type = btf__type_by_id(types, variable->type);
    if (strcmp(btf__name_by_offset(types, type->name_off), name) == 0 &&
        variable->offset + variable->size <= size)
      return memory + variable->offset;
  }
  return nullptr;
}

}  // namespace skybraid

#include "../l7/http1/http1.h"
#include "l7_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return skybraid::l7::fuzz::Run<skybraid::l7::Http1>(data, size);
}

#include "../l7/tls/tls.h"
#include "l7_parser.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  return skybraid::l7::fuzz::Run<skybraid::l7::tls::TlsParser>(data, size);
}

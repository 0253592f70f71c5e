// libFuzzer target: the DNS parser on any bytes. Besides memory errors it checks what callers rely on.
#include "dns.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static skybraid::DnsAnswer answer;
  static skybraid::DnsQuestion question;
  if (size == 0) return 0;
  const bool cut = (data[0] & 1) != 0;
  const auto outcome = skybraid::ParseDnsAnswer(data + 1, size - 1, cut, answer);
  if (answer.count > skybraid::kMaxDnsAddresses) abort();
  if ((outcome == skybraid::DnsOutcome::kAnswer) != (answer.count > 0)) abort();
  if (outcome == skybraid::DnsOutcome::kAnswer &&
      (answer.question.name.empty() || answer.question.name.size() > 255))
    abort();
  if (skybraid::ParseDnsQuestion(data + 1, size - 1, question) && question.name.empty()) abort();
  for (const char c : answer.question.name) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) abort();
  }
  return 0;
}

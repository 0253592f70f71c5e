// Datagrams of any bytes, as if they were DNS. The input is a row of them: a byte with side, flow and whether
// all of it was captured, one with the length, and that many bytes. What is checked: operations are short and
// printable, no more flows are remembered than there is room for, and every question is told once or counted.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "../l7/dns/dns_datagrams.h"

namespace {

using skybraid::l7::Ledger;
using skybraid::l7::LedgerRow;
using skybraid::l7::Side;
using skybraid::l7::dns::DnsDatagrams;

constexpr size_t kRoom = 3;

uint64_t TakeAll(DnsDatagrams& datagrams, const Ledger& ledger, uint64_t flow, bool closed) {
  uint64_t told = 0;
  datagrams.Take(flow, closed, [&](const LedgerRow& row) {
    told += row.count;
    const std::string_view name = ledger.Name(row.operation);
    if (name.empty() || name.size() > 256) abort();
    for (const char c : name) {
      if (c < 0x20 || c >= 0x7f) abort();
    }
  });
  return told;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Ledger ledger({64, 128, 512, 32});
  DnsDatagrams datagrams(ledger, kRoom);
  uint64_t ns = 0, asked = 0, told = 0;
  while (size > 2) {
    const uint8_t control = data[0];
    const size_t length = std::min<size_t>(data[1], size - 2);
    const std::vector<uint8_t> copy(data + 2, data + 2 + ((control & 2) != 0 ? length / 2 : length));
    data += 2 + length, size -= 2 + length, ns += 1'000'000;
    const Side side = (control & 1) != 0 ? Side::kToClient : Side::kToServer;
    const uint64_t malformed = datagrams.Counters().malformed;
    const uint64_t flow = control >> 2 & 7;
    datagrams.Feed(
        flow, {side, 0, static_cast<uint32_t>(length), static_cast<uint32_t>(copy.size()), copy.data(), ns});
    asked += side == Side::kToServer && datagrams.Counters().malformed == malformed;
    if (datagrams.Flows() > kRoom) abort();
    if ((control & 0xc0) == 0xc0) told += TakeAll(datagrams, ledger, flow, (control & 0x20) != 0);
  }
  for (uint64_t flow = 0; flow < 8; flow++) told += TakeAll(datagrams, ledger, flow, true);
  if (told + datagrams.Counters().forgotten + ledger.Counters().lost != asked) abort();
  return 0;
}

#include "dns_datagrams.h"

#include <algorithm>

#include "dns_message.h"
#include "dns_name.h"

namespace skybraid::l7::dns {

namespace {

// The port says already that it should be DNS: names may be made of any bytes, but all of one is there.
bool IsMessage(Side side, const Piece& datagram) {
  if (datagram.captured < kHeader || !IsHeader(side, datagram.bytes)) return false;
  if (BigEndian16(datagram.bytes + 4) == 0) return true;
  const size_t name = NameBytes(datagram.bytes + kHeader, datagram.captured - kHeader);
  return name != 0 && kHeader + name + 4 <= datagram.captured;
}

}  // namespace

DnsDatagrams::~DnsDatagrams() {
  for (auto& [id, flow] : flows_) ledger_.Take(flow.pairing.Rows(), [](const LedgerRow&) {});
}

void DnsDatagrams::Feed(uint64_t id, const Piece& datagram) {
  if (!IsMessage(datagram.side, datagram)) {
    ++counters_.malformed;
    return;
  }
  const bool asks = datagram.side == Side::kToServer;
  if (!asks && !Knows(id)) {
    ++counters_.pairing.unpaired;
    return;
  }
  Flow& flow = Touch(id);
  if (flow.ignored) return;
  Reading reading;
  ReadMessage(datagram.side, datagram.bytes, datagram.captured, reading);
  Message& message = reading.message;
  // Who does not repeat the question answers the oldest with the id.
  if ((message.key & kQuestionBits) == 0) message.key = flow.pairing.Oldest(message.key, ~kQuestionBits);
  message.bytes = datagram.length;
  message.first_ns = message.last_ns = datagram.ns;
  flow.pairing.Emit(message);
}

DnsDatagrams::Flow& DnsDatagrams::Touch(uint64_t id) {
  const auto found = flows_.find(id);
  if (found != flows_.end()) {
    used_.splice(used_.end(), used_, found->second.use);
    return found->second;
  }
  if (flows_.size() >= max_flows_) {
    const auto oldest = flows_.find(used_.front());
    ++counters_.given_up;
    oldest->second.pairing.Close();
    ledger_.Take(oldest->second.pairing.Rows(),
                 [this](const LedgerRow& row) { counters_.forgotten += row.count; });
    Forget(oldest);
  }
  Flow& flow = flows_.try_emplace(id, ledger_, counters_.pairing).first->second;
  flow.use = used_.insert(used_.end(), id);
  return flow;
}

void DnsDatagrams::GiveUpBefore(uint64_t ns) {
  for (auto& [id, flow] : flows_) flow.pairing.GiveUpBefore(ns);
}

void DnsDatagrams::Ignore(uint64_t id) {
  Flow& flow = Touch(id);
  flow.ignored = true;
  flow.pairing.Close();
  ledger_.Take(flow.pairing.Rows(), [](const LedgerRow&) {});
}

void DnsDatagrams::Forget(Entries::iterator at) {
  used_.erase(at->second.use);
  flows_.erase(at);
}

}  // namespace skybraid::l7::dns

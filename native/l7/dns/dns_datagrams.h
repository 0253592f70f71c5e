// DNS over UDP: each datagram is a message, and a flow is remembered only as long as a response is missing or
// something of it is to be told. Name servers see a new flow with nearly every question, so that memory for
// each that goes on for as long as the flow does would not do.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>

#include "../ledger.h"
#include "../pairing.h"

namespace skybraid::l7::dns {

struct DatagramCounters {
  PairingCounters pairing;
  uint64_t malformed = 0;  // datagrams that are no message of DNS in their direction
  uint64_t given_up = 0;   // flows that there was no room to remember, the longest silent first
  uint64_t forgotten = 0;  // messages that were to be told of those
};

class DnsDatagrams {
 public:
  static constexpr size_t kMaxFlows = 6144;

  explicit DnsDatagrams(Ledger& ledger, size_t max_flows = kMaxFlows)
      : ledger_(ledger), max_flows_(max_flows) {}
  ~DnsDatagrams();
  DnsDatagrams(const DnsDatagrams&) = delete;
  DnsDatagrams& operator=(const DnsDatagrams&) = delete;

  // One datagram, in the order in which they passed.
  void Feed(uint64_t flow, const Piece& datagram);
  // Requests that began before this and have no response are unknown for good.
  void GiveUpBefore(uint64_t ns);
  // What was said since the last time, row by row. `closed`: nothing follows, open requests have no response.
  template <typename Each>
  void Take(uint64_t flow, bool closed, Each&& each) {
    const auto found = flows_.find(flow);
    if (found == flows_.end()) return;
    Pairing& pairing = found->second.pairing;
    if (closed) pairing.Close();
    ledger_.Take(pairing.Rows(), each);
    if (closed || (!found->second.ignored && pairing.OpenRequests() == 0)) Forget(found);
  }
  // Nothing of this flow is wanted.
  void Ignore(uint64_t flow);
  bool Knows(uint64_t flow) const { return flows_.count(flow) != 0; }

  size_t Flows() const { return flows_.size(); }
  const DatagramCounters& Counters() const { return counters_; }

 private:
  struct Flow {
    Flow(Ledger& ledger, PairingCounters& counters) : pairing(Protocol::kDns, ledger, counters) {}
    Pairing pairing;
    std::list<uint64_t>::iterator use;
    bool ignored = false;
  };
  using Entries = std::unordered_map<uint64_t, Flow>;

  Flow& Touch(uint64_t flow);
  void Forget(Entries::iterator at);

  Ledger& ledger_;
  size_t max_flows_;
  DatagramCounters counters_;
  Entries flows_;
  std::list<uint64_t> used_;  // the longest unused first
};

}  // namespace skybraid::l7::dns

// What is remembered of one flow while it is open.
#pragma once

#include <cstdint>

#include "flow_record.h"
#include "record.h"

namespace skybraid {

struct Flow {
  FlowCounters last;      // as of the latest reading
  FlowCounters reported;  // as of the latest record
  FlowOwner owner;
  sb_addr local;
  sb_addr remote;
  uint64_t hash;
  uint64_t cookie;
  uint64_t flow_id;
  uint64_t kernel_opened_ns;  // tells one kernel entry of a UDP flow from the next
  uint64_t opened_ns;
  uint64_t read_ns;
  uint64_t read_wall_ms;
  uint64_t changed_ns;  // the reading that last found something new
  uint64_t last_record_ns;
  uint32_t dialler_isn;
  uint32_t acceptor_isn;
  uint32_t netns;
  uint32_t handshake_us;
  uint32_t srtt_us;
  uint32_t min_rtt_us;
  uint32_t generation;
  uint32_t revival;  // UDP: how often it came back after having been idle
  uint32_t flags;    // of the latest row, enum sb_row_flags
  uint32_t next;     // in its hash chain
  uint32_t pending;  // its record, if pending_epoch is still that of the table
  uint32_t pending_epoch;
  uint32_t sweep;
  uint16_t local_port;
  uint16_t remote_port;
  uint8_t protocol;  // 0: the slot is free
  uint8_t family;
  uint8_t role;
  bool settled;  // the join key is known
  bool reported_once;
  bool reported_quiet;  // the last record said so
  bool dirty;           // something of the latest reading is unreported
  bool dormant;         // UDP: closed as idle; the kernel may still count on
  bool chosen;          // whether it is recorded was decided, with its first record
  bool muted;           // it is not
  uint8_t sampling;     // it stands for 2^sampling connections
};

}  // namespace skybraid

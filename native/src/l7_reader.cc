#include "l7_reader.h"

#include <algorithm>

#include "flow_identity.h"

namespace skybraid {

namespace {

constexpr size_t kMaxEarly = 64;
// Of a direction. Pieces of a byte come in hundreds while a processor that stands still has one of them.
constexpr size_t kMaxHeldPieces = 1024;

l7::LedgerOptions LedgerSize() {
  l7::LedgerOptions options;
  options.max_operations = 2048;
  options.max_rows = 8192;
  options.max_octaves = 9728;
  return options;
}

l7::ConversationOptions ConversationSize(const L7Options& options) {
  l7::ConversationOptions size;
  size.protocols = options.protocols;
  return size;
}

// Where the programs take one end for the other they can't tell what is wanted of a frame.
uint8_t HowToRead(l7::Protocol protocol, bool turned) {
  switch (protocol) {
    case l7::Protocol::kHttp2:
    case l7::Protocol::kGrpc:
      return SB_L7_HTTP2;
    case l7::Protocol::kPostgres:
      return turned ? SB_L7_WHOLE : SB_L7_POSTGRES;
    case l7::Protocol::kMysql:
      return turned ? SB_L7_WHOLE : SB_L7_MYSQL;
    case l7::Protocol::kRedis:
    case l7::Protocol::kMqtt:
      return SB_L7_WHOLE;
    default:
      return SB_L7_PACKETS;
  }
}

}  // namespace

L7Reader::L7Reader(sb_l7_stream* streams, const L7Options& options)
    : streams_(streams),
      options_(options),
      ledger_(LedgerSize()),
      conversations_(ledger_, ConversationSize(options), this),
      datagrams_(ledger_) {}

// ---- pieces

void L7Reader::OnPiece(const sb_l7_row& row) {
  ++pieces_;
  if (row.slot == SB_L7_DATAGRAM) return OnDatagram(row);
  if (row.cookie == 0) return KeepEarly(row);
  const l7::Origin from{row.cookie, row.slot, row.role == SB_ROLE_SERVER, row.guessed != 0};
  const sb_l7_stream* stream = SlotOf(from);
  if (stream == nullptr) {
    ++late_;
    return;
  }
  if (stream->how == SB_L7_UNREAD) return;
  const uint64_t flow_id = TcpFlowId(row.cookie, row.generation);
  if (from.server && !early_.empty()) FeedEarly(flow_id, row, from);
  const l7::Piece piece{SideOf(row.in != 0, from.server),
                        row.offset,
                        row.length,
                        row.captured,
                        row.bytes,
                        row.ns,
                        row.passed_ns};
  if ((!holes_.empty() || row.prior_end < row.offset) && Hold(flow_id, from, row, piece)) return;
  conversations_.Feed(flow_id, piece, from);
}

void L7Reader::OnDatagram(const sb_l7_row& row) {
  datagrams_.Feed(UdpSpeechId(row.generation), {SideOf(row.in != 0, row.role == SB_ROLE_SERVER), 0,
                                                row.length, row.captured, row.bytes, row.ns});
}

// Payload of a handshake's last packet went to the listener. The connection's first piece fetches it.
void L7Reader::KeepEarly(const sb_l7_row& row) {
  const auto again = std::find_if(early_.begin(), early_.end(), [&row](const Early& early) {
    return early.isn == row.peer_isn && early.ports == row.ports;
  });
  if (again != early_.end()) return;
  if (early_.size() >= kMaxEarly) early_.erase(early_.begin());
  early_.push_back({row.peer_isn, row.ports, row.ns, row.length, {row.bytes, row.bytes + row.captured}});
}

void L7Reader::FeedEarly(uint64_t flow_id, const sb_l7_row& row, const l7::Origin& from) {
  const sb_l7_half& received = streams_[row.slot].half[1];
  if (received.known == 0) return;
  const auto found = std::find_if(early_.begin(), early_.end(), [&](const Early& early) {
    return early.isn == received.first - 1 && early.ports == row.ports;
  });
  if (found == early_.end()) return;
  const Early early = std::move(*found);
  early_.erase(found);
  conversations_.Feed(flow_id,
                      {l7::Side::kToServer, 0, early.length, static_cast<uint32_t>(early.bytes.size()),
                       early.bytes.data(), early.ns},
                      from);
}

// ---- order

// True: the piece waits for one before it, or came while others waited and is dealt with.
bool L7Reader::Hold(uint64_t flow_id, const l7::Origin& from, const sb_l7_row& row, const l7::Piece& piece) {
  const bool in = row.in != 0;
  auto found = holes_.find(flow_id);
  if (found == holes_.end() || found->second.in[in].held.empty()) {
    // Bytes that nobody copied, or that were not needed, are not on their way.
    if (row.prior_end >= row.offset || conversations_.Passes(flow_id, piece.side, row.offset)) return false;
    if (found == holes_.end()) found = holes_.try_emplace(flow_id).first;
    found->second.from = from;
    found->second.in[in].next = row.prior_end;
    found->second.in[in].since_ns = row.ns;
  }
  Holes& holes = found->second;
  Hole& hole = holes.in[in];
  if (row.offset <= hole.next) {
    hole.next = std::max<uint64_t>(hole.next, row.offset + row.length);
    hole.since_ns = row.ns;
    conversations_.Feed(flow_id, piece, from);
    LetGo(flow_id, holes, in, false);
    return true;
  }
  const auto at = std::upper_bound(hole.held.begin(), hole.held.end(), row.offset,
                                   [](uint64_t offset, const Held& held) { return offset < held.offset; });
  hole.held.insert(at,
                   {row.offset, row.ns, row.passed_ns, row.length, {row.bytes, row.bytes + row.captured}});
  held_bytes_ += sizeof(Held) + row.captured;
  if (hole.held.size() > kMaxHeldPieces || held_bytes_ > options_.max_held_bytes)
    LetGo(flow_id, holes, in, true);
  return true;
}

// What nothing is missing before; `all`: all of it, with its gaps.
void L7Reader::LetGo(uint64_t flow_id, Holes& holes, bool in, bool all) {
  Hole& hole = holes.in[in];
  size_t count = 0;
  for (; count < hole.held.size(); count++) {
    const Held& held = hole.held[count];
    if (held.offset > hole.next) {
      if (!all) break;
      ++gaps_;
    }
    hole.next = std::max<uint64_t>(hole.next, held.offset + held.length);
    held_bytes_ -= sizeof(Held) + held.bytes.size();
    conversations_.Feed(
        flow_id,
        {SideOf(in, holes.from.server), held.offset, held.length, static_cast<uint32_t>(held.bytes.size()),
         held.bytes.data(), held.ns, held.passed_ns},
        holes.from);
  }
  hole.held.erase(hole.held.begin(), hole.held.begin() + static_cast<std::ptrdiff_t>(count));
  if (hole.held.empty() && holes.in[!in].held.empty()) holes_.erase(flow_id);
}

void L7Reader::LetAllGo(uint64_t flow_id, Holes& holes) {
  const bool received = !holes.in[1].held.empty();
  // The last one released takes `holes` with it.
  if (!holes.in[0].held.empty()) LetGo(flow_id, holes, false, true);
  if (received) LetGo(flow_id, holes, true, true);
}

void L7Reader::LetGoBefore(uint64_t ns) {
  if (holes_.empty()) return;
  std::vector<uint64_t> due;
  for (const auto& [flow_id, holes] : holes_) {
    const bool waited = std::any_of(std::begin(holes.in), std::end(holes.in), [ns](const Hole& hole) {
      return !hole.held.empty() && hole.since_ns < ns;
    });
    if (waited) due.push_back(flow_id);
  }
  for (const uint64_t flow_id : due) LetAllGo(flow_id, holes_.at(flow_id));
}

// ---- flows

// Bytes that passed without a piece, since none was needed: the kernel programs note how far and when.
void L7Reader::CatchUp(uint64_t flow_id) {
  const l7::Origin* from = conversations_.From(flow_id);
  const sb_l7_stream* stream = from != nullptr ? SlotOf(*from) : nullptr;
  if (stream == nullptr) return;
  for (const bool in : {false, true}) {
    const sb_l7_half& half = stream->half[in];
    const uint64_t passed_ns = half.passed_ns;
    if (passed_ns != 0) conversations_.CatchUp(flow_id, SideOf(in, from->server), half.end, passed_ns);
  }
}

void L7Reader::Take(uint64_t flow_id, bool closed, L7Rows& into) {
  if (IsUdpSpeech(flow_id))
    return datagrams_.Take(flow_id, closed, [this, &into](const l7::LedgerRow& row) { Add(row, into); });
  if (closed) {
    const auto holes = holes_.find(flow_id);
    if (holes != holes_.end()) LetAllGo(flow_id, holes->second);
  }
  if (conversations_.From(flow_id) == nullptr) {
    if (closed) FreeByCookie(flow_id);
    return;
  }
  CatchUp(flow_id);
  if (closed) conversations_.Close(flow_id);
  conversations_.Take(flow_id, [this, &into](const l7::LedgerRow& row) { Add(row, into); });
}

void L7Reader::Add(const l7::LedgerRow& row, L7Rows& into) const {
  const auto first = static_cast<uint32_t>(into.buckets.size());
  for (uint32_t at = row.octaves; at != l7::kNone; at = ledger_.Octave(at).next) {
    const l7::LedgerOctave& octave = ledger_.Octave(at);
    for (int i = 0; i < l7::kPerOctave; i++)
      if (octave.values[i] > 0) into.buckets.push_back({octave.first + i, octave.values[i]});
  }
  into.rows.push_back({ledger_.Name(row.operation), ledger_.Host(row.operation), row.operation,
                       ledger_.ProtocolOf(row.operation), row.flags, row.status, row.count, row.request_bytes,
                       row.response_bytes, row.first_byte_sum_us, row.last_byte_sum_us, first,
                       static_cast<uint32_t>(into.buckets.size()) - first});
}

void L7Reader::Ignore(uint64_t flow_id) {
  if (IsUdpSpeech(flow_id)) return datagrams_.Ignore(flow_id);
  const auto holes = holes_.find(flow_id);
  if (holes != holes_.end()) LetAllGo(flow_id, holes->second);
  conversations_.Ignore(flow_id);
}

L7Counters L7Reader::Counters() const {
  L7Counters all{conversations_.Counters(), ledger_.Counters(), pieces_, gaps_, late_};
  const l7::dns::DatagramCounters& datagrams = datagrams_.Counters();
  all.malformed = datagrams.malformed;
  all.conversations.pairing.unpaired += datagrams.pairing.unpaired;
  all.conversations.given_up += datagrams.given_up;
  all.conversations.forgotten += datagrams.forgotten;
  return all;
}

// ---- orders to the kernel programs

// The entry, if it is still this connection's.
sb_l7_stream* L7Reader::SlotOf(const l7::Origin& from) {
  if (from.slot >= SB_L7_STREAMS) return nullptr;
  sb_l7_stream* stream = &streams_[from.slot];
  return __atomic_load_n(&stream->cookie, __ATOMIC_ACQUIRE) == from.cookie ? stream : nullptr;
}

void L7Reader::SkipUntil(const l7::Origin& from, bool in, uint64_t position) {
  sb_l7_stream* stream = SlotOf(from);
  if (stream != nullptr) __atomic_store_n(&stream->half[in].skip_until, position, __ATOMIC_RELAXED);
}

// The programs follow frames by themselves, unless they lost their place.
void L7Reader::BeginsAt(const l7::Origin& from, bool in, uint64_t position) {
  sb_l7_stream* stream = SlotOf(from);
  if (stream != nullptr && __atomic_load_n(&stream->half[in].to_frame, __ATOMIC_RELAXED) == SB_L7_LOST)
    __atomic_store_n(&stream->half[in].skip_until, position, __ATOMIC_RELAXED);
}

void L7Reader::Speaks(const l7::Origin& from, l7::Protocol protocol, bool turned) {
  sb_l7_stream* stream = SlotOf(from);
  if (stream == nullptr) return;
  const uint8_t how = HowToRead(protocol, turned);
  if (stream->how != how) __atomic_store_n(&stream->how, how, __ATOMIC_RELAXED);
}

void L7Reader::Unread(const l7::Origin& from) {
  sb_l7_stream* stream = SlotOf(from);
  if (stream != nullptr) __atomic_store_n(&stream->how, SB_L7_UNREAD, __ATOMIC_RELAXED);
}

void L7Reader::Release(const l7::Origin& from) {
  if (from.slot >= SB_L7_STREAMS) return;
  for (const uint64_t mark : {0ull, SB_L7_STALE}) {
    __u64 expected = from.cookie | mark;
    __atomic_compare_exchange_n(&streams_[from.slot].cookie, &expected, 0, false, __ATOMIC_RELEASE,
                                __ATOMIC_RELAXED);
  }
}

// Of a connection that ended without a piece: then its flow's id is the cookie, or nothing is known of it.
void L7Reader::FreeByCookie(uint64_t cookie) {
  for (uint32_t i = 0; i < SB_L7_PROBES; i++) Release({cookie, sb_l7_slot_of(cookie, i)});
}

}  // namespace skybraid

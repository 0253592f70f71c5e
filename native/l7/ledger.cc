#include "ledger.h"

#include <algorithm>
#include <functional>

namespace skybraid::l7 {

namespace {

constexpr std::string_view kOther = "{other}";
// So many operations that nobody holds are forgotten when there is no room for a host.
constexpr int kForgottenForHost = 4;

uint64_t HashOf(Protocol protocol, std::string_view name, std::string_view host) {
  const std::hash<std::string_view> hash;
  return (hash(name) * 31 + hash(host)) * 31 + static_cast<uint64_t>(protocol);
}

}  // namespace

Ledger::Ledger(const LedgerOptions& options) : options_(options) {
  operations_.resize(kProtocols + options.max_operations);
  for (size_t i = 0; i < kProtocols; i++) {
    operations_[i].name = kOther;
    operations_[i].protocol = static_cast<Protocol>(i);
    operations_[i].idle = Idle::kNever;
  }
  size_t slots = 16;
  while (slots < 2 * options.max_operations) slots *= 2;
  index_.assign(slots, kNone);
  idle_.resize(options.max_operations);
  for (uint32_t i = 0; i < options.max_operations; i++) NoteIdle(static_cast<uint32_t>(kProtocols + i));
  rows_.resize(options.max_rows);
  for (uint32_t i = options.max_rows; i-- > 0;) {
    rows_[i].next = free_row_;
    free_row_ = i;
  }
  free_row_count_ = options.max_rows;
  requests_.resize(options.max_requests);
  for (uint32_t i = options.max_requests; i-- > 0;) FreeRequest(i);
  octaves_.resize(options.max_octaves);
  for (uint32_t i = options.max_octaves; i-- > 0;) {
    octaves_[i].next = free_octave_;
    free_octave_ = i;
  }
}

uint32_t Ledger::Intern(Protocol protocol, std::string_view name, std::string_view host) {
  // What is said comes in series.
  Operation& latest = operations_[latest_];
  if (latest.placed && latest.protocol == protocol && latest.name == name && latest.host == host) {
    ++latest.held;
    return latest_;
  }
  return latest_ = Look(protocol, name, host);
}

uint32_t Ledger::Look(Protocol protocol, std::string_view name, std::string_view host) {
  const uint64_t hash = HashOf(protocol, name, host);
  const size_t mask = index_.size() - 1;
  for (size_t at = hash & mask; index_[at] != kNone; at = (at + 1) & mask) {
    Operation& known = operations_[index_[at]];
    if (known.hash != hash || known.protocol != protocol || known.name != name || known.host != host)
      continue;
    ++known.held;
    return index_[at];
  }
  if (!HasRoomFor(host)) {
    ++counters_.other;
    return Intern(protocol, name, kOther);
  }
  const uint32_t operation = TakeIdle();
  if (operation == kNone) {
    ++counters_.other;
    const auto other = static_cast<uint32_t>(protocol);
    ++operations_[other].held;
    return other;
  }
  Operation& fresh = operations_[operation];
  Forget(fresh, operation);
  fresh.name.assign(name);
  fresh.host.assign(host);
  if (!host.empty()) ++hosts_[fresh.host];
  fresh.hash = hash;
  fresh.held = 1;
  fresh.protocol = protocol;
  fresh.placed = true;
  Place(operation);
  return operation;
}

void Ledger::Forget(Operation& operation, uint32_t number) {
  if (!operation.placed) return;
  Unplace(number);
  operation.placed = false;
  const auto host = hosts_.find(operation.host);
  if (host != hosts_.end() && --host->second == 0) hosts_.erase(host);
}

// Names of hosts come from whoever asks: there are never more than so many of them.
bool Ledger::HasRoomFor(std::string_view host) {
  if (host.empty() || host == kOther || hosts_.size() < options_.max_hosts) return true;
  if (hosts_.count(std::string(host)) != 0) return true;
  for (int i = 0; i < kForgottenForHost; i++) {
    const uint32_t idle = TakeIdle();
    if (idle == kNone) return false;
    Forget(operations_[idle], idle);
    NoteIdle(idle);
  }
  return hosts_.size() < options_.max_hosts;
}

// It stays known until another one needs its place.
void Ledger::NoteIdle(uint32_t operation) {
  operations_[operation].idle = Idle::kListed;
  idle_[(idle_first_ + idle_count_++) % idle_.size()] = operation;
}

// One that nobody holds, of all the one that waits longest. Each that is passed over had to be released
// before it came in, so that this costs nothing on average.
uint32_t Ledger::TakeIdle() {
  while (idle_count_ > 0) {
    const uint32_t operation = idle_[idle_first_];
    idle_first_ = static_cast<uint32_t>((idle_first_ + 1) % idle_.size());
    --idle_count_;
    operations_[operation].idle = Idle::kNo;
    if (operations_[operation].held == 0) return operation;
  }
  return kNone;
}

void Ledger::Place(uint32_t operation) {
  const size_t mask = index_.size() - 1;
  size_t at = operations_[operation].hash & mask;
  while (index_[at] != kNone) at = (at + 1) & mask;
  index_[at] = operation;
}

// What comes behind it in its run moves up, so that everything is still found from where its hash says.
void Ledger::Unplace(uint32_t operation) {
  const size_t mask = index_.size() - 1;
  size_t hole = operations_[operation].hash & mask;
  while (index_[hole] != operation) hole = (hole + 1) & mask;
  for (size_t at = (hole + 1) & mask; index_[at] != kNone; at = (at + 1) & mask) {
    const size_t home = operations_[index_[at]].hash & mask;
    if (((at - home) & mask) < ((at - hole) & mask)) continue;
    index_[hole] = index_[at];
    hole = at;
  }
  index_[hole] = kNone;
}

uint32_t Ledger::NewRow(const Outcome& outcome) {
  const uint32_t at = free_row_;
  if (at == kNone) return kNone;
  free_row_ = rows_[at].next;
  --free_row_count_;
  rows_[at] = {outcome.operation, outcome.status, 0, kNone, kNone, outcome.flags, 0, 0, 0, 0};
  Hold(outcome.operation);
  return at;
}

void Ledger::Book(uint32_t& head, const Outcome& outcome) {
  uint32_t at = head;
  while (at != kNone && (rows_[at].operation != outcome.operation || rows_[at].status != outcome.status ||
                         rows_[at].flags != outcome.flags))
    at = rows_[at].next;
  if (at == kNone) {
    at = NewRow(outcome);
    if (at == kNone) {
      ++counters_.lost;
      return;
    }
    rows_[at].next = head;
    head = at;
  }
  LedgerRow& row = rows_[at];
  ++row.count;
  row.request_bytes += outcome.request_bytes;
  row.response_bytes += outcome.response_bytes;
  if (outcome.status == kUnknownStatus || (outcome.flags & kRowNoLatency) != 0) return;
  if (!CountTime(row, outcome.first_byte_us)) {
    ++counters_.untimed;
    return;
  }
  row.first_byte_sum_us += outcome.first_byte_us;
  row.last_byte_sum_us += outcome.last_byte_us;
}

// False: there is no room for another octave.
bool Ledger::CountTime(LedgerRow& row, uint64_t us) {
  const int index = BucketOf(us);
  const int first = index & -kPerOctave;
  uint32_t at = row.octaves;
  while (at != kNone && octaves_[at].first != first) at = octaves_[at].next;
  if (at == kNone) {
    at = free_octave_;
    if (at == kNone) return false;
    free_octave_ = octaves_[at].next;
    octaves_[at] = {first, row.octaves, {}};
    row.octaves = at;
  }
  ++octaves_[at].values[index - first];
  return true;
}

void Ledger::Free(uint32_t& head) {
  while (head != kNone) {
    LedgerRow& row = rows_[head];
    while (row.octaves != kNone) {
      const uint32_t octave = row.octaves;
      row.octaves = octaves_[octave].next;
      octaves_[octave].next = free_octave_;
      free_octave_ = octave;
    }
    Release(row.operation);
    const uint32_t next = row.next;
    row.next = free_row_;
    free_row_ = head;
    ++free_row_count_;
    head = next;
  }
}

}  // namespace skybraid::l7

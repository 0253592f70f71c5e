#include "hpack.h"

#include <algorithm>
#include <cstring>

#include "huffman.h"

namespace skybraid::l7::http2 {

namespace {

constexpr std::string_view kMethods[] = {"",       "GET",     "HEAD",    "POST",  "PUT",
                                         "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
constexpr uint64_t kStaticEntries = 61;
constexpr uint16_t kNoNumber = 0xffff;
constexpr uint16_t kGrpcContent = 1, kEventContent = 2;

uint8_t MethodIndex(std::string_view name) {
  for (size_t i = 1; i < std::size(kMethods); i++) {
    if (kMethods[i] == name) return static_cast<uint8_t>(i);
  }
  return 0;
}

Field FieldOf(std::string_view name) {
  if (name == ":path") return Field::kPath;
  if (name == ":authority") return Field::kAuthority;
  if (name == ":method") return Field::kMethod;
  if (name == ":status") return Field::kStatus;
  if (name == "content-type") return Field::kContentType;
  if (name == "grpc-status") return Field::kGrpcStatus;
  if (name == "prefer") return Field::kPrefer;
  return Field::kOther;
}

Field StaticField(uint64_t index) {
  if (index == 1) return Field::kAuthority;
  if (index == 2 || index == 3) return Field::kMethod;
  if (index == 4 || index == 5) return Field::kPath;
  if (index >= 8 && index <= 14) return Field::kStatus;
  return index == 31 ? Field::kContentType : Field::kOther;
}

// Not gRPC-Web, which has its status in the body.
bool IsGrpc(std::string_view content_type) {
  constexpr std::string_view kType = "application/grpc";
  if (content_type.substr(0, kType.size()) != kType) return false;
  return content_type.size() == kType.size() || content_type[kType.size()] == '+' ||
         content_type[kType.size()] == ';';
}

uint16_t ContentKind(std::string_view content_type) {
  constexpr std::string_view kEvents = "text/event-stream";
  if (IsGrpc(content_type)) return kGrpcContent;
  return content_type.substr(0, kEvents.size()) == kEvents ? kEventContent : 0;
}

// Small decimal numbers; kNoNumber for what is none.
uint16_t Number(std::string_view text) {
  uint32_t number = 0;
  if (text.empty() || text.size() > 4) return kNoNumber;
  for (const char c : text) {
    if (c < '0' || c > '9') return kNoNumber;
    number = number * 10 + static_cast<uint32_t>(c - '0');
  }
  return static_cast<uint16_t>(number);
}

}  // namespace

size_t HostTable::Keep(std::string_view host) {
  for (size_t i = 0; i < kHosts; i++) {
    if (hosts[i].number != 0 && std::string_view(hosts[i].text, hosts[i].size) == host) return i;
  }
  if (++newest == 0) ++newest;
  Host& place = hosts[newest % kHosts];
  place.number = newest;
  place.size = static_cast<uint8_t>(host.size());
  memcpy(place.text, host.data(), host.size());
  return newest % kHosts;
}

std::string_view MethodName(uint8_t method) { return kMethods[method < std::size(kMethods) ? method : 0]; }

void HpackDecoder::Begin() {
  state_ = State::kField;
  block_ = HeaderBlock{};
}

void HpackDecoder::Forget() { count_ = 0; }

bool HpackDecoder::End() {
  if (state_ == State::kField) return true;
  Forget();
  return false;
}

bool HpackDecoder::Eat(const uint8_t* bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    const bool in_text = state_ == State::kName || state_ == State::kValue;
    if (in_text && !keep_) {  // pass over what nobody wants
      const size_t taken = static_cast<size_t>(std::min<uint64_t>(left_, size - i));
      left_ -= taken;
      i += taken - 1;
      if (left_ == 0 && !StringDone()) return false;
      continue;
    }
    if (!Byte(bytes[i])) {
      Forget();
      block_ = HeaderBlock{};
      block_.has_unknown = true;
      return false;
    }
  }
  return true;
}

bool HpackDecoder::Byte(uint8_t byte) {
  switch (state_) {
    case State::kField:
      return BeginField(byte);
    case State::kInteger:
      if (shift_ > 28) return false;
      number_ += static_cast<uint64_t>(byte & 0x7f) << shift_;
      shift_ += 7;
      return (byte & 0x80) != 0 || IntegerDone();
    case State::kNameLength:
      huffman_ = (byte & 0x80) != 0;
      return BeginInteger(byte, 7, Next::kNameLength);
    case State::kValueLength:
      huffman_ = (byte & 0x80) != 0;
      return BeginInteger(byte, 7, Next::kValueLength);
    case State::kName:
    case State::kValue:
      return Text(byte);
  }
  return false;
}

bool HpackDecoder::BeginField(uint8_t byte) {
  insert_ = (byte & 0xc0) == 0x40;
  if ((byte & 0x80) != 0) return BeginInteger(byte, 7, Next::kIndexed);
  if (insert_) return BeginInteger(byte, 6, Next::kNameIndex);
  if ((byte & 0x20) != 0) return BeginInteger(byte, 5, Next::kTableSize);
  return BeginInteger(byte, 4, Next::kNameIndex);
}

bool HpackDecoder::BeginInteger(uint8_t byte, uint8_t bits, Next next) {
  const uint8_t mask = static_cast<uint8_t>((1 << bits) - 1);
  next_ = next;
  number_ = byte & mask;
  shift_ = 0;
  if (number_ < mask) return IntegerDone();
  state_ = State::kInteger;
  return true;
}

bool HpackDecoder::IntegerDone() {
  switch (next_) {
    case Next::kIndexed:
      if (number_ == 0) return false;
      Use(Lookup(number_));
      state_ = State::kField;
      return true;
    case Next::kNameIndex:
      field_ = number_ == 0                ? Field::kOther
               : number_ <= kStaticEntries ? StaticField(number_)
                                           : Lookup(number_).field;
      state_ = number_ == 0 ? State::kNameLength : State::kValueLength;
      return true;
    case Next::kTableSize:
      state_ = State::kField;
      return true;
    case Next::kNameLength:
    case Next::kValueLength:
      return StringBegins(next_ == Next::kNameLength);
  }
  return false;
}

bool HpackDecoder::StringBegins(bool is_name) {
  state_ = is_name ? State::kName : State::kValue;
  left_ = number_;
  word_size_ = 0;
  huffman_state_ = 0;
  too_long_ = false;
  // Names longer than these are of no field that matters: sixteen bytes of code are twelve letters at least.
  keep_ = is_name ? left_ <= 16 : field_ != Field::kOther && field_ != Field::kUnknown;
  return left_ > 0 || StringDone();
}

void HpackDecoder::Keep(uint8_t byte) {
  const bool is_path = state_ == State::kValue && field_ == Field::kPath;
  const bool is_host = state_ == State::kValue && field_ == Field::kAuthority && hosts_ != nullptr;
  char* const buffer = is_path ? block_.path : is_host ? hosts_->authority : word_;
  const size_t size = is_path ? sizeof block_.path : is_host ? sizeof hosts_->authority : sizeof word_;
  if (word_size_ < size)
    buffer[word_size_++] = static_cast<char>(byte);
  else
    too_long_ = true;
}

bool HpackDecoder::Text(uint8_t byte) {
  if (!huffman_) {
    Keep(byte);
  } else {
    for (const uint8_t nibble : {static_cast<uint8_t>(byte >> 4), static_cast<uint8_t>(byte & 15)}) {
      const HuffmanStep& step = StepOf(huffman_state_, nibble);
      if (step.outcome == HuffmanStep::kWrong) return false;
      if (step.outcome == HuffmanStep::kSymbol) Keep(step.symbol);
      huffman_state_ = step.next;
    }
  }
  return --left_ > 0 || StringDone();
}

bool HpackDecoder::StringDone() {
  if (state_ == State::kName) {
    field_ = keep_ ? FieldOf({word_, word_size_}) : Field::kOther;
    state_ = State::kValueLength;
    return true;
  }
  LiteralDone();
  state_ = State::kField;
  return true;
}

void HpackDecoder::LiteralDone() {
  if (field_ == Field::kPath) return PathDone();
  if (field_ == Field::kAuthority) return AuthorityDone();
  Entry entry{field_, 0, kNoNumber};
  const std::string_view word(word_, std::min<size_t>(word_size_, sizeof word_));
  switch (field_) {
    case Field::kMethod:
      entry.value = MethodIndex(word);
      break;
    case Field::kStatus:
    case Field::kGrpcStatus:
      entry.value = Number(word);
      break;
    case Field::kContentType:
      entry.value = ContentKind(word);
      break;
    case Field::kPrefer:
      entry.value = word.find("wait=") != std::string_view::npos;
      break;
    case Field::kPath:
    case Field::kAuthority:
    case Field::kOther:
    case Field::kUnknown:
      break;
  }
  Use(entry);
  if (insert_) Insert(entry);
}

void HpackDecoder::PathDone() {
  const std::string_view path(block_.path, word_size_);
  const size_t query = std::min(path.find_first_of("?#"), path.size());
  if (query < path.size()) too_long_ = false;
  block_.has_path = true;
  block_.path_cut = too_long_;
  block_.path_size = static_cast<uint16_t>(query);
  if (!insert_) return;
  // What cannot be kept whole is not kept: a later reference to it is an unknown field.
  const bool kept = !too_long_ && query > 0 && text_size_ > 0;
  Insert(kept ? Entry{Field::kPath, static_cast<uint8_t>(query), Store(path.substr(0, query))}
              : Entry{Field::kUnknown, 0, 0});
}

void HpackDecoder::AuthorityDone() {
  Entry entry{Field::kOther, 0, 0};
  char host[kMaxHost];
  if (hosts_ != nullptr && !too_long_) {
    const size_t size = FoldHost({hosts_->authority, word_size_}, host);
    if (size > 0) {
      entry = {Field::kAuthority, static_cast<uint8_t>(hosts_->Keep({host, size})), 0};
      entry.value = hosts_->hosts[entry.size].number;
    }
  }
  Use(entry);
  if (insert_) Insert(entry);
}

uint16_t HpackDecoder::Store(std::string_view path) {
  const uint16_t at = text_end_;
  for (const char c : path) text_[text_end_++ & (text_size_ - 1)] = c;
  return at;
}

// The path of an entry, which may go on at the begin of the text.
void HpackDecoder::Load(const Entry& entry) {
  const size_t at = entry.value & (text_size_ - 1u);
  const size_t first = std::min<size_t>(entry.size, text_size_ - at);
  memcpy(block_.path, text_ + at, first);
  memcpy(block_.path + first, text_, entry.size - first);
}

void HpackDecoder::Insert(const Entry& entry) {
  begin_ = static_cast<uint16_t>((begin_ + kEntries - 1) % kEntries);
  entries_[begin_] = entry;
  if (count_ < kEntries) count_++;
}

HpackDecoder::Entry HpackDecoder::Lookup(uint64_t index) const {
  static constexpr uint16_t kStatuses[] = {200, 204, 206, 304, 400, 404, 500};
  if (index <= kStaticEntries) {
    const Field field = StaticField(index);
    if (field == Field::kMethod) return {field, 0, static_cast<uint16_t>(index == 2 ? 1 : 3)};
    if (field == Field::kStatus) return {field, 0, kStatuses[index - 8]};
    if (field == Field::kPath)
      return {field, 0, static_cast<uint16_t>(index)};  // size 0: of the static table
    return {field, 0, 0};
  }
  const uint64_t back = index - kStaticEntries - 1;
  if (back >= count_) return {Field::kUnknown, 0, 0};
  return entries_[(begin_ + back) % kEntries];
}

void HpackDecoder::Use(const Entry& entry) {
  switch (entry.field) {
    case Field::kUnknown:
      block_.has_unknown = true;
      return;
    case Field::kMethod:
      block_.has_method = true;
      block_.method = static_cast<uint8_t>(entry.value);
      return;
    case Field::kStatus:
      block_.has_status = entry.value != kNoNumber;
      block_.status = entry.value;
      return;
    case Field::kGrpcStatus:
      block_.has_grpc_status = entry.value != kNoNumber;
      block_.grpc_status = entry.value;
      return;
    case Field::kContentType:
      block_.has_content_type = true;
      block_.is_grpc = entry.value == kGrpcContent;
      block_.is_events = entry.value == kEventContent;
      return;
    case Field::kPrefer:
      block_.waits = block_.waits || entry.value == 1;
      return;
    case Field::kAuthority:
      if (hosts_ != nullptr && entry.value != 0 && hosts_->hosts[entry.size].number == entry.value)
        block_.host = {hosts_->hosts[entry.size].text, hosts_->hosts[entry.size].size};
      return;
    case Field::kPath: {
      if (entry.size != 0 && static_cast<uint16_t>(text_end_ - entry.value) > text_size_) {
        block_.has_unknown = true;  // overwritten by newer ones
        return;
      }
      const std::string_view fixed = entry.value == 5 ? "/index.html" : "/";
      const size_t size = entry.size != 0 ? entry.size : fixed.size();
      if (entry.size != 0)
        Load(entry);
      else
        memcpy(block_.path, fixed.data(), size);
      block_.has_path = true;
      block_.path_cut = false;
      block_.path_size = static_cast<uint16_t>(size);
      return;
    }
    case Field::kOther:
      return;
  }
}

}  // namespace skybraid::l7::http2

// PostgreSQL's protocol 3. The operation is the statement's fingerprint (sql/fingerprint.h), the status its
// SQLSTATE. https://www.postgresql.org/docs/current/protocol.html
//
// A request is a simple query, or an Execute with the Parse, Bind and Describe before it; without an Execute
// those are one of their own when the client says Sync. Requests are answered in their order: a simple query
// until the server is ready, the others until they are complete. After an error the server passes over what
// comes until Sync, so those requests have no answer.
#pragma once

#include "../framed_parser.h"
#include "../sql/fingerprint.h"
#include "../sql/statements.h"

namespace skybraid::l7::postgres {

// Five digits and capital letters as a number to the base 36: 0 is 00000, which is success.
uint32_t PackState(const char* five);

Verdict Classify(Side side, const uint8_t* bytes, size_t size);

class PostgresParser final : public FramedParser {
 public:
  PostgresParser() : fingerprint_(sql::Dialect::kPostgres) {}

 protected:
  Verdict Head(Side side, const uint8_t* head, size_t have, uint64_t& length) override;
  void Payload(Side side, const uint8_t* bytes, size_t size) override;
  void FrameEnds(Side side, uint64_t ns, Sink& sink) override;
  bool BeginsFrame(Side side, const uint8_t* bytes, size_t size) const override;
  void OnLoss(Side side, Sink& sink) override;

 private:
  // What the server has to answer, in its order.
  enum class Item : uint8_t { kConnect, kQuery, kExecute, kGroup, kSync };
  static constexpr size_t kMaxItems = 256;

  // Messages of the extended protocol that belong to one Execute.
  struct Group {
    uint64_t first_ns = 0;  // 0: there is none
    uint64_t bytes = 0;
    bool parses = false;
  };
  struct Response {
    uint64_t first_ns = 0;
    uint64_t bytes = 0;
    uint32_t status = 0;
    bool streams = false;
  };

  void ClientText(const uint8_t* bytes, size_t size);
  void ClientEnds(uint64_t ns, Sink& sink);
  void StartupEnds(uint64_t ns, Sink& sink);
  void ServerEnds(uint64_t ns, Sink& sink);
  void OnError(uint64_t ns, Sink& sink);
  void OnComplete(uint64_t ns, Sink& sink);
  void OnReady(uint64_t ns, Sink& sink);
  void Tls(uint64_t ns, Sink& sink);
  void Parsed();
  void EndGroup(uint64_t ns, Sink& sink);
  void Ask(Item item, std::string_view operation, uint64_t first_ns, uint64_t bytes, uint64_t ns, Sink& sink);
  void Answer(uint32_t status, uint64_t ns, Sink& sink);
  void ErrorText(const uint8_t* bytes, size_t size);
  void Push(Item item, Sink& sink);
  Item Front() const { return items_[first_]; }
  void Pop();

  sql::Fingerprint fingerprint_;
  sql::Prepared prepared_;
  sql::NameHash name_;
  uint64_t names_[2];      // of a message: portal and statement, or the statement
  uint8_t part_ = 0;       // of a message's payload: which of its fields
  uint8_t kind_ = 0;       // of Close and Describe
  bool startup_ = true;    // the client's messages have no type yet
  bool asks_tls_ = false;  // the server's answer is a single byte
  bool discards_ = false;  // until the client says Sync
  uint64_t tls_ns_ = 0;
  Group group_;
  Response response_;
  uint8_t field_ = 0;  // of an error
  uint8_t state_size_ = 0;
  char sql_state_[5];
  uint16_t first_ = 0;
  uint16_t count_ = 0;
  Item items_[kMaxItems];
};

static_assert(sizeof(PostgresParser) <= 2304, "within a connection's memory");

}  // namespace skybraid::l7::postgres

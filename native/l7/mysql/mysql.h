// The protocol of MySQL and MariaDB. The operation is the statement's fingerprint (sql/fingerprint.h) or the
// command's name, the status the number of the error. https://dev.mysql.com/doc/dev/mysql-server/latest/
//
// A command begins with sequence number 0; its answer ends with a last OK, EOF or error, after as many result
// sets as those announce. Whether EOF stands behind the columns is seen, not negotiated, so connections that
// are joined in their middle read alike.
#pragma once

#include "../framed_parser.h"
#include "../sql/fingerprint.h"
#include "../sql/statements.h"

namespace skybraid::l7::mysql {

Verdict Classify(Side side, const uint8_t* bytes, size_t size);

class MysqlParser final : public FramedParser {
 public:
  MysqlParser() : fingerprint_(sql::Dialect::kMysql) {}
  ~MysqlParser() override;
  MysqlParser(const MysqlParser&) = delete;
  MysqlParser& operator=(const MysqlParser&) = delete;

 protected:
  Verdict Head(Side side, const uint8_t* head, size_t have, uint64_t& length) override;
  void Payload(Side side, const uint8_t* bytes, size_t size) override;
  void FrameEnds(Side side, uint64_t ns, Sink& sink) override;
  bool BeginsFrame(Side side, const uint8_t* bytes, size_t size) const override;
  void OnLoss(Side side, Sink& sink) override;

 private:
  enum class Phase : uint8_t { kGreeting, kLogin, kCommands };
  // What the next packet of an answer is.
  enum class Answer : uint8_t {
    kFirst,
    kSingle,    // the only one
    kPrepared,  // the first to a statement that is prepared
    kColumns,   // `left` of them
    kBehindColumns,
    kRows,
    kFile,  // the client sends a file
    kLogin,
  };
  // A command that has no answer yet.
  struct Open {
    Answer begins = Answer::kFirst;
    uint16_t statement = sql::kNoStatement;  // that is prepared; held
  };
  // What is kept of a packet's begin: a greeting up to its capabilities, less of others.
  struct Begin {
    uint8_t size = 0;
    uint8_t bytes[96];
  };
  struct Half {
    bool continues = false;  // the packet before was as long as can be: this one belongs to it
    bool cut = false;
    uint64_t bytes = 0;  // of the packets that belong together
    uint64_t first_ns = 0;
    Begin begin;
  };

  void Text(const uint8_t* bytes, size_t size);
  void ClientEnds(uint64_t ns, Sink& sink);
  void LoginEnds(uint64_t ns, Sink& sink);
  void Command(uint64_t ns, Sink& sink);
  void OnPrepare(uint64_t ns, Sink& sink);
  void ServerEnds(uint64_t ns, Sink& sink);
  void OnGreeting(uint64_t ns, Sink& sink);
  void OnAnswer(uint64_t ns, Sink& sink);
  void OnFirst(uint64_t ns, Sink& sink);
  void OnPreparedAnswer(uint64_t ns, Sink& sink);
  void ResultEnds(uint16_t flags, uint64_t ns, Sink& sink);
  void Ask(std::string_view operation, Open open, uint64_t ns, Sink& sink, uint8_t flags = 0);
  void Finish(uint32_t status, uint64_t ns, Sink& sink);
  void GiveUp(std::string_view operation, uint64_t ns, Sink& sink);
  void Drop();
  Open& Front() { return open_[first_]; }

  static constexpr size_t kMaxOpen = 32;
  sql::Fingerprint fingerprint_;
  sql::Prepared prepared_;
  Half halves_[2];
  Phase phase_ = Phase::kGreeting;
  Answer next_ = Answer::kFirst;
  bool compressed_ = false;  // from the end of the login on
  bool attributes_ = false;  // a query's text may have attributes before it
  bool again_ = false;       // columns of the statement come after those of its parameters
  uint8_t sequence_ = 0;     // of the server's last packet
  uint8_t first_ = 0;
  uint8_t count_ = 0;
  uint16_t newest_ = sql::kNoStatement;  // prepared last; held
  uint16_t results_ = 0;                 // columns of a prepared statement's result
  uint32_t left_ = 0;
  uint32_t capabilities_ = 0;  // of the server
  uint64_t answer_ns_ = 0;     // first byte; 0: none yet
  uint64_t answer_bytes_ = 0;
  Open open_[kMaxOpen];
};

static_assert(sizeof(MysqlParser) <= 2304, "within a connection's memory");

}  // namespace skybraid::l7::mysql

#include <random>
#include <string>
#include <vector>

#include "../l7/sql/fingerprint.h"
#include "../l7/sql/statements.h"
#include "check.h"

namespace skybraid::l7::sql {

namespace {

std::string Read(Dialect dialect, const std::string& text, size_t step = std::string::npos,
                 bool cut = false) {
  Fingerprint fingerprint(dialect);
  fingerprint.Begin();
  for (size_t at = 0; at < text.size(); at += std::min(step, text.size())) {
    const std::string piece = text.substr(at, step);
    fingerprint.Eat(reinterpret_cast<const uint8_t*>(piece.data()), piece.size());
  }
  fingerprint.End(cut);
  return std::string(fingerprint.text());
}

std::string Postgres(const std::string& text) { return Read(Dialect::kPostgres, text); }
std::string Mysql(const std::string& text) { return Read(Dialect::kMysql, text); }

struct Example {
  const char* text;
  const char* expected;
};

const std::vector<Example> kBoth = {
    {"SELECT 1", "SELECT"},
    {"select Name from Users where id = 17", "SELECT users"},
    {"SELECT c.name FROM shop.orders o JOIN customers AS c USING (id) WHERE o.id = 'x FROM secret'",
     "SELECT shop.orders, customers"},
    {"SELECT * FROM a, b AS bb, c WHERE a.x IN (1, 2, 3) ORDER BY a, b", "SELECT a, b, c"},
    {"SELECT * FROM (SELECT id, x FROM inner_table WHERE y = 1) s, other", "SELECT inner_table, other"},
    {"SELECT * FROM (a JOIN b ON a.id = b.id) LEFT JOIN c ON c.id = b.id", "SELECT a, b, c"},
    {"SELECT extract(year FROM born), substring(name FROM 2) FROM people", "SELECT people"},
    {"SELECT * FROM generate_series(1, 10)", "SELECT"},
    {"SELECT a FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.id = t.id) AND x = (SELECT max(x) FROM v)",
     "SELECT t, u, v"},
    {"SELECT a FROM t UNION ALL SELECT b FROM u", "SELECT t, u"},
    {"(SELECT a FROM t) UNION (SELECT b FROM u)", "SELECT t, u"},
    {"SELECT a FROM t WHERE b IS DISTINCT FROM c FOR UPDATE", "SELECT t"},
    {"SELECT a FROM t, t, u, v, w, x", "SELECT t, u, v, w, ..."},
    {"INSERT INTO orders (id, name) VALUES (1, 'secret'), (2, 'secret')", "INSERT orders"},
    {"INSERT INTO a SELECT * FROM b", "INSERT a, b"},
    {"UPDATE accounts SET balance = balance + 1 WHERE id = 5", "UPDATE accounts"},
    {"DELETE FROM sessions WHERE token = 'secret'", "DELETE sessions"},
    {"WITH recent AS (SELECT * FROM orders), x (a, b) AS (SELECT 1, 2 FROM y) SELECT * FROM recent JOIN x",
     "SELECT orders, y"},
    {"WITH RECURSIVE t AS (SELECT 1 FROM base UNION SELECT n + 1 FROM t) SELECT * FROM t", "SELECT base"},
    {"BEGIN; UPDATE a SET x = ';'; COMMIT;", "BEGIN; UPDATE a; COMMIT"},
    {"a; b; c; d; e", "{verb}; {verb}; {verb}; ..."},
    {"CREATE TABLE IF NOT EXISTS logs_20240131 (id int)", "CREATE TABLE logs_{n}"},
    {"DROP TABLE a, b", "DROP TABLE a, b"},
    {"CREATE USER ann IDENTIFIED BY 'secret'", "CREATE USER"},
    {"ALTER USER ann PASSWORD 'secret'", "ALTER USER"},
    {"CREATE INDEX i ON t (x)", "CREATE INDEX"},
    {"CREATE TABLE a AS SELECT * FROM b", "CREATE TABLE a, b"},
    {"TRUNCATE TABLE a", "TRUNCATE a"},
    {"SET password = 'secret'", "SET"},
    {"SHOW TABLES FROM db", "SHOW"},
    {"EXPLAIN ANALYZE SELECT * FROM t", "EXPLAIN t"},
    {"PREPARE p AS UPDATE t SET x = 1", "PREPARE t"},
    {"EXECUTE secret_name", "EXECUTE"},
    {"CALL refill(3, 'secret')", "CALL refill"},
    {"  /* SELECT secret FROM secret */ -- FROM secret\n SELECT a FROM t", "SELECT t"},
    {"hunter2", "{verb}"},
    {"", ""},
    {"  ; ;", ""},
    {"SELECT a.from, b.update FROM t", "SELECT t"},
    {"SELECT count(*) FROM only_me WHERE x = ?", "SELECT only_me"},
};

const std::vector<Example> kPostgres = {
    {"SELECT * FROM \"My Table\", \"a;b\"", "SELECT My?Table, a?b"},
    {"SELECT $$ FROM secret $$, $q$ FROM $$ secret $q$ FROM t WHERE x = $1", "SELECT t"},
    {"SELECT E'it\\'s FROM secret' FROM t", "SELECT t"},
    {"SELECT 'it\\'s FROM secret' FROM t", "SELECT {cut}"},
    {"SELECT a -- it's\n FROM t", "SELECT t"},
    {"SELECT /* /* nested */ FROM secret */ a FROM t", "SELECT t"},
    {"COPY secrets (a, b) FROM STDIN", "COPY secrets"},
    {"COPY (SELECT * FROM t) TO STDOUT", "COPY t"},
    {"DELETE FROM a USING b JOIN c USING (id) WHERE a.id = b.id", "DELETE a, b, c"},
    {"MERGE INTO a USING b ON a.id = b.id WHEN MATCHED THEN UPDATE SET x = 1", "MERGE a, b"},
    {"INSERT INTO a VALUES (1) ON CONFLICT (id) DO UPDATE SET x = 2", "INSERT a"},
    {"WITH gone AS (DELETE FROM a RETURNING *), new AS (UPDATE c SET x = 1) INSERT INTO b SELECT * FROM gone",
     "INSERT a, c, b"},
    {"UPDATE ONLY a SET x = b.x FROM b WHERE a.id = b.id", "UPDATE a, b"},
    {"LISTEN secret", "LISTEN"},
    {"NOTIFY secret, 'secret'", "NOTIFY"},
    {"SELECT * FROM a, LATERAL (SELECT * FROM b) x", "SELECT a, b"},
    {"SELECT a::text, b->>'secret' FROM t", "SELECT t"},
    {"LOCK TABLE a IN EXCLUSIVE MODE", "LOCK a"},
};

const std::vector<Example> kMysql = {
    {"SELECT `a b`.`c` FROM `db`.`t` WHERE x = \"FROM secret\"", "SELECT db.t"},
    {"SELECT 'it\\'s FROM secret' FROM t", "SELECT {cut}"},
    {"SELECT 'c:\\\\' FROM t", "SELECT t"},
    {"INSERT INTO t VALUES ('it\\'s')", "INSERT t"},
    {"INSERT IGNORE INTO t SET a = 1", "INSERT t"},
    {"INSERT t VALUES (1)", "INSERT t"},
    {"REPLACE INTO t VALUES (1)", "REPLACE t"},
    {"SELECT REPLACE(a, 'x', 'y'), INSERT(a, 1, 1, 'z') FROM t", "SELECT t"},
    {"INSERT INTO t (a) VALUES (1) ON DUPLICATE KEY UPDATE a = VALUES(a)", "INSERT t"},
    {"SELECT a FROM t # it's\n, u", "SELECT t, u"},
    {"SELECT 5--1 FROM t", "SELECT t"},
    {"SELECT 5 -- 'x\n FROM t", "SELECT t"},
    {"/*!40101 SET NAMES utf8 */", "SET"},
    {"/*M!100100 SET NAMES utf8 */", "SET"},
    {"SELECT /*!50000 STRAIGHT_JOIN */ a FROM t", "SELECT t"},
    {"LOAD DATA LOCAL INFILE 'secret' INTO TABLE t FIELDS TERMINATED BY ','", "LOAD t"},
    {"SELECT a FROM t INTO OUTFILE 'secret'", "SELECT t"},
    {"SELECT a INTO @x FROM t", "SELECT t"},
    {"DELETE t1 FROM t1 JOIN t2 USING (id)", "DELETE t1, t2"},
    {"UPDATE a, b SET a.x = b.x", "UPDATE a, b"},
    {"SELECT 1 FROM dual", "SELECT"},
    {"CREATE PROCEDURE p() BEGIN SELECT 1 FROM secret; END", "CREATE PROCEDURE"},
    {"GRANT ALL ON db.* TO 'ann' IDENTIFIED BY 'secret'", "GRANT"},
};

}  // namespace

TEST("l7 sql: verb and tables, nothing else") {
  for (const Example& example : kBoth) {
    CHECK_EQ(Postgres(example.text), example.expected);
    CHECK_EQ(Mysql(example.text), example.expected);
  }
  for (const Example& example : kPostgres) CHECK_EQ(Postgres(example.text), example.expected);
  for (const Example& example : kMysql) CHECK_EQ(Mysql(example.text), example.expected);
}

TEST("l7 sql: any division of a text reads alike") {
  for (const auto* examples : {&kBoth, &kPostgres, &kMysql}) {
    for (const Example& example : *examples) {
      for (const Dialect dialect : {Dialect::kPostgres, Dialect::kMysql}) {
        const std::string whole = Read(dialect, example.text);
        for (size_t step = 1; step < 12; step++) CHECK_EQ(Read(dialect, example.text, step), whole);
      }
    }
  }
}

TEST("l7 sql: what was cut says so and names no half of a table") {
  const auto cut = [](const std::string& text) {
    return Read(Dialect::kPostgres, text, std::string::npos, true);
  };
  CHECK_EQ(cut("SELECT a FROM orders WHERE x = 'secr"), "SELECT orders {cut}");
  CHECK_EQ(cut("SELECT a FROM ord"), "SELECT {cut}");
  CHECK_EQ(cut("SELECT a FROM shop.ord"), "SELECT {cut}");
  CHECK_EQ(cut("INSERT INTO orders VALUES (1, 'secr"), "INSERT orders");
  CHECK_EQ(cut("SEL"), "");
}

TEST("l7 sql: no word of a literal is told, wherever it stands") {
  std::mt19937 random(4);
  const std::vector<std::string> quotes = {"'", "$$", "$a$"};
  for (int round = 0; round < 3000; round++) {
    std::string text = "SELECT ";
    for (int i = 0; i < 6; i++) {
      const std::string& quote = quotes[random() % quotes.size()];
      text += quote + std::string(random() % 3, ' ') +
              (random() % 2 == 0 ? "FROM hunter2" : "x JOIN hunter2;") +
              (quote == "'" && random() % 2 == 0 ? "''" : "") + (random() % 4 == 0 ? "\\" : "") + quote;
      text += random() % 2 == 0 ? ", " : " /* hunter2 ' */ , ";
    }
    CHECK(Postgres(text + "1 FROM t").find("hunter2") == std::string::npos);
  }
}

TEST("l7 sql: any bytes make a short printable text") {
  std::mt19937 random(8);
  for (int round = 0; round < 5000; round++) {
    std::string text = kBoth[random() % kBoth.size()].text;
    text += kMysql[random() % kMysql.size()].text;
    for (int i = 0; i < 5; i++) text[random() % text.size()] = static_cast<char>(random());
    for (const Dialect dialect : {Dialect::kPostgres, Dialect::kMysql}) {
      const std::string read = Read(dialect, text, 1 + random() % 9, random() % 2 == 0);
      CHECK(read.size() <= 256);
      for (const char c : read) CHECK(c >= 0x20 && c < 0x7f);
    }
  }
}

TEST("l7 sql: prepared statements are held while somebody knows them, within bounds") {
  Statements& all = AllStatements();
  const uint16_t before = all.Held();
  {
    Prepared one, two;
    const uint16_t statement = all.Hold("SELECT a");
    one.Set(1, statement);
    two.Set(2, statement);
    all.Release(statement);
    one.Remove(1);
    CHECK_EQ(one.Find(1), kNoStatement);
    CHECK_EQ(all.Text(two.Find(2)), "SELECT a");
    for (uint64_t name = 0; name < 3 * Prepared::kMost; name++) {
      const uint16_t fresh = all.Hold("SELECT t" + std::to_string(name));
      one.Set(name, fresh);
      all.Release(fresh);
    }
    CHECK_EQ(one.Find(0), kNoStatement);
    CHECK_EQ(all.Text(one.Find(3 * Prepared::kMost - 1)),
             "SELECT t" + std::to_string(3 * Prepared::kMost - 1));
  }
  CHECK_EQ(all.Held(), before);
  Statements small;
  for (int i = 0; i < 3000; i++) {
    const uint16_t statement = small.Hold("SELECT t" + std::to_string(i));
    CHECK_EQ(statement == kNoStatement, i >= Statements::kMost);
  }
  CHECK_EQ(small.Hold(std::string(Statements::kMaxText + 1, 'x')), kNoStatement);
}

}  // namespace skybraid::l7::sql

#include <new>

#include "dns/dns_parser.h"
#include "http1/http1.h"
#include "http2/http2.h"
#include "mqtt/mqtt.h"
#include "mysql/mysql.h"
#include "pairing.h"
#include "parser.h"
#include "postgres/postgres.h"
#include "redis/redis.h"
#include "tls/tls.h"

namespace skybraid::l7 {

namespace {

template <typename P>
Parser* Make(void* at) {
  static_assert(sizeof(Pairing) + sizeof(Feeder) + sizeof(P) <= kMaxConnectionBytes);
  return new (at) P;
}

}  // namespace

const ProtocolRow kProtocolTable[] = {
    {"tls", Protocol::kTls, tls::Classify, sizeof(tls::TlsParser), Make<tls::TlsParser>},
    {"http1", Protocol::kHttp1, ClassifyHttp1, sizeof(Http1), Make<Http1>},
    {"http2", Protocol::kHttp2, http2::Classify, sizeof(http2::Http2Parser), Make<http2::Http2Parser>},
    {"dns", Protocol::kDns, dns::Classify, sizeof(dns::DnsParser), Make<dns::DnsParser>},
    {"postgres", Protocol::kPostgres, postgres::Classify, sizeof(postgres::PostgresParser),
     Make<postgres::PostgresParser>},
    {"mysql", Protocol::kMysql, mysql::Classify, sizeof(mysql::MysqlParser), Make<mysql::MysqlParser>},
    {"mqtt", Protocol::kMqtt, mqtt::Classify, sizeof(mqtt::MqttParser), Make<mqtt::MqttParser>},
    {"redis", Protocol::kRedis, redis::Classify, sizeof(redis::RedisParser), Make<redis::RedisParser>},
};
const size_t kProtocolRows = sizeof kProtocolTable / sizeof kProtocolTable[0];

}  // namespace skybraid::l7

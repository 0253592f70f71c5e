#include "commands.h"

#include <array>

namespace skybraid::l7::redis {

namespace {

// In the order of the alphabet. What a command is besides, a mark behind its name says: see kMarks.
constexpr std::string_view kCommandWords =
    "acl+ append asking auth bf.add bf.card bf.exists bf.info bf.insert bf.madd bf.mexists bf.reserve "
    "bgrewriteaof bgsave bitcount bitfield bitfield_ro bitop bitpos blmove! blmpop! blpop! brpop! "
    "brpoplpush! bzmpop! bzpopmax! bzpopmin! cf.add cf.addnx cf.count cf.del cf.exists cf.insert cf.reserve "
    "client+ cluster+ cms.incrby cms.initbydim cms.initbyprob cms.merge cms.query command+ commandlog+ "
    "config+ copy dbsize debug decr decrby del delex digest discard dump echo eval eval_ro evalsha "
    "evalsha_ro exec exists expire expireat expiretime failover fcall fcall_ro flushall flushdb ft._list "
    "ft.aggregate ft.alter ft.create ft.dropindex ft.explain ft.info ft.search ft.sugadd ft.sugget "
    "ft.tagvals function+ geoadd geodist geohash geopos georadius georadius_ro georadiusbymember "
    "georadiusbymember_ro geosearch geosearchstore get getbit getdel getex getrange getset graph.query "
    "graph.ro_query hdel hello hexists hexpire hexpireat hexpiretime hget hgetall hgetdel hgetex hincrby "
    "hincrbyfloat hkeys hlen hmget hmset hpersist hpexpire hpexpireat hpexpiretime hpttl hrandfield hscan "
    "hset hsetex hsetnx hstrlen httl hvals incr incrby incrbyfloat info json.arrappend json.arrindex "
    "json.arrinsert json.arrlen json.arrpop json.arrtrim json.clear json.del json.get json.merge json.mget "
    "json.mset json.numincrby json.objkeys json.objlen json.set json.strappend json.strlen json.toggle "
    "json.type keys lastsave latency+ lcs lindex linsert llen lmove lmpop lolwut lpop lpos lpush lpushx "
    "lrange lrem lset ltrim memory+ mget migrate module+ monitor* move mset msetex msetnx multi object+ "
    "persist pexpire pexpireat pexpiretime pfadd pfcount pfdebug pfmerge pfselftest ping psetex psubscribe> "
    "psync* pttl publish pubsub+ punsubscribe< quit randomkey readonly readwrite rename renamenx replconf "
    "replicaof reset restore restore-asking role rpop rpoplpush rpush rpushx sadd save scan scard script+ "
    "sdiff sdiffstore select sentinel+ set setbit setex setnx setrange shutdown sinter sintercard "
    "sinterstore sismember slaveof slowlog+ smembers smismember smove sort sort_ro spop spublish srandmember "
    "srem sscan ssubscribe> strlen subscribe> substr sunion sunionstore sunsubscribe< swapdb sync* "
    "tdigest.add tdigest.cdf tdigest.create tdigest.quantile time topk.add topk.incrby topk.list topk.query "
    "topk.reserve touch ts.add ts.alter ts.create ts.decrby ts.del ts.get ts.incrby ts.info ts.madd ts.mget "
    "ts.mrange ts.mrevrange ts.queryindex ts.range ts.revrange ttl type unlink unsubscribe< unwatch vadd "
    "vcard vdim vemb vgetattr vinfo vlinks vrandmember vrem vsetattr vsim wait! waitaof! watch xack xackdel "
    "xadd xautoclaim xclaim xdel xdelex xgroup+ xinfo+ xlen xpending xrange xread? xreadgroup? xrevrange "
    "xsetid xtrim zadd zcard zcount zdiff zdiffstore zincrby zinter zintercard zinterstore zlexcount zmpop "
    "zmscore zpopmax zpopmin zrandmember zrange zrangebylex zrangebyscore zrangestore zrank zrem "
    "zremrangebylex zremrangebyrank zremrangebyscore zrevrange zrevrangebylex zrevrangebyscore zrevrank "
    "zscan zscore zunion zunionstore";

constexpr std::string_view kSubcommandWords =
    "addslots addslotsrange bumpepoch caching cat channels ckquorum consumers count count-failure-reports "
    "countkeysinslot create createconsumer debug delconsumer delete delslots delslotsrange deluser destroy "
    "docs doctor dryrun dump encoding exists failover flush flushslots forget freq genpass get "
    "get-master-addr-by-name getkeys getkeysandflags getkeysinslot getname getredir getuser graph groups "
    "help histogram history id idletime info keyslot kill latest len links list load loadex log malloc-stats "
    "master masters meet monitor myid myshardid no-evict no-touch nodes numpat numsub pause purge refcount "
    "remove replicas replicate reply reset resetstat restore rewrite save saveconfig sentinels set "
    "set-config-epoch setid setinfo setname setslot setuser shardchannels shardnumsub shards show slaves "
    "slot-stats slots stats stream tracking trackinginfo unblock unload unpause usage users whoami";

constexpr struct {
  char mark;
  Trait trait;
} kMarks[] = {{'+', kHasSubcommand}, {'!', kBlocks},       {'?', kMayBlock},
              {'>', kSubscribes},    {'<', kUnsubscribes}, {'*', kEndless}};

constexpr size_t Count(std::string_view words) {
  size_t count = 1;
  for (const char c : words) count += c == ' ';
  return count;
}

constexpr uint32_t Hash(std::string_view text) {
  uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 16777619u;
  return hash ^ hash >> 15;
}

constexpr Command Read(std::string_view word) {
  for (const auto& [mark, trait] : kMarks) {
    if (word.back() == mark) return {word.substr(0, word.size() - 1), trait};
  }
  return {word, kPlain};
}

// Words by their hash, with open addressing, made when compiling; an empty place has no name.
template <size_t kPlaces>
class Words {
 public:
  constexpr explicit Words(std::string_view words) {
    while (!words.empty()) {
      const size_t end = words.find(' ') < words.size() ? words.find(' ') : words.size();
      const Command command = Read(words.substr(0, end));
      size_t at = Hash(command.name) % kPlaces;
      while (!places_[at].name.empty()) at = (at + 1) % kPlaces;
      places_[at] = command;
      words.remove_prefix(end < words.size() ? end + 1 : end);
    }
  }
  const Command* Find(std::string_view name) const {
    for (size_t at = Hash(name) % kPlaces; !places_[at].name.empty(); at = (at + 1) % kPlaces) {
      if (places_[at].name == name) return &places_[at];
    }
    return nullptr;
  }

 private:
  std::array<Command, kPlaces> places_{};
};

constexpr Words<1024> kCommands{kCommandWords};
constexpr Words<256> kSubcommands{kSubcommandWords};
static_assert(2 * Count(kCommandWords) < 1024 && 2 * Count(kSubcommandWords) < 256, "never full");

}  // namespace

const Command* FindCommand(std::string_view name) { return kCommands.Find(name); }

bool IsSubcommand(std::string_view word) { return kSubcommands.Find(word) != nullptr; }

}  // namespace skybraid::l7::redis

#include "../l7/mqtt/mqtt.h"
#include "l7_streams.h"

namespace skybraid::l7::mqtt {

namespace {

using namespace conversation;

std::string U16(size_t value) { return {char(value >> 8), char(value)}; }
std::string Text(const std::string& text) { return U16(text.size()) + text; }
std::string Packet(uint8_t first, const std::string& payload) {
  std::string out(1, static_cast<char>(first));
  size_t left = payload.size();
  do {
    out += static_cast<char>(left % 128 + (left >= 128 ? 128 : 0));
    left /= 128;
  } while (left > 0);
  return out + payload;
}
std::string Connect(uint8_t version) {
  return Packet(0x10, Text("MQTT") + static_cast<char>(version) + std::string("\xc2\0\x3c", 3) +
                          (version == 5 ? std::string(1, '\0') : "") + Text("hunter2") + Text("hunter2") +
                          Text("hunter2"));
}
std::string Connack(uint8_t reason) { return Packet(0x20, std::string(1, '\0') + static_cast<char>(reason)); }
std::string Publish(uint8_t qos, uint16_t number, const std::string& topic, bool five = false) {
  return Packet(0x30 | qos << 1,
                Text(topic) + (qos > 0 ? U16(number) : "") + (five ? std::string(1, '\0') : "") + "hunter2");
}
std::string Ack(uint8_t first, uint16_t number, const std::string& more = "") {
  return Packet(first, U16(number) + more);
}

std::string Said(const std::vector<Turn>& turns) {
  const std::string lines = Lines<MqttParser>(turns);
  CHECK(lines.find("hunter2") == std::string::npos);
  return lines;
}

std::string Folded(const std::string& topic) {
  OperationText out;
  AddTopic(topic, false, out);
  return std::string(out.view());
}

}  // namespace

TEST("l7 mqtt: topics are folded") {
  CHECK_EQ(Folded("sensors/4711/temperature"), "sensors/{id}/temperature");
  CHECK_EQ(Folded("a/b/c/d"), "a/b/c/d");
  CHECK_EQ(Folded("a/b/c/d/e/f"), "a/b/c/d/...");
  CHECK_EQ(Folded("/home/+/#"), "/home/+/#");
  CHECK_EQ(Folded("$SYS/broker/load"), "$SYS/broker/load");
  CHECK_EQ(Folded("\x01\xff"), "{id}");
}

TEST("l7 mqtt: QoS 0, 1 and 2, answers out of order, pings") {
  CHECK_EQ(Said({Client(Connect(4)), Server(Connack(0)), Client(Publish(0, 0, "a/b")),
                 Client(Publish(1, 7, "a/17/c") + Publish(2, 8, "d")), Server(Ack(0x50, 8) + Ack(0x40, 7)),
                 Client(Packet(0xc0, "") + Ack(0x62, 8)), Server(Packet(0xd0, "") + Ack(0x70, 8)),
                 Client(Packet(0xe0, ""))}),
           "> CONNECT #262144\n< 0 #262144\n> PUBLISH a/b noresponse\n> PUBLISH a/{id}/c #65543\n> PUBLISH d "
           "#65544\n"
           "< 0 #65543\n< 0 #65544\n> DISCONNECT noresponse\n");
}

TEST("l7 mqtt: reason codes, of 5.0, too") {
  CHECK_EQ(Said({Client(Connect(4)), Server(Connack(5))}), "> CONNECT #262144\n< 5 #262144 error\n");
  const std::string subscribe = Packet(0x82, U16(3) + std::string("\2\x0b\1", 3) + Text("a/+") + "\1");
  CHECK_EQ(
      Said({Client(Connect(5)), Server(Packet(0x20, std::string("\0\0\0", 3))), Client(subscribe),
            Server(Packet(0x90, U16(3) + std::string("\0\x87", 2))), Client(Publish(1, 4, "x", true)),
            Server(Ack(0x40, 4, "\x10")), Client(Publish(2, 5, "y", true)), Server(Ack(0x50, 5, "\x97"))}),
      "> CONNECT #262144\n< 0 #262144\n> SUBSCRIBE a/+ #131075\n< 135 #131075 error\n> PUBLISH x #65540\n"
      "< 16 #65540\n> PUBLISH y #65541\n< 151 #65541 error\n");
}

TEST("l7 mqtt: what the broker delivers is counted, its acknowledgements are not") {
  CHECK_EQ(Said({Client(Connect(4)), Server(Connack(0)), Client(Packet(0x82, U16(1) + Text("a/#") + "\2")),
                 Server(Ack(0x90, 1, "\2") + Publish(1, 1, "a/b") + Publish(2, 2, "a/c")),
                 Client(Ack(0x40, 1) + Ack(0x50, 2)), Server(Ack(0x62, 2)), Client(Ack(0x70, 2)),
                 Client(Packet(0xa2, U16(2) + Text("a/#"))), Server(Ack(0xb0, 2))}),
           "> CONNECT #262144\n< 0 #262144\n> SUBSCRIBE a/# #131073\n< 2 #131073\n"
           "> DELIVER a/b #65537 nolatency noresponse\n> DELIVER a/c #65538 nolatency noresponse\n"
           "> UNSUBSCRIBE a/# #196610\n< 0 #196610\n");
}

TEST("l7 mqtt: a long message passes unseen") {
  MqttParser parser;
  Listener listener;
  const std::string publish = Connect(4) + Packet(0x30, Text("a/b") + std::string(100'000, 'x'));
  const size_t seen = Connect(4).size() + 30;
  parser.Eat(Side::kToServer, reinterpret_cast<const uint8_t*>(publish.data()), seen, 1, listener);
  CHECK_EQ(parser.Skippable(Side::kToServer), publish.size() - seen);
  parser.Skip(Side::kToServer, publish.size() - seen, 2, listener);
  CHECK_EQ(listener.details.back(), "> PUBLISH a/b noresponse bytes 100009 at 1..2");
}

TEST("l7 mqtt: losses, bytes that only look like it, and where it is found") {
  const std::vector<Turn> turns = {Client(Connect(4)),
                                   Server(Connack(0)),
                                   Client(Publish(1, 7, "a/17/c") + Publish(0, 0, "d")),
                                   Server(Ack(0x40, 7) + Publish(1, 1, "e/f")),
                                   Client(Ack(0x40, 1) + Packet(0x82, U16(3) + Text("g/#") + "\1")),
                                   Server(Ack(0x90, 3, "\1"))};
  CheckLostPrefixes<MqttParser>(turns);
  CheckMutations<MqttParser>(turns, 3000);
  const auto classify = [](Side side, const std::string& text) {
    return Classify(side, reinterpret_cast<const uint8_t*>(text.data()), text.size());
  };
  for (size_t size = 0; size < 9; size++)
    CHECK(classify(Side::kToServer, Connect(5).substr(0, size)) == Verdict::kMaybe);
  CHECK(classify(Side::kToServer, Connect(5).substr(0, 9)) == Verdict::kYes);
  CHECK(classify(Side::kToServer, Connect(3)) == Verdict::kNo);
  CHECK(classify(Side::kToServer, Publish(1, 7, "a")) == Verdict::kNo);
}

// Three ways to publish and three to subscribe, in both versions: a CONNECT and a DISCONNECT each.
TEST("l7 mqtt: the clients of mosquitto and its broker") {
  size_t connects = 0, published = 0, delivered = 0, subscribed = 0, answered = 0;
  for (int i = 0; i < 12; i++) {
    const std::vector<Turn> turns = Recorded("mosquitto" + (i == 0 ? "" : std::to_string(i)));
    Said(turns);
    const Listener listener = Whole<MqttParser>(turns);
    CHECK_EQ(listener.gaps, 0);
    for (const std::string& operation : listener.operations) {
      connects += operation == "CONNECT";
      published += operation.rfind("PUBLISH sensors/{id}/", 0) == 0;
      delivered += operation.rfind("DELIVER sensors/{id}/", 0) == 0;
      subscribed += operation == "SUBSCRIBE sensors/+/#";
    }
    for (const std::string& line : listener.lines) answered += line[0] == '<';
  }
  CHECK_EQ(connects, size_t{12});
  CHECK_EQ(published, size_t{6});
  CHECK(delivered >= 6);
  CHECK_EQ(subscribed, size_t{6});
  CHECK_EQ(answered, size_t{12 + 6 + 4});
}

}  // namespace skybraid::l7::mqtt

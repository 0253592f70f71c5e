// Prints what the kernel programs say, one JSON object a line. For tests and for a look by hand:
//   dump-rows --objects bpf/build --cgroup /sys/fs/cgroup [--interval-ms 200] [--ring BYTES] [--no-udp]
//   [--no-files]
// First a line of kind "open", then rows as they come. Commands on stdin, one a line: "flush" reads
// everything and answers with a line of kind "flushed" that holds the counters; "hold" stops reading the
// ring, "resume" goes on; "sweep" reads every open socket. End of input: one more flush, then it detaches and
// ends.
#include <arpa/inet.h>
#include <poll.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "end_reason.h"
#include "kernel_source.h"

namespace skybraid {
namespace {

const char* KindName(uint8_t kind) {
  static const char* const names[] = {"?", "reading", "closed", "failed", "half_open", "udp", "dns"};
  return kind < sizeof names / sizeof *names ? names[kind] : "?";
}

std::string AddressText(const sb_addr& addr, uint8_t family) {
  char text[INET6_ADDRSTRLEN] = "";
  if (family == 4)
    inet_ntop(AF_INET, addr.bytes + 12, text, sizeof text);
  else
    inet_ntop(AF_INET6, addr.bytes, text, sizeof text);
  return text;
}

std::string Quoted(const char* text, size_t size) {
  std::string out = "\"";
  for (size_t i = 0; i < size && text[i] != 0; i++) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    char escaped[8];
    snprintf(escaped, sizeof escaped, c < 0x20 || c >= 0x7f || c == '"' || c == '\\' ? "\\u%04x" : "%c", c);
    out += escaped;
  }
  return out + "\"";
}

class Printer final : public RowSink {
 public:
  uint64_t ring_rows = 0;

  void OnTcp(const sb_tcp_row& row) override {
    Head(row.head);
    printf(
        ",\"reason\":%u,\"diallerIsn\":%u,\"acceptorIsn\":%u,\"handshakeUs\":%u,\"srttUs\":%u,\"minRttUs\":%"
        "u,"
        "\"segmentsSent\":%u,\"segmentsReceived\":%u,\"dataSegmentsSent\":%u,\"dataSegmentsReceived\":%u,"
        "\"retransmits\":%u,\"outOfOrder\":%u,\"bytesSent\":%llu,\"bytesReceived\":%llu}\n",
        EndReasonOf(row), row.dialler_isn, row.acceptor_isn, row.handshake_us, row.srtt_us, row.min_rtt_us,
        row.segments_sent, row.segments_received, row.data_segments_sent, row.data_segments_received,
        row.retransmitted_segments, row.out_of_order_segments, Number(row.bytes_sent),
        Number(row.bytes_received));
  }

  void OnUdp(const sb_udp_row& row) override {
    Head(row.head);
    printf(",\"bytesSent\":%llu,\"bytesReceived\":%llu,\"datagramsSent\":%llu,\"datagramsReceived\":%llu}\n",
           Number(row.bytes_sent), Number(row.bytes_received), Number(row.datagrams_sent),
           Number(row.datagrams_received));
  }

  void OnDns(const sb_dns_row& row) override {
    Head(row.head);
    printf(",\"sent\":%u,\"length\":%u,\"message\":\"", row.sent, row.length);
    for (uint32_t i = 0; i < row.length && i < SB_DNS_BYTES; i++) printf("%02x", row.message[i]);
    printf("\"}\n");
  }

 private:
  static unsigned long long Number(uint64_t value) { return value; }

  void Head(const sb_head& head) {
    printf(
        "{\"kind\":\"%s\",\"family\":%u,\"role\":%u,\"flags\":%u,\"local\":\"%s\",\"localPort\":%u,"
        "\"remote\":\"%s\",\"remotePort\":%u,\"cookie\":\"%llu\",\"cgroup\":%llu,\"openedNs\":%llu,"
        "\"readNs\":%llu,\"netns\":%u,\"tgid\":%u,\"comm\":%s,\"state\":%u,\"skErr\":%u,\"generation\":%u",
        KindName(head.kind), head.family, head.role, head.flags, AddressText(head.local, head.family).c_str(),
        head.local_port, AddressText(head.remote, head.family).c_str(), head.remote_port, Number(head.cookie),
        Number(head.cgroup_id), Number(head.opened_ns), Number(head.read_ns), head.netns, head.tgid,
        Quoted(head.comm, SB_COMM_LEN).c_str(), head.tcp_state, head.sk_err, head.generation);
  }
};

struct Settings {
  SourceOptions source;
  int interval_ms = 200;
};

bool Parse(int argc, char** argv, Settings& settings) {
  for (int i = 1; i < argc; i++) {
    const std::string flag = argv[i];
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (flag == "--no-udp")
      settings.source.udp = false;
    else if (flag == "--no-files")
      settings.source.task_files = false;
    else if (value == nullptr)
      return false;
    else if (flag == "--objects")
      settings.source.object_dir = argv[++i];
    else if (flag == "--cgroup")
      settings.source.cgroup_path = argv[++i];
    else if (flag == "--ring")
      settings.source.ring_bytes = static_cast<uint32_t>(strtoul(argv[++i], nullptr, 10));
    else if (flag == "--interval-ms")
      settings.interval_ms = atoi(argv[++i]);
    else
      return false;
  }
  return !settings.source.object_dir.empty() && !settings.source.cgroup_path.empty();
}

void PrintOpen(const OpenResult& result) {
  printf("{\"kind\":\"open\",\"ok\":%s,\"error\":%s,\"capabilities\":%llu,\"hooks\":[",
         result.ok ? "true" : "false", Quoted(result.error.c_str(), result.error.size()).c_str(),
         static_cast<unsigned long long>(result.capabilities));
  bool first = true;
  for (const HookReport& hook : result.hooks) {
    printf("%s{\"hook\":\"%s\",\"attached\":%s,\"reason\":%s,\"consequence\":%s}", first ? "" : ",",
           hook.hook.c_str(), hook.attached ? "true" : "false",
           Quoted(hook.reason.c_str(), hook.reason.size()).c_str(),
           Quoted(hook.consequence.c_str(), hook.consequence.size()).c_str());
    first = false;
  }
  printf("]}\n");
  fflush(stdout);
}

void Flush(KernelSource& source, Printer& printer, bool hold) {
  if (!hold) printer.ring_rows += source.Drain(printer);
  source.ReadSockets(printer);
  source.ReadUdpFlows(printer);
  fflush(stdout);
}

void PrintCounters(KernelSource& source, const Printer& printer) {
  const KernelCounters counters = source.Counters();
  printf("{\"kind\":\"flushed\",\"consumed\":%llu,\"counters\":[",
         static_cast<unsigned long long>(printer.ring_rows));
  for (size_t i = 0; i < counters.size(); i++)
    printf("%s%llu", i == 0 ? "" : ",", static_cast<unsigned long long>(counters[i]));
  printf("]}\n");
  fflush(stdout);
}

int Run(const Settings& settings) {
  auto source = KernelSource::Create();
  const OpenResult result = source->Open(settings.source);
  PrintOpen(result);
  if (!result.ok) return 3;
  Printer printer;
  std::string commands;
  bool hold = false;
  for (;;) {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    if (poll(&input, 1, settings.interval_ms) > 0) {
      char text[256];
      const ssize_t got = read(STDIN_FILENO, text, sizeof text);
      if (got <= 0) break;
      commands.append(text, static_cast<size_t>(got));
    }
    for (size_t end; (end = commands.find('\n')) != std::string::npos; commands.erase(0, end + 1)) {
      const std::string command = commands.substr(0, end);
      if (command == "hold") hold = true;
      if (command == "resume") hold = false;
      if (command == "sweep")
        printf("{\"kind\":\"swept\",\"complete\":%s}\n", source->ReadAllSockets(printer) ? "true" : "false");
      Flush(*source, printer, hold);
      PrintCounters(*source, printer);
    }
    Flush(*source, printer, hold);
  }
  Flush(*source, printer, false);
  PrintCounters(*source, printer);
  return 0;
}

}  // namespace
}  // namespace skybraid

int main(int argc, char** argv) {
  skybraid::Settings settings;
  if (!skybraid::Parse(argc, argv, settings)) {
    fprintf(stderr,
            "usage: dump-rows --objects DIR --cgroup DIR [--interval-ms N] [--ring BYTES] [--no-udp] "
            "[--no-files]\n");
    return 2;
  }
  return skybraid::Run(settings);
}

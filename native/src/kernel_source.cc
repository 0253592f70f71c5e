// KernelSource over libbpf: one object, programs switched off one by one where this kernel lacks them.
#include "kernel_source.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>

#include "adoption_gate.h"
#include "kernel_globals.h"
#include "kernel_hooks.h"
#include "kernel_iterator.h"
#include "kernel_pieces.h"
#include "kernel_udp.h"

namespace skybraid {

namespace {

struct ObjectCloser {
  void operator()(bpf_object* object) const { bpf_object__close(object); }
};
struct LinkCloser {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
struct RingCloser {
  void operator()(ring_buffer* ring) const { ring_buffer__free(ring); }
};
struct BtfCloser {
  void operator()(btf* types) const { btf__free(types); }
};
using LinkPtr = std::unique_ptr<bpf_link, LinkCloser>;

constexpr uint32_t kInitPidNamespace = 0xEFFFFFFCu;

uint32_t RingBytes(uint32_t wanted) {
  uint32_t bytes = static_cast<uint32_t>(getpagesize());
  while (bytes < wanted && bytes < 1u << 30) bytes <<= 1;
  return bytes;
}

uint32_t OwnPidNamespace() {
  struct stat info {};
  return stat("/proc/self/ns/pid", &info) == 0 ? static_cast<uint32_t>(info.st_ino) : kInitPidNamespace;
}

constexpr uint32_t kAdoptConnections = 1;  // as in base.h
constexpr uint32_t kAdoptListeners = 2;

uint64_t MonotonicNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

uint32_t Reads(const SourceOptions& options) {
  return SB_L7_CONNECTIONS | (options.l7_dns ? SB_L7_DATAGRAMS : 0);
}

// The iterator over the entries of a map, or over all open files.
LinkPtr AttachIterator(const bpf_program* program, int map_fd) {
  bpf_iter_link_info info{};
  info.map.map_fd = static_cast<uint32_t>(map_fd);
  bpf_iter_attach_opts options{};
  options.sz = sizeof options;
  if (map_fd >= 0) {
    options.link_info = &info;
    options.link_info_len = sizeof info;
  }
  return LinkPtr(bpf_program__attach_iter(program, &options));
}

class LibbpfSource final : public KernelSource {
 public:
  ~LibbpfSource() override { Close(); }

  OpenResult Open(const SourceOptions& options) override {
    OpenResult result;
    result.error = Start(options, result);
    result.ok = result.error.empty();
    if (!result.ok) Close();
    return result;
  }

  uint64_t Drain(RowSink& sink) override {
    if (!ring_) return 0;
    Adopt(MonotonicNs());
    drain_ = {&sink, 0};
    ring_buffer__consume(ring_.get());
    return drain_.rows;
  }

  uint64_t ReadSockets(RowSink& sink) override {
    if (!sockets_) return 0;
    return ReadOpen(sink).rows;
  }

  bool ReadAllSockets(RowSink& sink) override {
    if (!sockets_ || !SetReadEvery(1)) return false;
    const uint64_t unsettled = Counters()[SB_C_KEY_UNSETTLED];
    const IteratorRead read = ReadOpen(sink);
    SetReadEvery(0);
    // A socket that could not be read steadily was not shown: it must not be taken for gone.
    return read.complete && Counters()[SB_C_KEY_UNSETTLED] == unsettled;
  }

  double DrainPieces(RowSink& sink, bool* all) override {
    *all = true;
    if (!pieces_) return 0;
    return static_cast<double>(pieces_->Drain(sink, all)) / SB_L7_RING_BYTES;
  }

  sb_l7_stream* Streams() override { return pieces_ ? pieces_->Streams() : nullptr; }

  uint64_t ReadUdpFlows(RowSink& sink) override { return udp_ ? udp_->Read(sink) : 0; }

  KernelCounters Counters() override {
    KernelCounters sums{};
    const int fd = MapFd("counters");
    const int cpus = libbpf_num_possible_cpus();
    if (fd < 0 || cpus <= 0) return sums;
    std::vector<uint64_t> values(static_cast<size_t>(cpus));
    for (uint32_t i = 0; i < SB_COUNTERS; i++) {
      if (bpf_map_lookup_elem(fd, &i, values.data()) != 0) continue;
      for (uint64_t value : values) sums[i] += value;
    }
    sums[SB_C_MISSED] = Missed();
    return sums;
  }

 private:
  struct Draining {
    RowSink* sink = nullptr;
    uint64_t rows = 0;
  };

  std::string Start(const SourceOptions& options, OpenResult& result);
  std::string Load(const SourceOptions& options, const CgroupPlace& place, const btf* types,
                   OpenResult& result);
  int LoadOnce(const std::string& path, const SourceOptions& options, const CgroupPlace& place);
  bool AreLoaded(uint64_t capability) const;
  bool IsLoaded(HookKind kind) const;
  bool Configure(const SourceOptions& options, const CgroupPlace& place);
  std::string AttachAll(const SourceOptions& options, OpenResult& result);
  int AttachOne(const Hook& hook, bpf_program* program, int cgroup_fd);
  LinkPtr* IteratorPlace(const Hook& hook);
  std::string OpenRing();
  void OpenPieces(OpenResult& result);
  bool ReadsProtocols() const { return l7_ && AreLoaded(kPacketHooks); }
  IteratorRead ReadOpen(RowSink& sink);
  void Adopt(uint64_t now_ns);
  void Close();

  static int OnRingRow(void* context, void* data, size_t size);
  int MapFd(const char* name) const {
    const bpf_map* map = object_ ? bpf_object__find_map_by_name(object_.get(), name) : nullptr;
    return map != nullptr ? bpf_map__fd(map) : -1;
  }
  bool SetVariable(const char* section, uint32_t value) {
    const uint32_t zero = 0;
    return bpf_map_update_elem(MapFd(section), &zero, &value, BPF_ANY) == 0;
  }
  bool SetReadEvery(uint32_t every) { return SetVariable(".data.read_every", every); }
  template <typename T>
  bool SetGlobal(const char* section, const char* name, T value) {
    void* at = GlobalVariable(object_.get(), section, name);
    if (at == nullptr) return false;
    memcpy(at, &value, sizeof value);
    return true;
  }
  uint64_t Missed() const;

  std::unique_ptr<bpf_object, ObjectCloser> object_;
  std::unique_ptr<ring_buffer, RingCloser> ring_;
  std::vector<LinkPtr> links_;
  LinkPtr sockets_;
  LinkPtr dials_;
  LinkPtr files_;
  AdoptionGate gate_;
  uint32_t adopting_ = kAdoptConnections | kAdoptListeners;
  uint32_t adopting_always_ = 0;  // whatever the gate says
  std::unique_ptr<UdpFlowReader> udp_;
  std::unique_ptr<PieceReader> pieces_;
  bool l7_ = false;
  Draining drain_;
  std::vector<char> buffer_;
  std::array<bool, kHooks.size()> off_{};  // not loaded: see the reports
};

std::string LibbpfSource::Start(const SourceOptions& options, OpenResult& result) {
  Close();
  libbpf_set_print(nullptr);  // errors come back as results; a collector's output is not libbpf's
  const std::string path = options.object_dir + "/skybraid.bpf.o";
  if (std::string reason = WhyNotHere(options, path); !reason.empty()) return reason;
  const CgroupPlace place = LocateCgroup(options.cgroup_path);
  if (!place.error.empty()) return place.error;
  const std::unique_ptr<btf, BtfCloser> types(btf__load_vmlinux_btf());
  if (!types)
    return "The kernel's own description of its types can't be read: " + ExplainKernelError(errno) + ".";
  if (std::string error = Load(options, place, types.get(), result); !error.empty()) return error;
  if (std::string error = AttachAll(options, result); !error.empty()) return error;
  if (options.l7) OpenPieces(result);
  return OpenRing();
}

// Tries with everything first; if the kernel refuses the object, without groups of optional programs.
std::string LibbpfSource::Load(const SourceOptions& options, const CgroupPlace& place, const btf* types,
                               OpenResult& result) {
  const std::string path = options.object_dir + "/skybraid.bpf.o";
  result.hooks.clear();
  for (size_t i = 0; i < kHooks.size(); i++) {
    const Hook& hook = kHooks[i];
    HookReport report{hook.hook, false, {}, {}};
    if (!KernelHas(types, hook))
      report.reason = "this kernel does not have it";
    else if (hook.kind == HookKind::kCgroup && !options.udp)
      report.reason = "switched off";
    else if (hook.capability == kTaskFiles && !options.task_files)
      report.reason = "switched off";
    off_[i] = !report.reason.empty();
    if (off_[i]) report.consequence = hook.consequence;
    if (off_[i] && hook.required)
      return std::string("This kernel lacks ") + hook.hook + ": " + hook.consequence + ".";
    result.hooks.push_back(report);
  }
  const auto drop = [&](auto&& choose) {
    for (size_t i = 0; i < kHooks.size(); i++) {
      if (off_[i] || kHooks[i].required || !choose(kHooks[i])) continue;
      off_[i] = true;
      result.hooks[i].reason = "this kernel's program check refuses it";
      result.hooks[i].consequence = kHooks[i].consequence;
    }
  };
  l7_ = options.l7;
  int code = LoadOnce(path, options, place);
  if (code != 0 && code != EPERM && l7_) {
    l7_ = false;
    code = LoadOnce(path, options, place);
  }
  if (code != 0 && code != EPERM) {
    drop([](const Hook& hook) { return hook.kind == HookKind::kCgroup; });
    code = LoadOnce(path, options, place);
  }
  if (code != 0 && code != EPERM) {
    drop([](const Hook&) { return true; });
    code = LoadOnce(path, options, place);
  }
  return code == 0 ? "" : "The kernel programs can't be loaded: " + ExplainKernelError(code) + ".";
}

int LibbpfSource::LoadOnce(const std::string& path, const SourceOptions& options, const CgroupPlace& place) {
  object_.reset(bpf_object__open_file(path.c_str(), nullptr));
  if (!object_) return errno;
  for (size_t i = 0; i < kHooks.size(); i++) {
    bpf_program* program = bpf_object__find_program_by_name(object_.get(), kHooks[i].program);
    if (program != nullptr) bpf_program__set_autoload(program, !off_[i]);
  }
  if (!Configure(options, place)) return EINVAL;
  return -bpf_object__load(object_.get());
}

bool LibbpfSource::AreLoaded(uint64_t capability) const {
  for (size_t i = 0; i < kHooks.size(); i++)
    if (off_[i] && kHooks[i].capability == capability) return false;
  return true;
}

bool LibbpfSource::IsLoaded(HookKind kind) const {
  for (size_t i = 0; i < kHooks.size(); i++)
    if (off_[i] && kHooks[i].kind == kind) return false;
  return true;
}

bool LibbpfSource::Configure(const SourceOptions& options, const CgroupPlace& place) {
  bpf_map* ring = bpf_object__find_map_by_name(object_.get(), "ring");
  return ring != nullptr && bpf_map__set_max_entries(ring, RingBytes(options.ring_bytes)) == 0 &&
         SetGlobal<uint64_t>(".rodata", "sb_scope_cgroup", place.id) &&
         SetGlobal<uint32_t>(".rodata", "sb_scope_level", place.level) &&
         SetGlobal<uint32_t>(".rodata", "sb_packet_hooks", AreLoaded(kPacketHooks) ? 1 : 0) &&
         SetGlobal<uint32_t>(".rodata", "sb_l7", ReadsProtocols() ? Reads(options) : 0) &&
         SetGlobal<uint32_t>(".rodata", "sb_dial_table", IsLoaded(HookKind::kDialIterator) ? 1 : 0) &&
         SetGlobal<uint32_t>(".rodata", "sb_pid_ns", OwnPidNamespace());
}

std::string LibbpfSource::AttachAll(const SourceOptions& options, OpenResult& result) {
  const int cgroup_fd = open(options.cgroup_path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (cgroup_fd < 0) return "'" + options.cgroup_path + "' can't be opened: " + strerror(errno) + ".";
  std::string error;
  for (size_t i = 0; i < kHooks.size() && error.empty(); i++) {
    const Hook& hook = kHooks[i];
    bpf_program* program = bpf_object__find_program_by_name(object_.get(), hook.program);
    if (off_[i] || program == nullptr) continue;
    HookReport& report = result.hooks[i];
    const int code = AttachOne(hook, program, cgroup_fd);
    report.attached = code == 0;
    if (code == 0) {
      result.capabilities |= hook.capability;
    } else {
      report.reason = ExplainKernelError(code);
      report.consequence = hook.consequence;
      // Loaded, the programs keep diallers where only this iterator finds them.
      if (hook.required || hook.kind == HookKind::kDialIterator)
        error = std::string(hook.hook) + " can't be attached: " + report.reason + ".";
    }
  }
  close(cgroup_fd);
  if (options.udp && error.empty()) {
    udp_ = UdpFlowReader::Map(MapFd("udp_flows"), MapFd("udp_counts"), MapFd(".data.udp_pass"));
    if (!udp_) error = "The counts of UDP flows can't be mapped: " + ExplainKernelError(errno) + ".";
  }
  const bool all_files = files_ != nullptr && OwnPidNamespace() == kInitPidNamespace;
  gate_.Start(all_files, MonotonicNs());
  uint64_t first = 0;
  adopting_always_ =
      bpf_map_get_next_key(MapFd("mptcp_listeners"), nullptr, &first) == 0 ? kAdoptListeners : 0;
  return error;
}

void LibbpfSource::OpenPieces(OpenResult& result) {
  HookReport report{"application protocols", false, {}, {}};
  if (!ReadsProtocols()) {
    report.reason = l7_ ? "the packet hooks are not attached" : "this kernel's program check refuses it";
  } else {
    pieces_ = PieceReader::Map(MapFd("l7_ring"), SB_L7_RING_BYTES, MapFd("l7_streams"));
    if (!pieces_) report.reason = ExplainKernelError(errno);
  }
  report.attached = pieces_ != nullptr;
  if (report.attached)
    result.capabilities |= kProtocols;
  else
    report.consequence = "what connections speak is not observed";
  result.hooks.push_back(report);
}

// Where the link of an iterator is kept that runs again; nullptr if once is enough.
LinkPtr* LibbpfSource::IteratorPlace(const Hook& hook) {
  if (hook.capability == kOpenCounters) return &sockets_;
  if (hook.kind == HookKind::kDialIterator) return &dials_;
  return hook.capability == kTaskFiles ? &files_ : nullptr;
}

int LibbpfSource::AttachOne(const Hook& hook, bpf_program* program, int cgroup_fd) {
  if (hook.kind != HookKind::kTracepoint && hook.kind != HookKind::kCgroup) {
    LinkPtr* place = IteratorPlace(hook);
    const char* map = place == &sockets_ ? "tcp_stores" : place == &dials_ ? "tcp_dials" : nullptr;
    LinkPtr link = AttachIterator(program, map != nullptr ? MapFd(map) : -1);
    if (!link) return errno;
    // Later sockets are seen from their beginning.
    const int code = map != nullptr ? 0 : RunIterator(bpf_link__fd(link.get()), buffer_);
    if (code == 0 && place != nullptr) *place = std::move(link);
    return code;
  }
  LinkPtr link(hook.kind == HookKind::kCgroup ? bpf_program__attach_cgroup(program, cgroup_fd)
                                              : bpf_program__attach(program));
  if (!link) return errno;
  links_.push_back(std::move(link));
  return 0;
}

std::string LibbpfSource::OpenRing() {
  ring_.reset(ring_buffer__new(MapFd("ring"), OnRingRow, this, nullptr));
  return ring_ ? "" : "The ring buffer can't be mapped: " + ExplainKernelError(errno) + ".";
}

IteratorRead LibbpfSource::ReadOpen(RowSink& sink) {
  IteratorRead read = ReadTcpRows(bpf_link__fd(sockets_.get()), buffer_, sink);
  if (dials_) {
    const IteratorRead dialled = ReadTcpRows(bpf_link__fd(dials_.get()), buffer_, sink);
    read.rows += dialled.rows;
    read.complete = read.complete && dialled.complete;
  }
  return read;
}

void LibbpfSource::Adopt(uint64_t now_ns) {
  if (gate_.SecondLookDue(now_ns)) RunIterator(bpf_link__fd(files_.get()), buffer_);
  const uint32_t wanted = gate_.IsOpen(now_ns) ? kAdoptConnections | kAdoptListeners : adopting_always_;
  if (wanted != adopting_ && SetVariable(".data.adopting", wanted)) adopting_ = wanted;
}

void LibbpfSource::Close() {
  links_.clear();
  sockets_.reset();
  dials_.reset();
  files_.reset();
  udp_.reset();
  pieces_.reset();
  ring_.reset();
  object_.reset();
}

int LibbpfSource::OnRingRow(void* context, void* data, size_t size) {
  Draining& drain = static_cast<LibbpfSource*>(context)->drain_;
  const auto* head = static_cast<const sb_head*>(data);
  drain.rows++;
  if (size >= sizeof(sb_dns_row) && head->kind == SB_ROW_DNS)
    drain.sink->OnDns(*static_cast<const sb_dns_row*>(data));
  else if (size >= sizeof(sb_cgroup_row) && head->kind == SB_ROW_CGROUP)
    drain.sink->OnCgroup(*static_cast<const sb_cgroup_row*>(data));
  else if (size >= sizeof(sb_tcp_row))
    drain.sink->OnTcp(*static_cast<const sb_tcp_row*>(data));
  return 0;
}

uint64_t LibbpfSource::Missed() const {
  const bpf_program* program = bpf_object__find_program_by_name(object_.get(), "tcp_state");
  bpf_prog_info info{};
  uint32_t length = sizeof info;
  if (program == nullptr || bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &length) != 0) return 0;
  return info.recursion_misses;
}

}  // namespace

std::unique_ptr<KernelSource> KernelSource::Create() { return std::make_unique<LibbpfSource>(); }

}  // namespace skybraid

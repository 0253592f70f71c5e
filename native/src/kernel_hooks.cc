#include "kernel_hooks.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>

namespace skybraid {

const std::array<Hook, 16> kHooks = {{
    {"tcp_state", "tp_btf/inet_sock_set_state", HookKind::kTracepoint, "btf_trace_inet_sock_set_state",
     kTcpLifecycle, true, "TCP connections are not observed"},
    {"tcp_open_sockets", "iter/bpf_sk_storage_map", HookKind::kIterator, "bpf_iter__bpf_sk_storage_map",
     kOpenCounters, true, "open TCP connections are not observed, only ended ones"},
    {"tcp_open_dials", "iter/bpf_map_elem", HookKind::kDialIterator, "bpf_iter__bpf_map_elem", 0, false,
     "nothing is lost, but a connection that is dialled costs more: its socket gets storage of its own"},
    {"tcp_reset_received", "tp_btf/tcp_receive_reset", HookKind::kTracepoint, "btf_trace_tcp_receive_reset",
     kResets, false, "a reset by the peer is told from the socket's error alone"},
    {"tcp_reset_sent", "tp_btf/tcp_send_reset", HookKind::kTracepoint, "btf_trace_tcp_send_reset", kResets,
     false, "a reset sent is told from the socket's last state alone"},
    {"tcp_synack_again", "tp_btf/tcp_retransmit_synack", HookKind::kTracepoint,
     "btf_trace_tcp_retransmit_synack", kHalfOpen, false,
     "dials that reach a listener but never complete are seen by the dialler only"},
    {"tcp_error", "tp_btf/inet_sk_error_report", HookKind::kTracepoint, "btf_trace_inet_sk_error_report",
     kSocketErrors, false, "why a dial failed may be missing if the program read the error first"},
    {"cgroup_made", "tp_btf/cgroup_mkdir", HookKind::kTracepoint, "btf_trace_cgroup_mkdir", 0, false,
     "connections of a container that is gone within a moment may lack the container"},
    {"open_files", "iter/task_file", HookKind::kIterator, "bpf_iter__task_file", kTaskFiles, false,
     "connections older than the collector are found on their first packet, without the program's name"},
    {"packet_in", "cgroup_skb/ingress", HookKind::kCgroup, nullptr, kPacketHooks, false,
     "UDP and DNS are not observed, and TCP connections older than the collector only when their state "
     "changes"},
    {"packet_out", "cgroup_skb/egress", HookKind::kCgroup, nullptr, kPacketHooks, false,
     "UDP and DNS are not observed, and TCP connections older than the collector only when their state "
     "changes"},
    {"udp_send4", "cgroup/sendmsg4", HookKind::kCgroup, nullptr, 0, false,
     "an IPv4 UDP client behind address translation on its own host may appear as two flows"},
    {"udp_send6", "cgroup/sendmsg6", HookKind::kCgroup, nullptr, 0, false,
     "an IPv6 UDP client behind address translation on its own host may appear as two flows"},
    {"udp_create", "cgroup/sock_create", HookKind::kCgroup, nullptr, 0, false,
     "which end began a UDP flow is told from its ports"},
    {"udp_release", "cgroup/sock_release", HookKind::kCgroup, nullptr, 0, false,
     "UDP flows of closed sockets end by idleness"},
    {"mptcp_listening", "iter/task_file (MPTCP)", HookKind::kIterator, "mptcp_sock", 0, false,
     "connections accepted by MPTCP listeners older than the collector lack the program's name"},
}};

bool KernelHas(const btf* kernel_types, const Hook& hook) {
  if (hook.needs == nullptr) return true;
  return btf__find_by_name(kernel_types, hook.needs) > 0;
}

namespace {

bool KernelOlderThan(unsigned major, unsigned minor) {
  utsname name{};
  unsigned have_major = 0, have_minor = 0;
  if (uname(&name) != 0 || sscanf(name.release, "%u.%u", &have_major, &have_minor) != 2) return false;
  return have_major < major || (have_major == major && have_minor < minor);
}

std::string KernelRelease() {
  utsname name{};
  return uname(&name) == 0 ? name.release : "this kernel";
}

bool LockedDownForConfidentiality() {
  std::ifstream file("/sys/kernel/security/lockdown");
  std::string text;
  std::getline(file, text);
  return text.find("[confidentiality]") != std::string::npos;
}

// CAP_SYS_ADMIN or both of CAP_PERFMON and CAP_BPF; CAP_NET_ADMIN for the packet hooks.
bool MayLoadPrograms(bool packet_hooks) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("CapEff:", 0) != 0) continue;
    const uint64_t caps = std::stoull(line.substr(7), nullptr, 16);
    const auto has = [caps](int bit) { return (caps >> bit & 1) != 0; };
    return (has(12) || !packet_hooks) && (has(21) || (has(38) && has(39)));
  }
  return true;
}

bool IsCgroup2(const std::string& path) {
  struct statfs fs {};
  return statfs(path.c_str(), &fs) == 0 && static_cast<uint64_t>(fs.f_type) == CGROUP2_SUPER_MAGIC;
}

}  // namespace

std::string WhyNotHere(const SourceOptions& options, const std::string& object_path) {
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
    return "The kernel does not describe its types (no /sys/kernel/btf/vmlinux): nothing can be observed. "
           "A kernel built with CONFIG_DEBUG_INFO_BTF is needed, as all current distributions ship.";
  if (KernelOlderThan(5, 15))
    return "Kernel " + KernelRelease() +
           " is too old: nothing can be observed. Linux 5.15 or later is needed.";
  if (!MayLoadPrograms(options.udp))
    return std::string("Not allowed to load kernel programs: run as root, or with CAP_BPF") +
           (options.udp ? ", CAP_PERFMON and CAP_NET_ADMIN." : " and CAP_PERFMON.");
  if (LockedDownForConfidentiality())
    return "The kernel is locked down (confidentiality mode): it lets nobody read kernel memory, so nothing "
           "can be "
           "observed. Lockdown mode 'integrity' is enough for Secure Boot and does not hinder.";
  if (!IsCgroup2(options.cgroup_path))
    return "'" + options.cgroup_path +
           "' is not a cgroup2 directory: mount cgroup2 or name where it is mounted.";
  if (access(object_path.c_str(), R_OK) != 0)
    return "The compiled kernel programs are missing ('" + object_path + "'): build them with 'make -C bpf'.";
  return {};
}

std::string ExplainKernelError(int code) {
  switch (code) {
    case EPERM:
      return "the kernel does not permit it (missing capability, lockdown or a seccomp filter)";
    case EACCES:
      return "the kernel's program check refused it";
    case ENOENT:
    case ESRCH:
      return "this kernel does not have it";
    case EINVAL:
    case ENOTSUP:
      return "this kernel does not support it";
    case ENOMEM:
      return "the kernel had no memory for it";
    default:
      return strerror(code);
  }
}

namespace {

constexpr uint32_t kMostLevels = 64;

// Loads a program that answers whether the ancestor of its caller's cgroup at a given level has a given id.
int LoadAncestorCheck() {
  // clang-format off
  const bpf_insn program[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1, .off = 0, .imm = 0},
      {.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_1, .src_reg = BPF_REG_6, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_CALL, .dst_reg = 0, .src_reg = 0, .off = 0,
       .imm = BPF_FUNC_get_current_ancestor_cgroup_id},
      {.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = BPF_REG_2, .src_reg = BPF_REG_6, .off = 8, .imm = 0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .src_reg = 0, .off = 0, .imm = 1},
      {.code = BPF_JMP | BPF_JEQ | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_2, .off = 1, .imm = 0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .src_reg = 0, .off = 0, .imm = 0},
      {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_0, .src_reg = BPF_REG_3, .off = 0, .imm = 0},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0},
  };
  // clang-format on
  return bpf_prog_load(BPF_PROG_TYPE_RAW_TRACEPOINT, "sb_ancestor", "GPL", program, std::size(program),
                       nullptr);
}

}  // namespace

// A node in a namespace of its own can't look above its root, but the kernel tells every program the ids of
// all cgroups that it is in.
std::optional<uint32_t> LevelAbove(uint64_t cgroup_id) {
  const int check = LoadAncestorCheck();
  if (check < 0) return {};
  std::optional<uint32_t> found;
  for (uint32_t level = 0; level < kMostLevels && !found; level++) {
    uint64_t arguments[2] = {level, cgroup_id};
    LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = arguments, .ctx_size_in = sizeof(arguments));
    if (bpf_prog_test_run_opts(check, &run) != 0) break;
    if (run.retval == 1) found = level;
  }
  close(check);
  return found;
}

CgroupPlace LocateCgroup(const std::string& path) {
  CgroupPlace place;
  struct stat info {};
  if (stat(path.c_str(), &info) != 0) {
    place.error = "'" + path + "' can't be read: " + strerror(errno) + ".";
    return place;
  }
  place.id = info.st_ino;
  std::string at = path;
  for (uint64_t id = place.id; id != 1; id = info.st_ino) {
    at += "/..";
    if (IsCgroup2(at) && stat(at.c_str(), &info) == 0) {
      place.level++;
    } else if (const auto level = LevelAbove(place.id)) {
      place.level = *level;
      break;
    } else {
      place.error = "'" + path +
                    "' is in a private view of the cgroup hierarchy that does not hold this collector: mount "
                    "the host's cgroup2 root, or run the collector below that directory.";
      break;
    }
  }
  return place;
}

}  // namespace skybraid

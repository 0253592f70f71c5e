#include "owners.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "cgroup_name.h"
#include "check.h"
#include "rows.h"
#include "safe_text.h"
#include "wall_clock.h"

namespace skybraid {

namespace {

const std::string kId = "3f1a7c9e5b2d4860a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718";
const std::string kOther = "00aa7c9e5b2d4860a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f600ff";
const std::string kUid = "6ebae3b3-27c1-4b6e-9a0f-0d3c5a7e9b11";
const std::string kUnderscored = "6ebae3b3_27c1_4b6e_9a0f_0d3c5a7e9b11";
const std::string kStatic = "0123456789abcdef0123456789abcdef";

struct Recorded {
  const char* layout;
  std::string path;
  std::string pod_uid;
  std::string container_id;
  std::string unit;
};

const Recorded kRecorded[] = {
    {"containerd, systemd driver, burstable",
     "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kUnderscored +
         ".slice/cri-containerd-" + kId + ".scope",
     kUid, kId, ""},
    {"containerd, systemd driver, guaranteed",
     "/kubepods.slice/kubepods-pod" + kUnderscored + ".slice/cri-containerd-" + kId + ".scope", kUid, kId,
     ""},
    {"containerd, cgroupfs driver, best effort", "/kubepods/besteffort/pod" + kUid + "/" + kId, kUid, kId,
     ""},
    {"containerd, cgroupfs driver, guaranteed", "/kubepods/pod" + kUid + "/" + kId, kUid, kId, ""},
    {"containerd with mixed drivers",
     "/system.slice/containerd.service/kubepods-burstable-pod" + kUnderscored +
         ".slice:cri-containerd:" + kId,
     kUid, kId, ""},
    {"CRI-O, systemd driver",
     "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + kUnderscored + ".slice/crio-" +
         kId + ".scope",
     kUid, kId, ""},
    {"CRI-O with a container subgroup",
     "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + kUnderscored + ".slice/crio-" +
         kId + ".scope/container",
     kUid, kId, ""},
    {"CRI-O, cgroupfs driver", "/kubepods/burstable/pod" + kUid + "/crio-" + kId, kUid, kId, ""},
    {"CRI-O's watcher is not the container",
     "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + kUnderscored +
         ".slice/crio-conmon-" + kId + ".scope",
     kUid, "", "crio-conmon-" + kId + ".scope"},
    {"static pod", "/kubepods/burstable/pod" + kStatic + "/" + kId, kStatic, kId, ""},
    {"the pod's own group", "/kubepods/besteffort/pod" + kUid, kUid, "", ""},
    {"Docker, systemd driver", "/system.slice/docker-" + kId + ".scope", "", kId, ""},
    {"Docker, cgroupfs driver", "/docker/" + kId, "", kId, ""},
    {"Docker as the Kubernetes runtime",
     "/kubepods.slice/kubepods-pod" + kUnderscored + ".slice/docker-" + kId + ".scope", kUid, kId, ""},
    {"podman as root", "/machine.slice/libpod-" + kId + ".scope/container", "", kId, ""},
    {"podman of a user",
     "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope/container", "", kId,
     ""},
    {"podman, cgroupfs driver", "/libpod_parent/libpod-" + kId, "", kId, ""},
    {"kind: a pod inside a container",
     "/docker/" + kOther +
         "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/"
         "kubelet-kubepods-burstable-pod" +
         kUnderscored + ".slice/cri-containerd-" + kId + ".scope",
     kUid, kId, ""},
    {"kind: the node's own service", "/docker/" + kOther + "/system.slice/kubelet.service", "", kOther,
     "kubelet.service"},
    {"k3s", "/system.slice/k3s.service/kubepods/burstable/pod" + kUid + "/" + kId, kUid, kId, ""},
    {"a service", "/system.slice/nginx.service", "", "", "nginx.service"},
    {"a service's subgroup", "/system.slice/nginx.service/workers", "", "", "nginx.service"},
    {"an instance of a service", "/system.slice/system-getty.slice/getty@tty1.service", "", "",
     "getty@tty1.service"},
    {"a session", "/user.slice/user-1000.slice/session-3.scope", "", "", "session-3.scope"},
    {"a user's application", "/user.slice/user-0.slice/user@0.service/app.slice/app-foo.scope", "", "",
     "app-foo.scope"},
    {"a slice only", "/user.slice", "", "", ""},
    {"the root", "", "", "", ""},
    {"nothing like it", "/my/own/group", "", "", ""},
    {"an id that is too short", "/docker/3f1a7c9e5b2d", "", "", ""},
    {"an id inside of a longer word", "/x" + kId, "", "", ""},
};

}  // namespace

TEST("cgroup names: the layouts of every runtime") {
  for (const Recorded& r : kRecorded) {
    const CgroupName name = ParseCgroupPath(r.path);
    const bool same = name.pod_uid == r.pod_uid && name.container_id == r.container_id && name.unit == r.unit;
    if (!same)
      fprintf(stderr, "    %s: pod '%s' container '%s' unit '%s'\n", r.layout, name.pod_uid.c_str(),
              name.container_id.c_str(), name.unit.c_str());
    CHECK(same);
  }
}

TEST("safe text: valid text stays as it is") {
  CHECK_EQ(SafeText("nginx: worker", 100), "nginx: worker");
  CHECK_EQ(SafeText("d\xC3\xA9j\xC3\xA0 \xE2\x82\xAC \xF0\x9F\x98\x80", 100),
           "d\xC3\xA9j\xC3\xA0 \xE2\x82\xAC \xF0\x9F\x98\x80");
}

TEST("safe text: what is not text is replaced") {
  const std::string bad = "\xEF\xBF\xBD";
  CHECK_EQ(SafeText("a\nb\x1b[2Jc\x7f", 100), "a" + bad + "b" + bad + "[2Jc" + bad);
  CHECK_EQ(SafeText("\xC0\x80", 100), bad + bad);            // overlong
  CHECK_EQ(SafeText("\xED\xA0\x80", 100), bad + bad + bad);  // surrogate
  CHECK_EQ(SafeText("\xE2\x80\xAE"
                    "abc",
                    100),
           bad + "abc");                                     // right-to-left override
  CHECK_EQ(SafeText("\xF0\x9F\x98", 100), bad + bad + bad);  // cut
  CHECK_EQ(SafeText(std::string_view("a\0b", 3), 100), "a" + bad + "b");
}

TEST("safe text: cut between characters") {
  CHECK_EQ(SafeText("ab\xE2\x82\xAC", 4), "ab");
  CHECK_EQ(SafeText("ab\xE2\x82\xAC", 5), "ab\xE2\x82\xAC");
}

TEST("owners: a process is named by its row, else by what runs under its id") {
  CgroupPaths paths("/nonexistent");
  Owners owners(paths);
  sb_head head = rows::Head(SB_ROW_TCP_READING, 1, 1);
  head.cgroup_id = 0;
  head.tgid = static_cast<uint32_t>(getpid());
  owners.Touch(head, 1);
  CHECK_EQ(std::string(head.comm), "curl");
  memset(head.comm, 0, sizeof head.comm);
  owners.Touch(head, 1);
  std::ifstream own("/proc/self/comm");
  std::string comm;
  std::getline(own, comm);
  CHECK_EQ(std::string(head.comm), comm);
  head.tgid = 0x7FFFFFFF;
  memset(head.comm, 0, sizeof head.comm);
  owners.Touch(head, 1);
  CHECK_EQ(std::string(head.comm), "");
}

TEST("owners: hostile process names are made safe") {
  CgroupPaths paths("/nonexistent");
  Owners owners(paths);
  FlowOwner owner{0, 12, {}};
  memcpy(owner.comm, "a\x1b[31m\xff", 7);
  const std::string expected = std::string("\x2a\x0b") + "a\xEF\xBF\xBD[31m\xEF\xBF\xBD" + "\x30\x0c";
  CHECK_EQ(owners.Resolve(owner, 1).message, expected);
}

TEST("cgroup paths: by id, and remembered after the group is gone") {
  // cgroup2 is at one of these; elsewhere there is nothing to test.
  for (const std::string mount : {"/sys/fs/cgroup/unified", "/sys/fs/cgroup"}) {
    const std::string directory = mount + "/sbnat-test.service";
    if (access((mount + "/cgroup.procs").c_str(), F_OK) != 0 || mkdir(directory.c_str(), 0755) != 0) continue;
    struct stat info {};
    CHECK_EQ(stat(directory.c_str(), &info), 0);
    CgroupPaths paths(directory);
    CHECK_EQ(paths.Path(info.st_ino, 1), "/sbnat-test.service");
    CHECK_EQ(paths.Path(0xFFFFFFFFFFull, 1), "");
    CHECK_EQ(rmdir(directory.c_str()), 0);
    CHECK_EQ(paths.Path(info.st_ino, 2), "/sbnat-test.service");
    CgroupPaths fresh(mount);
    CHECK_EQ(fresh.Path(info.st_ino, 1), "");
    break;
  }
}

TEST("wall clock: follows the clock forward, and slows down instead of going back") {
  constexpr uint64_t kS = 1'000'000'000;
  WallClock clock;
  clock.Measure(10 * kS, 1000 * kS);
  CHECK_EQ(clock.ToUnixNs(12 * kS), 1002 * kS);
  clock.Measure(20 * kS, 1020 * kS);
  CHECK_EQ(clock.ToUnixNs(21 * kS), 1021 * kS);
  CHECK_EQ(clock.ToUnixNs(19 * kS), 1009 * kS);
  clock.Measure(30 * kS, 1020 * kS);  // ten seconds back
  uint64_t last = 0;
  for (uint64_t t = 30 * kS; t <= 60 * kS; t += kS / 10) {
    clock.Measure(t, t + 990 * kS);
    const uint64_t now = clock.ToUnixNs(t);
    CHECK(now >= last);
    CHECK(now >= 1030 * kS);
    last = now;
  }
  CHECK_EQ(last, 1050 * kS);
  clock.Measure(70 * kS, 500 * kS);  // an hour back, say: followed at once
  CHECK_EQ(clock.ToUnixNs(71 * kS), 501 * kS);
}

}  // namespace skybraid

# Debian and Ubuntu packages, sourced by bootstrap.sh: for running, for the demo, and for what only the tests need.

run_packages=(
  clang libbpf-dev libelf-dev zlib1g-dev # kernel programs and their loader
  make g++                               # the native addon
)

demo_packages=(
  nftables iproute2 util-linux               # the lab's networks
  nginx-light redis-server dnsmasq-base curl # the programs of the shop
)

test_packages=(
  "${demo_packages[@]}"
  procps conntrack iputils-ping ethtool tcpdump tshark   # what the kernel counted, what was on the wire
  wrk iperf3 socat netcat-openbsd python3 dnsutils       # more programs under observation
  python3-venv openssl                                   # a consumer of the bus in another language, certificates
  liburing-dev                                           # a client that uses io_uring
  haproxy                                                # a sidecar to compare with
  nghttp2-client                                         # h2load
  postgresql mariadb-server                              # statements of databases
  mosquitto mosquitto-clients                            # a broker of MQTT
  libnghttp2-dev                                         # header blocks of HTTP/2, to compare with
  libclang-rt-dev clang-format protobuf-compiler git     # sanitizers, formats
  qemu-system-x86 busybox-static cpio e2fsprogs xz-utils # other kernels
)

kube_packages=(
  runc etcd-server # the cluster of test/kube; its other programs are built from their Go modules
)

# On Ubuntu bpftool comes with the kernel's tools, and Chromium is no package.
if grep -qs '^ID=ubuntu' /etc/os-release; then
  run_packages+=(linux-tools-common linux-tools-generic)
else
  run_packages+=(bpftool)
  test_packages+=(chromium) # the page
fi

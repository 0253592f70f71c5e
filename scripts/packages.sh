# Debian and Ubuntu packages, sourced by bootstrap.sh. One list for running, one for what only the tests need.

run_packages=(
  clang llvm libbpf-dev libelf-dev zlib1g-dev # kernel programs and their loader
  make g++                                    # the native addon
  procps                                      # sysctl, used while measuring
)

test_packages=(
  nftables conntrack iproute2 iputils-ping ethtool util-linux # the lab's networks
  tcpdump tshark                                              # what was on the wire
  nginx-light wrk iperf3 redis-server curl socat netcat-openbsd python3 # programs under observation
  dnsmasq-base dnsutils                                       # names
  liburing-dev                                                # a client that uses io_uring
  protobuf-compiler clang-format jq git
)

# On Ubuntu bpftool comes with the kernel's tools and has no package of its own name.
if grep -qs '^ID=ubuntu' /etc/os-release; then
  run_packages+=(linux-tools-common linux-tools-generic)
else
  run_packages+=(bpftool)
fi

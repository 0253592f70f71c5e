# Debian and Ubuntu packages, sourced by bootstrap.sh. One list for running, one for
# the demo, one for what only the tests need.

run_packages=(
  clang llvm libbpf-dev libelf-dev zlib1g-dev # kernel programs and their loader
  make g++                                    # the native addon
  procps                                      # sysctl, used while measuring
)

demo_packages=(
  nftables iproute2 util-linux               # the lab's networks
  nginx-light redis-server dnsmasq-base curl # the programs of the shop
)

test_packages=(
  "${demo_packages[@]}"
  conntrack iputils-ping ethtool tcpdump tshark       # what was on the wire
  wrk iperf3 socat netcat-openbsd python3 dnsutils    # more programs under observation
  liburing-dev                                        # a client that uses io_uring
  protobuf-compiler clang-format jq git
)

# On Ubuntu bpftool comes with the kernel's tools and has no package of its own name.
if grep -qs '^ID=ubuntu' /etc/os-release; then
  run_packages+=(linux-tools-common linux-tools-generic)
else
  run_packages+=(bpftool)
fi

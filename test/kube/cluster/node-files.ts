import { mkdir, writeFile } from 'node:fs/promises'
import {
  dnsServiceAddress,
  type NodeName,
  nodeDirectory,
  pkiDirectory,
  podRange,
  registry,
  staticPodDirectory,
} from './names.ts'

/** Writes what containerd, the kubelet, the proxy and the network plugins of a node read. */
export async function writeNodeFiles(node: NodeName, cniPrograms: string, runc: string): Promise<void> {
  const folder = nodeDirectory(node)
  await mkdir(`${folder}/cni`, { recursive: true })
  await mkdir(staticPodDirectory(node), { recursive: true })
  await Promise.all([
    writeFile(`${folder}/containerd.toml`, containerdFile(cniPrograms, runc)),
    writeFile(`${folder}/cni/10-skykube.conflist`, cniFile(node)),
    writeFile(`${folder}/kubelet.yaml`, kubeletFile(node)),
    writeFile(`${folder}/kube-proxy.yaml`, proxyFile(node)),
    // names outside the cluster lead nowhere
    writeFile(`${folder}/resolv.conf`, 'nameserver 127.0.0.53\n'),
  ])
}

// restrict_oom_score_adj: without CAP_SYS_RESOURCE, which many virtual machines lack, runc may not lower the score
const containerdFile = (cniPrograms: string, runc: string) => `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${registry}/pause:1"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["${cniPrograms}"]
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.cri.v1.runtime".containerd]
    default_runtime_name = "runc"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
        BinaryName = "${runc}"
        SystemdCgroup = false
`

// ptp, not a bridge: traffic to a service that stays on its node then needs no br_netfilter
const cniFile = (node: NodeName) =>
  JSON.stringify({
    cniVersion: '1.0.0',
    name: 'skykube',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false,
        ipam: {
          type: 'host-local',
          dataDir: '/run/cni-ipam',
          ranges: [[{ subnet: node.podRange }]],
          routes: [{ dst: '0.0.0.0/0' }],
        },
      },
      { type: 'portmap', capabilities: { portMappings: true } },
    ],
  })

const kubeletFile = (node: NodeName) => `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
address: ${node.address}
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: ${pkiDirectory}/ca.crt}}
authorization: {mode: Webhook}
clusterDomain: cluster.local
clusterDNS: [${dnsServiceAddress}]
resolvConf: ${nodeDirectory(node)}/resolv.conf
failSwapOn: false
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}
volumePluginDir: /var/lib/kubelet/volume-plugins
staticPodPath: ${staticPodDirectory(node)}
fileCheckFrequency: 1s
`

// zeros: the machine's own settings of conntrack stay as they are
const proxyFile = (node: NodeName) => `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
hostnameOverride: ${node.name}
clusterCIDR: ${podRange}
clientConnection: {kubeconfig: ${pkiDirectory}/proxy.kubeconfig}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`

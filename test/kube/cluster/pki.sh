#!/usr/bin/env bash
# Certificates and kubeconfigs of the cluster: pki.sh FOLDER API_SERVER_ADDRESS SERVICE_ADDRESS NODE...
# What is there already stays. Elliptic keys throughout: they are made in no time.
set -euo pipefail
folder=$1 address=$2 service=$3
shift 3
mkdir -p "$folder"
cd "$folder"

key() { openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"; }

certificate() { # NAME SUBJECT [ALTERNATIVE_NAMES]
  key "$1"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  printf 'keyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth,serverAuth\n%s\n' \
    "${3:+subjectAltName=$3}" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 3650 -out "$1.crt" -extfile "$1.ext" 2>/dev/null
  rm "$1.csr" "$1.ext"
}

kubeconfig() { # NAME
  (umask 077 && cat >"$1.kubeconfig") <<EOF
apiVersion: v1
kind: Config
clusters: [{name: skykube, cluster: {server: "https://$address:6443", certificate-authority-data: $(base64 -w0 ca.crt)}}]
users: [{name: $1, user: {client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key")}}]
contexts: [{name: skykube, context: {cluster: skykube, user: $1}}]
current-context: skykube
EOF
}

[[ -f complete ]] && exit 0
key ca
openssl req -x509 -new -key ca.key -subj /CN=skykube-ca -days 3650 -out ca.crt \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign,digitalSignature
key sa
openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null
names=DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local
certificate apiserver /CN=kube-apiserver "IP:$address,IP:$service,IP:127.0.0.1,DNS:localhost,$names"
certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
certificate admin /O=system:masters/CN=admin
certificate controllers /CN=system:kube-controller-manager
certificate scheduler /CN=system:kube-scheduler
certificate proxy /CN=system:kube-proxy
for name in admin controllers scheduler proxy; do kubeconfig "$name"; done
for node in "$@"; do
  certificate "$node" "/O=system:nodes/CN=system:node:$node"
  kubeconfig "$node"
done
touch complete

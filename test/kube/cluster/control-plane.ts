import { writeFile } from 'node:fs/promises'
import { addEverywhere, readHierarchies } from './hierarchies.ts'
import {
  controlPlane,
  controlPlaneAddress,
  controlPlaneDirectory,
  netnsPath,
  pkiDirectory,
  serviceRange,
} from './names.ts'
import { startServer } from './process-of.ts'
import type { Programs } from './programs.ts'

export type ControlPlaneServer = 'etcd' | 'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler'

export const pidFileOf = (server: ControlPlaneServer) => `${controlPlaneDirectory}/${server}.pid`
export const logOf = (server: ControlPlaneServer) => `${controlPlaneDirectory}/${server}.log`

/** What the API server was asked by the programs under test, one JSON object a line. */
export const auditLog = `${controlPlaneDirectory}/audit.log`
const auditPolicyFile = `${controlPlaneDirectory}/audit-policy.json`

const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  omitStages: ['RequestReceived', 'ResponseStarted'],
  rules: [{ level: 'Metadata', userGroups: ['system:serviceaccounts:skybraid'] }, { level: 'None' }],
}

/** Starts one of them unless it runs. */
export async function startControlPlaneServer(programs: Programs, server: ControlPlaneServer): Promise<void> {
  if (server === 'kube-apiserver') await writeFile(auditPolicyFile, JSON.stringify(auditPolicy))
  const program = server === 'etcd' ? programs.etcd : `${programs.kubernetes}/${server}`
  await startServer({
    argv: ['nsenter', `--net=${netnsPath(controlPlane)}`, '--', program, ...flags[server]],
    cgroups: await addEverywhere(await readHierarchies(), controlPlane),
    log: logOf(server),
    pidFile: pidFileOf(server),
  })
}

const kubeconfig = (name: string) =>
  ['kubeconfig', 'authentication-kubeconfig', 'authorization-kubeconfig'].map(
    flag => `--${flag}=${pkiDirectory}/${name}.kubeconfig`,
  )

const flags: Record<ControlPlaneServer, readonly string[]> = {
  etcd: [
    `--data-dir=${controlPlaneDirectory}/etcd`,
    '--listen-client-urls=http://127.0.0.1:2379',
    '--advertise-client-urls=http://127.0.0.1:2379',
    '--listen-peer-urls=http://127.0.0.1:2380',
    '--log-level=warn',
  ],
  'kube-apiserver': [
    '--etcd-servers=http://127.0.0.1:2379',
    `--advertise-address=${controlPlaneAddress}`,
    '--secure-port=6443',
    `--client-ca-file=${pkiDirectory}/ca.crt`,
    `--tls-cert-file=${pkiDirectory}/apiserver.crt`,
    `--tls-private-key-file=${pkiDirectory}/apiserver.key`,
    `--kubelet-client-certificate=${pkiDirectory}/kubelet-client.crt`,
    `--kubelet-client-key=${pkiDirectory}/kubelet-client.key`,
    '--kubelet-preferred-address-types=InternalIP',
    '--service-account-issuer=https://kubernetes.default.svc.cluster.local',
    `--service-account-key-file=${pkiDirectory}/sa.pub`,
    `--service-account-signing-key-file=${pkiDirectory}/sa.key`,
    `--service-cluster-ip-range=${serviceRange}`,
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--allow-privileged=true',
    `--audit-policy-file=${auditPolicyFile}`,
    `--audit-log-path=${auditLog}`,
  ],
  'kube-controller-manager': [
    ...kubeconfig('controllers'),
    `--root-ca-file=${pkiDirectory}/ca.crt`,
    `--service-account-private-key-file=${pkiDirectory}/sa.key`,
    `--cluster-signing-cert-file=${pkiDirectory}/ca.crt`,
    `--cluster-signing-key-file=${pkiDirectory}/ca.key`,
    '--use-service-account-credentials',
    // with the default rate it needs five seconds to make its own tokens, and pods are refused until then
    '--kube-api-qps=200',
    '--kube-api-burst=400',
    '--leader-elect=false',
    '--bind-address=127.0.0.1',
    `--flex-volume-plugin-dir=${controlPlaneDirectory}/volume-plugins`,
  ],
  'kube-scheduler': [...kubeconfig('scheduler'), '--leader-elect=false', '--bind-address=127.0.0.1'],
}

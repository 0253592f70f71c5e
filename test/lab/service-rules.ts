import { type LabSpec, podAddresses, type ServiceSpec, serviceAddresses } from './spec.ts'

/**
 * The rules kube-proxy would write, as one nft script that replaces its table: the service's address to a random
 * endpoint, node ports on every node, masquerade where asked for, for node ports, and for a pod that reaches itself.
 */
const table = 'skybraid_services'
const masqueradeMark = '0x4000'

export function serviceRules(spec: LabSpec): string {
  const lines = [`table inet ${table}`, `delete table inet ${table}`, `table inet ${table} {`]
  for (const service of spec.services) lines.push(...serviceChains(spec, service))
  lines.push('chain dispatch {', ...spec.services.flatMap(s => dispatch(s)), '}')
  lines.push('chain before_routing {', 'type nat hook prerouting priority dstnat;', 'jump dispatch', '}')
  lines.push('chain local_output {', 'type nat hook output priority -100;', 'jump dispatch', '}')
  lines.push('chain after_routing {', 'type nat hook postrouting priority srcnat;')
  lines.push(`meta mark & ${masqueradeMark} == ${masqueradeMark} masquerade fully-random`, '}')
  const empty = spec.services.filter(s => s.endpoints.length === 0)
  for (const [name, hook] of [
    ['refuse_forwarded', 'forward'],
    ['refuse_local', 'output'],
  ])
    lines.push(`chain ${name} {`, `type filter hook ${hook} priority filter;`, ...empty.flatMap(refuse), '}')
  lines.push('}')
  return `${lines.join('\n')}\n`
}

const mark = `meta mark set meta mark or ${masqueradeMark}`

function serviceChains(spec: LabSpec, service: ServiceSpec): string[] {
  const lines: string[] = []
  const count = service.endpoints.length
  if (count === 0) return lines
  service.endpoints.forEach((name, i) => {
    const pod = spec.pods.find(p => p.name === name)
    if (!pod) throw new Error(`service ${service.name}: no pod "${name}"`)
    const { v4, v6 } = podAddresses(spec, pod)
    lines.push(`chain endpoint_${chainName(service)}_${i} {`)
    lines.push(`ip saddr ${v4} ${mark}`, `ip6 saddr ${v6} ${mark}`)
    const match = `meta l4proto ${service.protocol}`
    lines.push(`meta nfproto ipv4 ${match} dnat ip to ${v4}:${service.targetPort}`)
    lines.push(`meta nfproto ipv6 ${match} dnat ip6 to [${v6}]:${service.targetPort}`, '}')
  })
  const targets = service.endpoints.map((_, i) => `${i} : goto endpoint_${chainName(service)}_${i}`)
  lines.push(`chain service_${chainName(service)} {`)
  if (service.masquerade) lines.push(mark)
  lines.push(`numgen random mod ${count} vmap { ${targets.join(', ')} }`, '}')
  return lines
}

function dispatch(service: ServiceSpec): string[] {
  if (service.endpoints.length === 0) return []
  const { v4, v6 } = serviceAddresses(service)
  const port = `${service.protocol} dport`
  const to = `jump service_${chainName(service)}`
  const lines = [
    `ip daddr ${v4} ${port} ${service.port} ${to}`,
    `ip6 daddr ${v6} ${port} ${service.port} ${to}`,
  ]
  if (service.nodePort !== undefined) {
    const here = `${port} ${service.nodePort} fib daddr type local`
    lines.push(`${here} ${mark}`, `${here} ${to}`)
  }
  return lines
}

function refuse(service: ServiceSpec): string[] {
  const { v4, v6 } = serviceAddresses(service)
  const rest = `${service.protocol} dport ${service.port} reject with icmpx type port-unreachable`
  return [`ip daddr ${v4} ${rest}`, `ip6 daddr ${v6} ${rest}`]
}

const chainName = (service: ServiceSpec) => service.name.replaceAll(/[^a-z0-9]/g, '_')

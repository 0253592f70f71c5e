import { parseArgs } from 'node:util'
import { cgroupProcesses } from './cgroups.ts'
import { Lab } from './lab.ts'
import { netnsPrefix } from './names.ts'
import { namespacesWith } from './namespaces.ts'
import { serviceAddresses } from './spec.ts'

const help = `A cluster of network namespaces and cgroups on this machine.

  npm run lab -- up [--nodes N] [--pods M] [--driver systemd|cgroupfs]   make it (2 nodes with 3 pods each)
  npm run lab -- service NAME PORT[:TARGET] POD…   a service address in front of pods [--udp] [--node-port P]
  npm run lab -- exec POD -- CMD…                  run a program in a pod, on a node (a, b, …) or "outside"
  npm run lab -- status                            what is there
  npm run lab -- down                              remove everything

  --id ID   name of the lab (default "lab"); several can be up at once
  --json    print JSON
  --help    this text
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    id: { type: 'string', default: 'lab' },
    nodes: { type: 'string', default: '2' },
    pods: { type: 'string', default: '3' },
    driver: { type: 'string', default: 'systemd' },
    'node-port': { type: 'string' },
    udp: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

async function describe(lab: Lab) {
  const { spec } = lab
  const nodes = await Promise.all(
    spec.nodes.map(async n => ({
      name: n.name,
      ...lab.addresses(n.name),
      netns: lab.netns(n.name),
      cgroup: await lab.nodeCgroup(n.name),
      cgroupDriver: n.cgroupDriver,
    })),
  )
  const pods = await Promise.all(
    spec.pods.map(async p => ({
      name: p.name,
      node: p.node,
      ...lab.addresses(p.name),
      uid: p.uid,
      containerId: p.containerId,
      netns: lab.netns(p.name),
      cgroup: await lab.cgroup(p.name),
      processes: await cgroupProcesses(await lab.cgroup(p.name)),
    })),
  )
  const services = spec.services.map(s => ({ ...s, ...serviceAddresses(s) }))
  return { id: lab.id, up: true, nodes, pods, services }
}

function printStatus(status: Awaited<ReturnType<typeof describe>>): void {
  if (values.json) {
    console.log(JSON.stringify(status))
    return
  }
  console.log(`lab "${status.id}"`)
  for (const n of status.nodes) {
    console.log(`node ${n.name}  ${n.v4}  ${n.v6}  ${n.cgroup}`)
    for (const p of status.pods.filter(x => x.node === n.name))
      console.log(`  pod ${p.name}  ${p.v4}  ${p.v6}  ${p.processes.length} processes`)
  }
  for (const s of status.services)
    console.log(`service ${s.name}  ${s.v4}:${s.port}/${s.protocol}  → ${s.endpoints.join(' ')}`)
}

const count = (name: 'nodes' | 'pods') => {
  const number = Number(values[name])
  if (!Number.isInteger(number)) throw new Error(`--${name} ${values[name]}: not a whole number`)
  return number
}

async function up(): Promise<void> {
  if (values.driver !== 'systemd' && values.driver !== 'cgroupfs')
    throw new Error(`--driver ${values.driver}: systemd or cgroupfs`)
  const lab = await Lab.up({
    id: values.id,
    nodes: count('nodes'),
    pods: count('pods'),
    cgroupDriver: values.driver,
    keep: true,
  })
  printStatus(await describe(lab))
}

async function addService(): Promise<void> {
  const [, name, ports, ...endpoints] = positionals
  const [port, target] = (ports ?? '').split(':').map(Number)
  if (!name || !port) throw new Error('service NAME PORT[:TARGET] POD…')
  const lab = await Lab.attach(values.id)
  const nodePort = values['node-port']
  await lab.service(name, {
    port,
    targetPort: target ?? port,
    endpoints,
    protocol: values.udp ? 'udp' : 'tcp',
    ...(nodePort === undefined ? {} : { nodePort: Number(nodePort) }),
  })
  printStatus(await describe(lab))
}

async function exec(): Promise<number> {
  const [, target, ...argv] = positionals
  if (!target || argv.length === 0) throw new Error('exec POD -- CMD…')
  const lab = await Lab.attach(values.id)
  const end = await lab.exec(target, argv, { stdio: 'inherit', allowFailure: true })
  return end.code ?? 128
}

async function status(): Promise<void> {
  if ((await namespacesWith(netnsPrefix(values.id))).length > 0)
    return printStatus(await describe(await Lab.attach(values.id)))
  console.log(values.json ? JSON.stringify({ id: values.id, up: false }) : `lab "${values.id}" is not up`)
}

async function down(): Promise<void> {
  await Lab.remove(values.id)
  if (values.json) console.log(JSON.stringify({ id: values.id, up: false }))
}

async function main(): Promise<number> {
  const command = positionals[0]
  if (values.help || command === undefined) {
    console.log(help)
    return values.help ? 0 : 2
  }
  if (process.getuid?.() !== 0)
    throw new Error('the lab makes network namespaces and cgroups: run it as root')
  if (command === 'up') await up()
  else if (command === 'service') await addService()
  else if (command === 'exec') return exec()
  else if (command === 'status') await status()
  else if (command === 'down') await down()
  else throw new Error(`unknown command "${command}": up, service, exec, status or down`)
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`lab: ${(error as Error).message.trim()}`)
  process.exitCode = 1
}

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { Cluster } from './cluster/cluster.ts'
import { adminKubeconfig, nodeNamed } from './cluster/names.ts'
import { onNode } from './cluster/node.ts'
import { ensurePrograms, whyNoCluster } from './cluster/programs.ts'
import { stageImages } from './images/stage-images.ts'

const help = `A real Kubernetes of two nodes on this machine, without Docker, systemd or a registry.

  npm run kube -- build              build its programs, some ten minutes the first time
  npm run kube -- up                 start it (builds first what is missing)
  npm run kube -- exec [--node NAME] -- CMD…   run a program that sees the cluster, for example
                                       exec -- kubectl get pods -A
                                     with --node: on that node, with its network and mounts
  npm run kube -- load ARCHIVE…      import images into both nodes
  npm run kube -- status             what runs
  npm run kube -- down               end and remove everything

  --json    print JSON
  --help    this text
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    node: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const tell = (line: string) => console.error(line)

async function up(): Promise<void> {
  const images = await stageImages(await ensurePrograms())
  const cluster = await Cluster.up({ images, tell })
  printStatus(await cluster.status())
}

function printStatus(status: Awaited<ReturnType<Cluster['status']>>): void {
  if (values.json) {
    console.log(JSON.stringify(status))
    return
  }
  for (const { name, running } of status.controlPlane)
    console.log(`${name}  ${running ? 'runs' : 'does not run'}`)
  for (const { name, address, podRange, running, ready } of status.nodes)
    console.log(`node ${name}  ${address}  pods ${podRange}  ${running ? `Ready=${ready}` : 'does not run'}`)
  console.log(`kubeconfig ${status.kubeconfig}`)
}

async function status(): Promise<void> {
  if (existsSync(adminKubeconfig)) return printStatus(await (await Cluster.attach()).status())
  console.log(values.json ? JSON.stringify({ up: false }) : 'the cluster is not up')
}

async function exec(argv: readonly string[]): Promise<number> {
  if (argv.length === 0) throw new Error('exec [--node NAME] -- CMD…')
  const cluster = await Cluster.attach()
  const [program, ...args] =
    values.node === undefined
      ? cluster.command(...(argv as [string, ...string[]]))
      : [...(await onNode(nodeNamed(values.node))), ...argv]
  const child = spawn(program!, args, { stdio: 'inherit', env: { ...process.env, ...cluster.env } })
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  child.once('error', reject)
  child.once('close', code => resolve(code ?? 128))
  return promise
}

async function main(): Promise<number> {
  const [command, ...rest] = positionals
  if (values.help || command === undefined) {
    console.log(help)
    return values.help ? 0 : 2
  }
  if (command === 'build') {
    const programs = await ensurePrograms()
    await stageImages(programs)
    if (values.json) console.log(JSON.stringify(programs))
    return 0
  }
  if (process.getuid?.() !== 0) throw new Error(whyNoCluster())
  if (command === 'up') await up()
  else if (command === 'exec') return exec(rest)
  else if (command === 'load') await (await Cluster.attach()).load(rest)
  else if (command === 'status') await status()
  else if (command === 'down') {
    await Cluster.down()
    if (values.json) console.log(JSON.stringify({ up: false }))
  } else throw new Error(`unknown command "${command}": build, up, exec, load, status or down`)
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`kube: ${(error as Error).message.trim()}`)
  process.exitCode = 1
}

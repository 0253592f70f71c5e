import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { until } from '../../lab/until.ts'
import { nodes } from '../cluster/names.ts'
import { expectCountedOnce } from '../edge-truth.ts'
import type { Installation } from '../installation.ts'
import { withPoliciesEnforced } from '../pods/enforce-policies.ts'
import { killPrograms } from '../pods/kill-programs.ts'
import { peerOf } from '../pods/peers.ts'
import { collectorOf, nextStart } from './restarts.ts'

const program = readFileSync(new URL('../pods/publish.mjs', import.meta.url), 'utf8')
const server = 'tls://skybraid-nats.skybraid.svc:4222'
const port = 8094
const subjectOf = (node: string) => `skybraid.v1.kubernetes.flow.0.${node}`

interface Pods {
  readonly items: readonly { readonly metadata: { readonly name: string } }[]
}

/** What the bus says to the collector's pod of a node that publishes to some subjects. */
async function publishFrom({ cluster }: Installation, node: string, subjects: readonly string[]) {
  const space = ['-n', 'skybraid-collectors']
  const { items } = await cluster.get<Pods>('pods', ...space, '--field-selector', `spec.nodeName=${node}`)
  const [pod] = items
  const command = [
    'node',
    '--max-semi-space-size=1',
    '--input-type=module',
    '-e',
    program,
    'publish',
    server,
    ...subjects,
  ]
  return JSON.parse(await cluster.kubectl(...space, 'exec', pod!.metadata.name, '--', ...command)) as string[]
}

async function secrets({ cluster }: Installation) {
  const read = async (name: string) =>
    (await cluster.get<{ data: object }>('secret', '-n', 'skybraid', name)).data
  return Promise.all(['skybraid-nats', 'skybraid-api-token'].map(read))
}

/** Upgraded so that each collector has a login of its own, by the token of its pod; and then rolled back. */
export function upgrade(
  installed: () => Installation,
  values: readonly string[],
  waits: readonly string[],
): void {
  let before: Awaited<ReturnType<typeof secrets>>

  const upgradeWith = (...changed: string[]) =>
    installed().helm('upgrade', ...values, ...changed.flatMap(value => ['--set', value]), ...waits)

  it('counts every connection once while it is upgraded and rolled back', async () => {
    const installation = installed()
    const [client, server] = await Promise.all(
      ['client', 'server'].map(app => peerOf(installation.cluster, app)),
    )
    await client!.start({ name: 'upgrade', host: server!.address, port, every: 20 })
    await upgradeWith('collector.config.log-level=debug', 'aggregator.config.log-level=debug')
    await installation.helm('rollback', ...waits)
    const { opened } = await client!.stop('upgrade')
    expect(opened).toBeGreaterThan(200)
    await expectCountedOnce(installation, port, opened)
  })

  it('is upgraded to collectors with two capabilities and a login each: one may publish as its own node, and as no other', async () => {
    const installation = installed()
    before = await secrets(installation)
    await upgradeWith('global.bus.perNodeIdentity=true', 'collector.capabilities.netAdmin=false')
    await until(
      'every collector reports with a login of its own',
      async () => {
        const status = await installation.status().catch(() => undefined)
        return status?.ingest.nodes.filter(node => node.reporting).length === nodes.length
      },
      { timeoutMs: 60_000, everyMs: 500 },
    )
    for (const { name } of nodes) {
      const said = await publishFrom(
        installation,
        name,
        nodes.map(node => subjectOf(node.name)),
      )
      for (const [i, node] of nodes.entries()) {
        const refused = `-ERR 'Permissions Violation for Publish to "${subjectOf(node.name)}"'`
        expect(said[i], `${name} as ${node.name}`).toBe(node.name === name ? 'allowed' : refused)
      }
    }
    await installation.helm('test', '--timeout', '120s')
  })

  it('lets a collector in by its token where the policies are enforced', async () => {
    const installation = installed()
    const [node] = nodes
    await withPoliciesEnforced(installation.cluster, async () => {
      const collector = await collectorOf(installation, node!.name)
      await killPrograms(installation, 'skybraid', '', 'app.kubernetes.io/component=bus-auth')
      await killPrograms(installation, 'skybraid-collectors', `spec.nodeName=${node!.name}`)
      await nextStart(installation, collector!)
    })
  })

  it('is rolled back, and has kept its logins', async () => {
    const installation = installed()
    await installation.helm('rollback', ...waits)
    expect(await secrets(installation)).toEqual(before)
    await installation.helm('test', '--timeout', '120s')
  })
}

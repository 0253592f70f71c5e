import { expect, it } from 'vitest'
import { nodes } from '../cluster/names.ts'
import { bothEnds, expectEdges, type TrueEdge, workload } from '../edge-truth.ts'
import type { Installation } from '../installation.ts'
import { namespace, type Peer, peerOf, podOf } from '../pods/peers.ts'
import { dialPodsAtTheSameAddresses, giveNext } from '../same-addresses.ts'

const node = nodes[0]!.name
const ports = { open: 8086, closed: 8087 }
const rounds = 2

/** Dials that are answered, and ones that are refused: of those only the address says whom they meant. */
async function dialBoth(client: Peer, name: string, host: string, counts: readonly [number, number]) {
  const source = workload('client')
  const target = workload(name, 'Pod')
  const answered = await client.run({ host, port: ports.open, count: counts[0] })
  expect(answered.answeredBy).toEqual({ [name]: counts[0] })
  const opened: TrueEdge = bothEnds({ source, target, port: ports.open }, answered)
  return {
    opened,
    async refused(): Promise<TrueEdge> {
      const { failed } = await client.run({ host, port: ports.closed, count: counts[1] })
      expect(failed).toEqual({ ECONNREFUSED: counts[1] })
      const none = { sent: 0, received: 0 }
      return {
        source,
        target,
        port: ports.closed,
        observed: 'client',
        opened: 0,
        refused: counts[1],
        client: none,
      }
    },
  }
}

/** A pod's address is another pod's seconds later. */
export function addressReuse(installed: () => Installation): void {
  it('names an address by the pod that had it at the time', async () => {
    const installation = installed()
    const { cluster } = installation
    const isMeant = (edge: { port: number }) => edge.port === ports.open || edge.port === ports.closed
    const client = await peerOf(cluster, 'client')
    const expected: TrueEdge[] = []

    async function live(name: string, counts: readonly [number, number]): Promise<string> {
      await cluster.apply([podOf({ name, node, listen: [ports.open] })])
      const { address } = await peerOf(cluster, name)
      const dialled = await dialBoth(client, name, address, counts)
      expected.push(dialled.opened)
      await expectEdges(installation, isMeant, expected)
      expected.push(await dialled.refused())
      await expectEdges(installation, isMeant, expected)
      return address
    }

    const address = await live('before', [5, 4])
    await cluster.kubectl('-n', namespace, 'delete', 'pod', 'before')
    await giveNext(installation, node, address)
    expect(await live('after', [7, 6])).toBe(address)
    await cluster.kubectl('-n', namespace, 'delete', 'pod', 'after')
    // both are gone, and each is still called what it was
    await expectEdges(installation, isMeant, expected)
  })

  it('calls none of the pods that have the same addresses by the name of another', async () => {
    const client = await peerOf(installed().cluster, 'client')
    const { pods, addresses, named, wrong } = await dialPodsAtTheSameAddresses(installed(), client, rounds)
    console.log(`${pods} pods at ${addresses} addresses: ${named} named, ${wrong.length} wrong`)
    expect(wrong).toEqual([])
    expect(named).toBeGreaterThan(0.8 * pods)
  })
}

import { execFile, execFileSync } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { TopologyEdge } from '../../packages/aggregator/src/topology/answer.ts'

const run = promisify(execFile)
const boot = new URL('./boot.sh', import.meta.url).pathname

function missingTool(): string | undefined {
  for (const tool of ['qemu-system-x86_64', 'busybox', 'cpio', 'mkfs.ext4', 'apt-get']) {
    try {
      execFileSync('sh', ['-c', `PATH=$PATH:/sbin:/usr/sbin command -v ${tool}`])
    } catch {
      return tool
    }
  }
  return undefined
}

/** What the emulated machine printed between `@@name` and the next marker. */
function section(output: string, name: string): string {
  const start = output.indexOf(`@@${name}`)
  if (start < 0) throw new Error(`the emulated machine printed no ${name}:\n${output.slice(-3000)}`)
  return output.slice(start + name.length + 2, output.indexOf('@@', start + 2)).trim()
}

const absent = missingTool()

describe.skipIf(absent)(`on other kernels${absent ? ` (${absent} is not installed)` : ''}`, () => {
  it.each(['6.1', '6.12'])('counts both ends exactly on %s', { timeout: 450_000 }, async series => {
    const { stdout } = await run('bash', [boot, series], { maxBuffer: 64 << 20 })
    expect(stdout).toContain(`kernel ${series}.`)
    const truth = JSON.parse(section(stdout, 'truth'))
    const { edges } = JSON.parse(section(stdout, 'edges')) as { edges: TopologyEdge[] }
    const served = edges.filter(edge => edge.port === 8080)
    expect(served.map(edge => edge.observed)).toEqual(['both'])
    const { client, server, ...tcp } = served[0]!.tcp!
    expect({ opened: tcp.openedJoined, sent: client?.bytesSent, received: client?.bytesReceived }).toEqual({
      opened: truth.opened,
      sent: truth.sent,
      received: truth.received,
    })
    expect([server?.opened, server?.bytesReceived, server?.bytesSent]).toEqual([
      truth.opened,
      truth.sent,
      truth.received,
    ])
    // what was said, too, where this kernel's program check takes the programs that read it
    expect(section(stdout, 'product')).toMatch(/hooks attached: .*application protocols/)
    for (const view of [served[0]!.http?.client, served[0]!.http?.server])
      expect(view).toMatchObject({ requests: truth.opened, errors: 0, statuses: { 201: truth.opened } })
    const refused = edges.filter(edge => edge.port === 9).map(edge => edge.tcp?.failures.refused)
    expect(refused).toEqual([truth.refused])
    expect(section(stdout, 'product')).toContain('exit code 0')
  })

  it('says that a locked-down kernel lets nobody look, and ends', { timeout: 450_000 }, async () => {
    const { stdout } = await run('bash', [boot, '6.1', 'lockdown=confidentiality'], { maxBuffer: 64 << 20 })
    const product = section(stdout, 'product')
    expect(product).toContain('exit code 3')
    expect(product).toContain('The kernel is locked down (confidentiality)')
    expect(product).not.toMatch(/^ +at /m)
  })
})

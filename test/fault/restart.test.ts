import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { build, Net, Stage, whyNot } from '../../bpf/tests/stage.ts'
import { type Aggregator, startAggregator } from '../../packages/aggregator/src/aggregator.ts'
import { aggregatorConfigSchema } from '../../packages/aggregator/src/config.ts'
import { createConsole } from '../../packages/cli/src/console.ts'
import { createInProcessBus, loadConfig } from '../../packages/shared/src/index.ts'
import { until } from '../lab/until.ts'

const skip = whyNot()
const program = new URL('collector-program.ts', import.meta.url).pathname

interface Said {
  readonly ready?: string
  readonly id?: number
  readonly node: string
  readonly partition: number
  readonly data: string
}

interface Node {
  readonly bootId: string
  readonly uncleanRestart: boolean
  readonly reporting: boolean
  readonly identity: { readonly records: { readonly inFlight: number; readonly holds: boolean } }
}

describe.skipIf(skip !== undefined)('a collector that starts again', () => {
  const bus = createInProcessBus()
  let stage: Stage
  let aggregator: Aggregator
  let running: ChildProcess | undefined

  beforeAll(() => build())
  beforeEach(async () => {
    stage = new Stage()
    const loaded = loadConfig(aggregatorConfigSchema, { args: ['--listen', '127.0.0.1:0'], env: {} })
    if (!loaded.ok) throw new Error(loaded.errors.join(' '))
    aggregator = await startAggregator({
      config: loaded.config,
      bus,
      log: createConsole({ write: () => true }, 'error').log,
      version: '0',
    })
  })
  afterEach(async () => {
    if (running?.exitCode === null && running.signalCode === null) {
      running.kill('SIGKILL')
      await once(running, 'close')
    }
    await aggregator.close()
    await stage.close()
  })

  /** Starts a collector process and answers its boot id once it is attached. */
  const start = async (): Promise<string> => {
    const child = fork(program, [stage.cgroup], { execArgv: ['--conditions=source'] })
    running = child
    let bootId: string | undefined
    child.on('message', (said: Said) => {
      if (said.ready !== undefined) bootId = said.ready
      if (said.id === undefined) return
      const { id, node, partition } = said
      const message = { node, partition, data: new Uint8Array(Buffer.from(said.data, 'base64')) }
      void bus.publish(message).then(() => {
        if (child.connected) child.send({ taken: id })
      })
    })
    return until('the collector', () => {
      if (child.exitCode !== null) throw new Error(`the collector ended with ${child.exitCode}`)
      return bootId
    })
  }

  const stop = async () => {
    running?.send({ stop: true })
    const [code] = await once(running!, 'close')
    expect(code).toBe(0)
  }

  const kill = async () => {
    running?.kill('SIGKILL')
    await once(running!, 'close')
  }

  const node = async (): Promise<Node | undefined> => {
    const answer = await fetch(`http://127.0.0.1:${aggregator.address.port}/status`)
    return ((await answer.json()) as { ingest: { nodes: Node[] } }).ingest.nodes[0]
  }

  const traffic = async () => {
    const server = stage.peer('server')
    await server.run('tcp l 4', `bind l ${Net.server} 7411`, 'listen l 128')
    const echoed = server.ask('echo l 20')
    await stage.peer('client').run(`burst ${Net.server} 7411 20 10`)
    await echoed
    await server.end()
  }

  const heard = (bootId: string) =>
    until('its batches', async () => {
      const found = await node()
      return found?.bootId === bootId ? found : undefined
    })

  it('is clean after a stop and unclean after kill -9, as /status says', async () => {
    const first = await start()
    await traffic()
    expect(await heard(first)).toMatchObject({ uncleanRestart: false })
    await stop()
    expect(await node()).toMatchObject({
      bootId: first,
      identity: { records: { inFlight: 0, holds: true } },
    })
    const second = await start()
    await traffic()
    expect(await heard(second)).toMatchObject({ uncleanRestart: false })
    await kill()
    const third = await start()
    await traffic()
    expect(await heard(third)).toMatchObject({ uncleanRestart: true })
    await stop()
    const fourth = await start()
    await traffic()
    expect(await heard(fourth)).toMatchObject({ uncleanRestart: false })
    await stop()
  })
})

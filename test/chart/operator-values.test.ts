import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { helm, type Manifest, named, podSpecs, rendered } from './rendered-chart.ts'

const workloads = [
  ['DaemonSet', 'collector'],
  ['StatefulSet', 'aggregator'],
  ['StatefulSet', 'nats'],
] as const

/** What an operator says about pods, the same for each program. */
const wishes = {
  image: { registry: 'mirror.example', tag: '9' },
  nodeSelector: { pool: 'infra' },
  tolerations: [{ key: 'infra', operator: 'Exists' }],
  affinity: { nodeAffinity: {} },
  podAnnotations: { note: 'kept' },
  podLabels: { team: 'platform' },
  extraEnv: [{ name: 'EXTRA', value: '1' }],
  resources: { limits: { memory: '321Mi' } },
}
const spread = [{ maxSkew: 2, topologyKey: 'zone', whenUnsatisfiable: 'DoNotSchedule' }]
const rolling = { type: 'OnDelete' }

describe.skipIf(helm === undefined)('what an operator says in values', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'skybraid-values-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  function renderedWith(values: object): Manifest[] {
    const file = join(folder, 'values.json')
    writeFileSync(file, JSON.stringify(values))
    return rendered('default-values.yaml', '-f', file)
  }

  it('is in the pods of each program', () => {
    const all = renderedWith({
      global: { image: { pullSecrets: [{ name: 'mirror-login' }] } },
      collector: { ...wishes, priorityClass: { name: 'high' }, updateStrategy: rolling },
      aggregator: {
        ...wishes,
        priorityClassName: 'high',
        updateStrategy: rolling,
        topologySpreadConstraints: spread,
      },
      nats: { ...wishes, priorityClassName: 'high', topologySpreadConstraints: spread },
    })
    for (const [kind, name] of workloads) {
      const { spec } = named(all, kind, `shop-skybraid-${name}`)
      const { metadata, spec: pod } = spec.template
      const { image: _image, podAnnotations, podLabels, extraEnv, resources, ...placement } = wishes
      expect(pod).toMatchObject({ ...placement, imagePullSecrets: [{ name: 'mirror-login' }] })
      expect(pod.priorityClassName).toBe('high')
      expect(metadata).toMatchObject({ annotations: podAnnotations, labels: podLabels })
      expect(pod.containers[0]).toMatchObject({ image: `mirror.example/${name}:9`, resources })
      expect(pod.containers[0].env).toContainEqual(extraEnv[0])
      if (name !== 'collector') expect(pod.topologySpreadConstraints).toEqual(spread)
      if (name !== 'nats') expect(spec.updateStrategy.type).toBe('OnDelete')
    }
    expect(all.some(m => m.kind === 'PriorityClass')).toBe(false)
  })

  it('may be a digest in place of a tag', () => {
    const digest = `sha256:${'0'.repeat(64)}`
    const image = { digest }
    const all = renderedWith({ collector: { image }, aggregator: { image }, nats: { image } })
    for (const [kind, name] of workloads) {
      const [container] = named(all, kind, `shop-skybraid-${name}`).spec.template.spec.containers
      expect(container.image).toBe(`skybraid.local/${name}@${digest}`)
    }
  })
})

describe.skipIf(helm === undefined)('an upgrade', () => {
  const server = (...settings: string[]) => {
    const flags = settings.flatMap(setting => ['--set', setting])
    const all = rendered('default-values.yaml', ...flags)
    return named(all, 'StatefulSet', 'shop-skybraid-nats').spec.template
  }

  it.each(['global.cluster=other', 'global.bus.perNodeIdentity=true', 'nats.jetstream.maxFile=5GB'])(
    'starts the bus anew where that has to read something anew: %s',
    setting => {
      expect(server(setting).metadata.annotations).not.toEqual(server().metadata.annotations)
    },
  )

  it('leaves the bus alone otherwise', () => {
    expect(server('aggregator.config.log-level=debug')).toEqual(server())
  })
})

describe.skipIf(helm === undefined)('without a word of an operator', () => {
  it('a collector asks for 50 m and 80 MiB of its node, whatever its taints, and takes half a core and 100 MiB', () => {
    const all = rendered('default-values.yaml')
    const { spec } = named(all, 'DaemonSet', 'shop-skybraid-collector')
    const pod = spec.template.spec
    expect(pod.containers[0].resources).toEqual({
      requests: { cpu: '50m', memory: '80Mi' },
      limits: { cpu: '500m', memory: '100Mi' },
    })
    expect(pod.tolerations).toEqual([{ operator: 'Exists' }])
    expect(pod.priorityClassName).toBe('shop-skybraid-collector')
    expect(named(all, 'PriorityClass', 'shop-skybraid-collector').value).toBeGreaterThan(0)
    expect(spec.updateStrategy).toMatchObject({ rollingUpdate: { maxUnavailable: '10%' } })
  })

  it('every program is probed, bounded and shut off from what it does not need', () => {
    const all = rendered('node-identity-values.yaml')
    const running = podSpecs(all).filter(({ name }) => !name.includes('-test'))
    expect(running.map(({ name }) => name).sort()).toEqual(
      ['aggregator', 'bus-auth', 'collector', 'nats'].map(name => `shop-skybraid-${name}`),
    )
    for (const { name, spec } of running) {
      const [container] = spec.containers
      expect(container.livenessProbe?.httpGet, name).toBeDefined()
      expect(container.readinessProbe?.httpGet, name).toBeDefined()
      expect(container.resources.requests.memory, name).toBeDefined()
      expect(container.resources.limits.memory, name).toBeDefined()
      expect(named(all, 'NetworkPolicy', name).spec.policyTypes).toEqual(['Ingress', 'Egress'])
    }
  })

  it('replicas are spread over nodes, and one of several goes at a time', () => {
    const all = rendered('three-servers-values.yaml')
    for (const name of ['aggregator', 'nats'].map(part => `shop-skybraid-${part}`)) {
      expect(named(all, 'PodDisruptionBudget', name).spec.maxUnavailable).toBe(1)
      const { topologySpreadConstraints } = named(all, 'StatefulSet', name).spec.template.spec
      expect(topologySpreadConstraints).toMatchObject([{ topologyKey: 'kubernetes.io/hostname' }])
    }
  })
})

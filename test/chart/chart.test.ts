import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAccount } from '@nats-io/nkeys'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { chartFiles } from '../../helm/generate/chart-files.ts'
import { aggregatorOptions } from '../../packages/cli/src/aggregator/options.ts'
import { busAuthOptions } from '../../packages/cli/src/bus-auth/run-bus-auth.ts'
import { collectorOptions } from '../../packages/cli/src/collector/options.ts'
import { loadConfig } from '../../packages/shared/src/index.ts'
import {
  built,
  chart,
  helm,
  type Manifest,
  named,
  podSpecs,
  rendered,
  runHelm,
  valuesFiles,
} from './rendered-chart.ts'

const natsServer = built(/^nats-server-v[\d.]+$/)

describe('generated files of the chart', () => {
  it('are what npm run chart makes', () => {
    const read = (file: string) => readFileSync(join(chart, file), 'utf8')
    for (const [name, text] of chartFiles(read)) expect(read(name), `${name}: run npm run chart`).toBe(text)
  })
})

describe.skipIf(helm === undefined)('the chart, rendered by helm', () => {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'skybraid-chart-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it.each(valuesFiles)('passes lint and renders with %s', values => {
    const { status, output } = runHelm('lint', '--strict', chart, '-f', join(chart, 'ci', values))
    expect(output).toContain('0 chart(s) failed')
    expect(status).toBe(0)
    expect(rendered(values).length).toBeGreaterThan(10)
  })

  it.each([
    ['collector.flsh=1s', 'flsh'],
    ['collector.config.flsh=1s', 'flsh'],
    ['collector.config.flush=5', 'flush'],
    ['aggregator.config.nats-user=x', 'nats-user'],
    ['aggregator.config.insecure=true', 'insecure'],
    ['nats.replicas=2', 'replicas'],
    ['global.bus.tsl=false', 'tsl'],
    ['bus.tls=false', 'bus'],
    ['aggregator.exportPorts={0}', 'exportPorts'],
  ])('refuses %s and names it', (setting, word) => {
    const { status, output } = runHelm(
      'template',
      'shop',
      chart,
      '--kube-version',
      '1.30.0',
      '--set',
      setting,
    )
    expect(status).not.toBe(0)
    expect(output).toContain("values don't meet the specifications of the schema")
    expect(output).toContain(word)
  })

  it.each([
    [['nats.enabled=false'], 'nats.enabled=false needs global.bus.servers'],
    [['nats.enabled=false', 'global.bus.servers={tls://a:4222}'], 'global.bus.collectorSecret'],
    [['global.bus.servers={tls://a:4222}'], 'set nats.enabled=false'],
    [['collector.capabilities.bpf=false'], 'can observe nothing'],
    [['nats.enabled=false', 'global.bus.perNodeIdentity=true'], 'is for the bus inside'],
    [['aggregator.config.oap-token-file=/etc/skybraid-export/oap-token'], 'oap-token-file names a file of'],
  ])('refuses %s in words', (settings, words) => {
    const flags = settings.flatMap(setting => ['--set', setting])
    const { status, output } = runHelm('template', 'shop', chart, '--kube-version', '1.30.0', ...flags)
    expect(status).not.toBe(0)
    expect(output).toContain(words)
  })

  it.each(valuesFiles)('gives programs files that they accept, with %s', values => {
    const all = rendered(values)
    for (const [role, schema] of Object.entries({
      collector: collectorOptions,
      aggregator: aggregatorOptions,
    })) {
      const file: string = named(all, 'ConfigMap', `shop-skybraid-${role}`).data['skybraid.yaml']
      const sources = { args: ['--config', 'skybraid.yaml'], env: {}, readFile: () => file, parseFile: parse }
      const loaded = loadConfig(schema, sources)
      expect(loaded.ok ? [] : loaded.errors).toEqual([])
    }
  })

  it.each(valuesFiles)('lets only the collector have more than the restricted standard, with %s', values => {
    const pods = podSpecs(rendered(values))
    expect(pods.length).toBeGreaterThan(3)
    for (const { name, spec } of pods) {
      expect(spec.hostNetwork ?? false).toBe(false)
      expect(spec.hostPID ?? false).toBe(false)
      for (const container of spec.containers) {
        const { securityContext: context } = container
        expect(context).toMatchObject({
          allowPrivilegeEscalation: false,
          privileged: false,
          readOnlyRootFilesystem: true,
        })
        expect(context.capabilities.drop).toEqual(['ALL'])
        if (name === 'shop-skybraid-collector') continue
        expect(context.capabilities.add).toBeUndefined()
        expect(spec.securityContext).toMatchObject({
          runAsNonRoot: true,
          seccompProfile: { type: 'RuntimeDefault' },
        })
        expect(spec.volumes.some((volume: object) => 'hostPath' in volume)).toBe(false)
      }
    }
  })

  it('gives the collector three capabilities, one host path to read, and no token', () => {
    const { spec } = podSpecs(rendered('default-values.yaml')).find(
      pod => pod.name === 'shop-skybraid-collector',
    )!
    const [container] = spec.containers
    expect(container.securityContext.capabilities.add).toEqual(['BPF', 'PERFMON', 'NET_ADMIN'])
    expect(spec.automountServiceAccountToken).toBe(false)
    expect(spec.securityContext.seccompProfile.type).toBe('RuntimeDefault')
    const paths = spec.volumes.filter((volume: object) => 'hostPath' in volume)
    expect(paths).toMatchObject([{ name: 'cgroup', hostPath: { path: '/sys/fs/cgroup' } }])
    expect(container.volumeMounts).toContainEqual({
      name: 'cgroup',
      mountPath: '/sys/fs/cgroup',
      readOnly: true,
    })
  })

  it('leaves NET_ADMIN out together with the packet hooks', () => {
    const all = rendered('demo-values.yaml')
    const { spec } = podSpecs(all).find(pod => pod.name === 'shop-skybraid-collector')!
    expect(spec.containers[0].securityContext.capabilities.add).toEqual(['BPF', 'PERFMON'])
    expect(named(all, 'ConfigMap', 'shop-skybraid-collector').data['skybraid.yaml']).toContain('udp: false')
  })

  it('lists and watches what names are made of, and no secrets', () => {
    const roles = rendered('default-values.yaml').filter(m => m.kind === 'ClusterRole')
    const rules = roles.flatMap(role => role.rules)
    for (const rule of rules) expect(rule.verbs).toEqual(['list', 'watch'])
    expect(rules.flatMap(rule => rule.resources)).not.toContain('secrets')
  })

  it('lets each node in by a token of its pod for the bus alone, and knows no password for collectors', () => {
    const all = rendered('node-identity-values.yaml')
    const { spec } = podSpecs(all).find(pod => pod.name === 'shop-skybraid-collector')!
    const bus = spec.volumes.find((volume: { name: string }) => volume.name === 'bus')
    expect(bus.projected.sources[0].serviceAccountToken).toEqual({
      path: 'token',
      audience: 'shop-skybraid-bus.skybraid',
      expirationSeconds: 3600,
    })
    expect(spec.automountServiceAccountToken).toBe(false)
    expect(JSON.stringify(spec.containers[0].env)).not.toContain('NATS_USER')
    const collectorSecret = named(all, 'Secret', 'shop-skybraid-bus-collector').stringData
    expect(Object.keys(collectorSecret)).toEqual(['ca.crt'])
    const busAuth = parse(named(all, 'ConfigMap', 'shop-skybraid-bus-auth').data['skybraid.yaml'])
    expect(busAuth).toMatchObject({
      audience: 'shop-skybraid-bus.skybraid',
      'service-account': 'shop-skybraid-collectors/shop-skybraid-collector',
    })
    const file = named(all, 'ConfigMap', 'shop-skybraid-bus-auth').data['skybraid.yaml']
    const sources = { args: ['--config', 'c.yaml'], env: {}, readFile: () => file, parseFile: parse }
    const loaded = loadConfig(busAuthOptions, sources)
    expect(loaded.ok ? [] : loaded.errors).toEqual([])
    expect(named(all, 'ClusterRole', 'shop-skybraid-bus-auth-skybraid').rules).toEqual([
      { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
    ])
    const nats = podSpecs(all).find(pod => pod.name === 'shop-skybraid-nats')!.spec
    const [server] = nats.containers
    const mounts = server.volumeMounts.map((mount: { name: string }) => mount.name)
    expect(mounts).not.toContain('issuer-secret')
    const config = named(all, 'Secret', 'shop-skybraid-nats').stringData['users.conf']
    expect(config).not.toContain('user: "collector"')
  })

  it('may ask about tokens and rights where people come in by those, and create nothing else', () => {
    const asking = ['--set', 'aggregator.config.api-auth=kubernetes']
    const rules = rendered('default-values.yaml', ...asking)
      .filter(m => m.kind === 'ClusterRole')
      .flatMap(role => role.rules)
    const creating = rules.filter(rule => rule.verbs.includes('create'))
    expect(creating).toEqual([
      { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
      { apiGroups: ['authorization.k8s.io'], resources: ['subjectaccessreviews'], verbs: ['create'] },
    ])
  })

  it('gives both programs the passwords that the server has, and one authority', () => {
    const all = rendered('default-values.yaml')
    const server = named(all, 'Secret', 'shop-skybraid-nats').stringData
    for (const role of ['collector', 'aggregator']) {
      const login = named(all, 'Secret', `shop-skybraid-bus-${role}`)
      expect(login.stringData.password).toHaveLength(40)
      expect(login.stringData.password).toBe(server[`${role}-password`])
      expect(server['users.conf']).toContain(`password: "${login.stringData.password}"`)
      expect(login.stringData['ca.crt']).toBe(server['ca.crt'])
    }
    expect(named(all, 'Secret', 'shop-skybraid-bus-collector').metadata.namespace).toBe(
      'shop-skybraid-collectors',
    )
  })

  it.each([
    ['default-values.yaml', 'shop-skybraid-api-token'],
    ['existing-nats-values.yaml', 'skybraid-api-login'],
  ])('has the API want a token that helm test and Prometheus have too, with %s', (values, secret) => {
    const all = rendered(values, '--set', 'global.serviceMonitor.enabled=true')
    const own = all.filter(m => m.kind === 'Secret' && m.metadata.name === 'shop-skybraid-api-token')
    expect(own.map(m => m.stringData.token.length)).toEqual(secret === 'skybraid-api-login' ? [] : [40])
    const readers = podSpecs(all).filter(({ spec }) =>
      spec.volumes.some(
        (volume: { secret?: { secretName: string } }) => volume.secret?.secretName === secret,
      ),
    )
    expect(readers.map(pod => pod.name).sort()).toEqual(['shop-skybraid-aggregator', 'shop-skybraid-test'])
    for (const { spec } of readers)
      expect(spec.containers[0].volumeMounts).toContainEqual({
        name: 'api-token',
        mountPath: '/etc/skybraid-api',
        readOnly: true,
      })
    const config = parse(named(all, 'ConfigMap', 'shop-skybraid-aggregator').data['skybraid.yaml'])
    expect(config).toMatchObject({ listen: '0.0.0.0:7100', 'api-token-file': '/etc/skybraid-api/token' })
    expect(config).not.toHaveProperty('insecure')
    const { endpoints } = named(all, 'ServiceMonitor', 'shop-skybraid-aggregator').spec
    expect(endpoints[0].authorization.credentials).toEqual({ name: secret, key: 'token' })
  })

  const egressPorts = (all: readonly Manifest[]) => {
    const { egress } = named(all, 'NetworkPolicy', 'shop-skybraid-aggregator').spec
    const ports = egress.flatMap((rule: { ports: object[] }) => rule.ports) as { port: number }[]
    return ports.map(({ port }) => port)
  }
  /** DNS, the API of Kubernetes, the bus. */
  const always = [53, 53, 443, 6443, 4222]

  it('lets aggregators reach, and gives them, only what they need when they feed nobody', () => {
    const all = rendered('default-values.yaml')
    expect(egressPorts(all)).toEqual(always)
    const { spec } = podSpecs(all).find(pod => pod.name === 'shop-skybraid-aggregator')!
    const names = (list: { name: string }[]) => list.map(({ name }) => name).sort()
    expect(names(spec.volumes)).toEqual(['api-token', 'bus', 'config'])
    expect(names(spec.containers[0].volumeMounts)).toEqual(['api-token', 'bus', 'config'])
  })

  it('lets aggregators reach the ports of OAP and of OpenTelemetry', () => {
    expect(egressPorts(rendered('oap-values.yaml'))).toEqual([...always, 11800, 11900, 80, 4318])
  })

  it.each([
    [['aggregator.config.otlp=https://telemetry.example.org'], [443]],
    [['aggregator.config.otlp=http://telemetry.example.org'], [80]],
    [['aggregator.config.otlp=grpc://telemetry.example.org'], [4317]],
    [['aggregator.config.otlp=grpcs://telemetry.example.org:443'], [443]],
    [['aggregator.config.otlp=http://[2001:db8::1]/v1/metrics'], [80]],
    [['aggregator.config.otlp=https://[2001:db8::1]:4318/v1/metrics'], [4318]],
    [['aggregator.config.oap={[2001:db8::1]:11800,a:11800}'], [11800]],
    [
      ['aggregator.config.oap={a:11800}', 'aggregator.config.otlp=http://a:4318'],
      [11800, 4318],
    ],
  ])('lets aggregators reach the port, with %j', (settings, ports) => {
    const flags = settings.flatMap(setting => ['--set', setting])
    expect(egressPorts(rendered('default-values.yaml', ...flags))).toEqual([...always, ...ports])
  })

  it('mounts the secret of exports where options look for its files', () => {
    const all = rendered('oap-values.yaml')
    const { spec } = podSpecs(all).find(pod => pod.name === 'shop-skybraid-aggregator')!
    expect(spec.volumes).toContainEqual({
      name: 'export',
      secret: expect.objectContaining({ secretName: 'skybraid-export' }),
    })
    const [container] = spec.containers
    expect(container.volumeMounts).toContainEqual({
      name: 'export',
      mountPath: '/etc/skybraid-export',
      readOnly: true,
    })
    expect(container.securityContext.readOnlyRootFilesystem).toBe(true)
    const config = parse(named(all, 'ConfigMap', 'shop-skybraid-aggregator').data['skybraid.yaml'])
    expect(config['oap-token-file']).toBe('/etc/skybraid-export/oap-token')
  })

  it
    .skipIf(natsServer === undefined)
    .each([
      'default-values.yaml',
      'three-servers-values.yaml',
      'demo-values.yaml',
      'node-identity-values.yaml',
    ])('makes a configuration that nats-server takes, with %s', values => {
    const all = rendered(values)
    const files = {
      ...named(all, 'ConfigMap', 'shop-skybraid-nats').data,
      ...named(all, 'Secret', 'shop-skybraid-nats').stringData,
    } as Record<string, string>
    for (const [name, text] of Object.entries(files)) {
      const moved = text.replaceAll('/etc/nats', folder).replace('../nats-issuer', 'nats-issuer')
      writeFileSync(join(folder, name), moved)
    }
    mkdirSync(join(folder, 'nats-issuer'), { recursive: true })
    const issuer = createAccount().getPublicKey()
    writeFileSync(join(folder, 'nats-issuer/issuer.conf'), `issuer: "${issuer}"\n`)
    const { status, stderr } = spawnSync(natsServer!, ['-t', '-c', join(folder, 'nats.conf')], {
      encoding: 'utf8',
      env: { ...process.env, POD_NAME: 'shop-skybraid-nats-0' },
    })
    expect(stderr).toContain('configuration file')
    expect(status).toBe(0)
  })
})

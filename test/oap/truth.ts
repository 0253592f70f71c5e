/** Known exactly, or not less than the one and not more than the other. */
export type Figure = number | readonly [least: number, most: number]

/** What one end of a call counted in a minute. */
export interface SideTruth {
  readonly opened?: number
  readonly failed?: number
  readonly closed?: number
  readonly bytesSent?: number
  readonly bytesReceived?: number
  readonly packetsSent?: Figure
  readonly packetsReceived?: Figure
  readonly retransmits?: number
  /** Nanoseconds of all handshakes together. */
  readonly handshakeNs?: Figure
}

export interface TruthEnd {
  readonly service: string
  readonly pod: string
}

/** Requests of one endpoint and status that one end saw. */
export interface RequestTruth {
  /** Method and path, as OAP names it. */
  readonly endpoint: string
  readonly status: number
  readonly count: number
  /** Of all of them together. */
  readonly durationMs: Figure
  readonly requestBytes: number
  readonly responseBytes: number
}

/** What must be in OAP, named as `OapReader.series` names it. */
export class Truth {
  readonly series = new Map<string, number>()
  /** Those that are not known exactly. */
  readonly bands = new Map<string, readonly [least: number, most: number]>()
  readonly services = new Set<string>()
  readonly entities = new Set<string>()
  readonly calls = new Map<string, Set<'CLIENT' | 'SERVER'>>()
  readonly instanceCalls = new Map<string, Set<'CLIENT' | 'SERVER'>>()
  readonly minutes = new Set<number>()
  /** `service | pod`. */
  readonly instances = new Set<string>()
  /** `service | METHOD:path`. */
  readonly endpoints = new Set<string>()

  add(
    minute: number,
    client: TruthEnd,
    server: TruthEnd,
    sides: { client?: SideTruth; server?: SideTruth },
  ): void {
    this.minutes.add(minute)
    if (sides.client) this.#side(minute, 'client', client, server, sides.client)
    if (sides.server) this.#side(minute, 'server', client, server, sides.server)
  }

  /** Adds requests of a call that is there already. */
  addRequests(
    minute: number,
    client: TruthEnd,
    server: TruthEnd,
    side: 'client' | 'server',
    requests: RequestTruth,
  ): void {
    const { endpoint, status, count, durationMs, requestBytes, responseBytes } = requests
    const success = status < 500 ? count : 0
    const common: Record<string, Figure> = {
      http_call_cpm: count,
      http_call_duration: durationMs,
      http_req_body_size: requestBytes,
      http_resp_body_size: responseBytes,
      [`http_status_${Math.floor(status / 100)}xx_cpm`]: count,
    }
    const ofRelation = { ...common, http_success_cpm: success }
    const add = (metric: string, entity: string, figure: Figure) =>
      this.#add(`kubernetes_service_${metric} @ ${entity} @ ${minute}`, figure)
    const call = `${client.service} > ${server.service}`
    const instanceCall = `${client.service} | ${client.pod} > ${server.service} | ${server.pod}`
    for (const [name, value] of Object.entries(ofRelation)) {
      add(`relation_${side}_${name}`, call, value)
      add(`instance_relation_${side}_${name}`, instanceCall, value)
    }
    if (side === 'client') return
    for (const [name, value] of Object.entries({ ...common, http_call_success_count: success })) {
      add(name, server.service, value)
      add(`instance_${name}`, `${server.service} | ${server.pod}`, value)
    }
    const ofEndpoint = `${server.service} | ${endpoint}`
    this.endpoints.add(ofEndpoint)
    // OAP's own rules tell the same under two names, save the duration, which is of those that succeeded
    const ofSuccess = success > 0 ? durationMs : 0
    const twice = { call_cpm: count, call_duration: ofSuccess, call_success_cpm: success }
    for (const [name, value] of Object.entries({ ...common, http_call_success_cpm: success, ...twice }))
      add(`endpoint_${name}`, ofEndpoint, value)
  }

  #add(key: string, figure: Figure | undefined): void {
    if (figure === undefined || figure === 0) return
    const known = this.bands.get(key)
    if (typeof figure === 'number' && known === undefined) {
      this.series.set(key, (this.series.get(key) ?? 0) + figure)
      return
    }
    const [least, most] = typeof figure === 'number' ? [figure, figure] : figure
    const [knownLeast, knownMost] = known ?? [this.series.get(key) ?? 0, this.series.get(key) ?? 0]
    this.series.delete(key)
    this.bands.set(key, [knownLeast + least, knownMost + most])
  }

  #side(minute: number, side: 'client' | 'server', client: TruthEnd, server: TruthEnd, of: SideTruth): void {
    const own = side === 'client' ? client : server
    const call = `${client.service} > ${server.service}`
    const isWhole = client.pod !== '' && server.pod !== ''
    this.services.add(own.service)
    this.instances.add(`${own.service} | ${own.pod}`)
    const detectedBy = side === 'client' ? 'CLIENT' : 'SERVER'
    this.calls.set(call, (this.calls.get(call) ?? new Set()).add(detectedBy))
    const entities: [string, string, boolean][] = [
      ['kubernetes_service_', own.service, false],
      ['kubernetes_service_instance_', `${own.service} | ${own.pod}`, false],
      ['kubernetes_service_relation_', call, true],
    ]
    if (isWhole) {
      const between = `${client.service} | ${client.pod} > ${server.service} | ${server.pod}`
      this.instanceCalls.set(between, (this.instanceCalls.get(between) ?? new Set()).add(detectedBy))
      entities.push(['kubernetes_service_instance_relation_', between, true])
    }
    for (const [prefix, entity, isRelation] of entities) {
      this.entities.add(entity)
      for (const [name, value] of Object.entries(figuresOf(side, of))) {
        const key = `${prefix}${name.replace('~', isRelation ? `${side}_` : '')} @ ${entity} @ ${minute}`
        this.#add(key, value)
      }
    }
  }
}

function figuresOf(side: 'client' | 'server', of: SideTruth): Record<string, Figure | undefined> {
  const opened =
    side === 'client'
      ? {
          connect_cpm: (of.opened ?? 0) + (of.failed ?? 0),
          connect_success_cpm: of.opened,
          connect_duration: of.handshakeNs,
        }
      : { accept_cpm: of.opened, accept_duration: of.handshakeNs }
  return {
    ...opened,
    close_cpm: of.closed,
    '~write_package_size': of.bytesSent,
    '~write_package_cpm': of.packetsSent,
    '~write_retrains_package_cpm': of.retransmits,
    '~read_package_size': of.bytesReceived,
    '~read_package_cpm': of.packetsReceived,
  }
}

import {
  Server,
  ServerCredentials,
  type ServerReadableStream,
  type ServerUnaryCall,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { addPoint, readMetricsRequest } from './metric-points.testing.ts'
import { type AccessLog, decodeAccessLog, OapModel } from './oap-model.testing.ts'
import { oapProtocol } from './oap-protocol.ts'

export interface FakeOapTls {
  readonly ca: Buffer
  readonly cert: Buffer
  readonly key: Buffer
  readonly asksClient: boolean
}

export interface FakeOapOptions {
  readonly port?: number
  /** Senders must give it in the header `authentication`. */
  readonly token?: string
  /** Without it the receiver is missing, as where the module is off. */
  readonly hasReceiver?: boolean
  /** Takes OpenTelemetry metrics, as where that module is on, which it is not by default. */
  readonly hasMetrics?: boolean
  readonly tls?: FakeOapTls
  /** Ends a stream at a longer message; as long as the real one of the tests takes them by default. */
  readonly maxMessageBytes?: number
  /** Reads nothing of what it is sent: only the speed of the sender counts. */
  readonly countOnly?: boolean
}

const asIs = (bytes: Buffer) => bytes
const asBytes = {
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
}
const unary = { requestStream: false, responseStream: false, ...asBytes }

/** An OAP by the rules that were measured on a real one, without Java. */
export class FakeOap {
  readonly model = new OapModel()
  /** `service | instance` that keep-alive calls named, and attributes by the same. */
  readonly announced = new Set<string>()
  readonly attributes = new Map<string, Record<string, string>>()
  /** Streams that were opened and ended without a message, and those with messages. */
  emptyStreams = 0
  streams = 0
  messages = 0
  /** Lengths of the requests with OpenTelemetry metrics, and the amounts in them, see `addPoint`. */
  readonly metricsRequests: number[] = []
  readonly points = new Map<string, number>()
  /** Ends a stream with this code after so many of its messages, the next one or every one. */
  breakAfter: { readonly messages: number; readonly code: status; readonly always?: boolean } | undefined
  /** Takes no message while it is set, as a stopped process. */
  isPaused = false
  readonly #options: FakeOapOptions
  // of messages that are too long the library would say something else than a real one does
  readonly #server = new Server({ 'grpc.max_receive_message_length': -1 })
  #port = 0

  private constructor(options: FakeOapOptions) {
    this.#options = options
    const receiver = {
      collect: {
        path: '/skywalking.v3.EBPFAccessLogService/collect',
        requestStream: true,
        responseStream: false,
        ...asBytes,
      },
    }
    const management = {
      keepAlive: { path: '/skywalking.v3.ManagementService/keepAlive', ...unary },
      reportInstanceProperties: {
        path: '/skywalking.v3.ManagementService/reportInstanceProperties',
        ...unary,
      },
    }
    if (options.hasReceiver !== false)
      this.#server.addService(receiver, {
        collect: (call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) =>
          this.#collect(call, done),
      })
    if (options.hasMetrics) this.#addMetrics()
    this.#server.addService(management, {
      keepAlive: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        const ping = read('InstancePingPkg', call.request)
        if (ping.layer === 'K8S_SERVICE') this.announced.add(`${ping.service} | ${ping.serviceInstance}`)
        done(null, Buffer.alloc(0))
      },
      reportInstanceProperties: (call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        const { service, serviceInstance, properties } = read('InstanceProperties', call.request)
        const list = properties as { key: string; value: string }[]
        this.attributes.set(
          `${service} | ${serviceInstance}`,
          Object.fromEntries(list.map(({ key, value }) => [key, value])),
        )
        done(null, Buffer.alloc(0))
      },
    })
  }

  static async start(options: FakeOapOptions = {}): Promise<FakeOap> {
    const fake = new FakeOap(options)
    const { promise, resolve, reject } = Promise.withResolvers<number>()
    fake.#server.bindAsync(`127.0.0.1:${options.port ?? 0}`, credentialsOf(options.tls), (error, port) =>
      error ? reject(error) : resolve(port),
    )
    fake.#port = await promise
    return fake
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`
  }

  get port(): number {
    return this.#port
  }

  stop(): void {
    this.#server.forceShutdown()
  }

  #addMetrics(): void {
    const path = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'
    this.#server.addService(
      { export: { path, ...unary } },
      {
        export: ({ request }: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
          this.metricsRequests.push(request.length)
          for (const point of readMetricsRequest(request)) addPoint(this.points, point)
          done(null, Buffer.alloc(0))
        },
      },
    )
  }

  #collect(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>): void {
    const { token, countOnly, maxMessageBytes = 50 * 1024 * 1024 } = this.#options
    if (token !== undefined && call.metadata.get('authentication')[0] !== token) {
      done({ code: status.PERMISSION_DENIED, details: 'Authentication failed' })
      return
    }
    const take = countOnly ? () => undefined : this.model.stream()
    let own = 0
    call.on('data', (bytes: Buffer) => {
      if (bytes.length > maxMessageBytes) {
        call.removeAllListeners('data')
        done({ code: status.CANCELLED, details: 'Call cancelled' })
        return
      }
      own++
      this.messages++
      if (!countOnly) take(decodeAccessLog(bytes) as AccessLog)
      if (own === this.breakAfter?.messages) {
        const { code, always } = this.breakAfter
        if (!always) this.breakAfter = undefined
        call.removeAllListeners('data')
        done({ code, details: 'as told' })
      }
      if (this.isPaused) call.pause()
    })
    call.on('end', () => {
      if (own === 0) this.emptyStreams++
      else this.streams++
      if (!this.isPaused) done(null, Buffer.alloc(0))
    })
    call.on('error', () => undefined) // the sender gave up
  }
}

function credentialsOf(tls: FakeOapTls | undefined): ServerCredentials {
  if (tls === undefined) return ServerCredentials.createInsecure()
  const pair = { cert_chain: tls.cert, private_key: tls.key }
  return ServerCredentials.createSsl(tls.ca, [pair], tls.asksClient)
}

function read(type: string, bytes: Uint8Array): Record<string, unknown> {
  const message = oapProtocol().lookupType(`skywalking.v3.${type}`)
  return message.toObject(message.decode(bytes), { defaults: true })
}

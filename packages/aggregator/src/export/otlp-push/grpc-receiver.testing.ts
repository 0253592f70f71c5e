import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceError,
  type sendUnaryData,
} from '@grpc/grpc-js'

export interface GrpcReceiverTls {
  readonly ca: Buffer
  readonly cert: Buffer
  readonly key: Buffer
  readonly asksClient: boolean
}

/** What a call is answered with; undefined: nothing ever. */
export type GrpcAnswer =
  | { readonly code: number; readonly details: string; readonly mayRetry?: boolean }
  | Uint8Array
  | undefined

/** Takes OpenTelemetry metrics by the library that most servers of gRPC in Node use. */
export interface GrpcReceiver {
  readonly port: number
  /** What came, decompressed, with the calls' headers. */
  readonly received: readonly { readonly bytes: Buffer; readonly headers: Record<string, unknown> }[]
  stop(): void
}

const asIs = (bytes: Buffer) => bytes
const path = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'

export async function startGrpcReceiver(
  answer: () => GrpcAnswer = () => new Uint8Array(),
  tls?: GrpcReceiverTls,
): Promise<GrpcReceiver> {
  const server = new Server()
  const received: GrpcReceiver['received'][number][] = []
  server.addService(
    {
      export: {
        path,
        requestStream: false,
        responseStream: false,
        requestSerialize: asIs,
        requestDeserialize: asIs,
        responseSerialize: asIs,
        responseDeserialize: asIs,
      },
    },
    {
      export: ({ request, metadata }: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) => {
        received.push({ bytes: request, headers: metadata.getMap() })
        const given = answer()
        if (given === undefined) return
        if (given instanceof Uint8Array) done(null, Buffer.from(given))
        else done(errorOf(given), null)
      },
    },
  )
  const credentials = tls
    ? ServerCredentials.createSsl(tls.ca, [{ private_key: tls.key, cert_chain: tls.cert }], tls.asksClient)
    : ServerCredentials.createInsecure()
  const { promise, resolve, reject } = Promise.withResolvers<number>()
  server.bindAsync('127.0.0.1:0', credentials, (error, port) => (error ? reject(error) : resolve(port)))
  return { port: await promise, received, stop: () => server.forceShutdown() }
}

function errorOf({
  code,
  details,
  mayRetry,
}: Exclude<GrpcAnswer, Uint8Array | undefined>): Partial<ServiceError> {
  const metadata = new Metadata()
  if (mayRetry) metadata.set('grpc-status-details-bin', Buffer.from([0]))
  return { code, details, metadata }
}

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { expositionContentType, formatExposition, type HostPort, SkybraidError } from '@skybraid/shared'
import type { LoginCounts } from './answer-logins.ts'

export interface LoginStatus {
  isConnected(): boolean
  counts(): LoginCounts
}

/** Probes and figures; rejects with SB_LISTEN. */
export async function serveLoginStatus(listen: HostPort, status: LoginStatus): Promise<Server> {
  const server = createServer((request, response) => {
    if (request.url === '/livez') response.end('ok\n')
    else if (request.url === '/readyz')
      response
        .writeHead(status.isConnected() ? 200 : 503)
        .end(status.isConnected() ? 'ok\n' : 'the bus is not reached\n')
    else if (request.url === '/metrics')
      response.setHeader('content-type', expositionContentType).end(metricsOf(status.counts()))
    else response.writeHead(404).end()
  })
  server.listen(listen.port, listen.host)
  try {
    await once(server, 'listening')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new SkybraidError('SB_LISTEN', `The status cannot be served: ${why}.`, error)
  }
  return server
}

function metricsOf(counts: LoginCounts): string {
  return formatExposition([
    {
      name: 'skybraid_bus_logins_total',
      help: 'Logins that servers of the bus asked about, by outcome.',
      type: 'counter',
      samples: Object.entries(counts).map(([outcome, value]) => ({ labels: { outcome }, value })),
    },
  ])
}

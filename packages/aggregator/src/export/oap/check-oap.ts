import type { HostPort } from '@skybraid/shared'
import { formatHostPort } from '@skybraid/shared'
import { createOapConnection, type OapAnswer, OapCode } from './oap-connection.ts'
import { explain } from './oap-sender.ts'
import type { OapConfig } from './options.ts'

export interface OapCheck {
  readonly address: string
  /** In sentences: what was found, and what is missing. */
  readonly found: readonly string[]
  readonly missing: readonly string[]
}

interface QueryAnswer {
  readonly version: string
  readonly listMetrics: readonly { readonly name: string }[]
  /** Metrics that it makes of what --oap-metrics sends: rules define them when OAP starts. */
  readonly ours?: readonly { readonly name: string }[]
}

const queryMs = 5_000
const oldest = [10, 1] as const
const query =
  '{ version listMetrics(regex: "kubernetes_service_.*") { name } ours: listMetrics(regex: "skybraid_.*") { name } }'

const noRules =
  'it has no rules for what --oap-metrics sends (helm/skybraid/files/oap/otel-rules/skybraid/, and skybraid/* among SW_OTEL_RECEIVER_ENABLED_OTEL_METRICS_RULES), so that would be dropped'

/** A request of OpenTelemetry without metrics: it changes nothing, and shows whether there is somebody to take one. */
const noMetrics = new Uint8Array()

/**
 * Asks one OAP whether it would take access logs, and metrics where they are wanted, without sending any. Its version and its rules are asked where it
 * answers queries, which need not be reachable from here.
 */
export async function checkOap(address: string, config: OapConfig, queryAt: HostPort): Promise<OapCheck> {
  const found: string[] = []
  const missing: string[] = []
  const connection = createOapConnection(address, config)
  const answer = await connection.probe()
  if (answer.code === OapCode.ok) found.push('it takes access logs')
  else missing.push(explain(answer))
  // where nobody answers at all that is said once
  if (config.oapMetrics && isAnswer(answer)) {
    const metrics = await connection.call('metrics', noMetrics)
    if (metrics.code === OapCode.ok) found.push('it takes OpenTelemetry metrics')
    else missing.push(explainMetrics(metrics))
  }
  connection.close()
  const told = await askQueries(queryAt)
  if (typeof told === 'string') {
    found.push(
      `which version it is cannot be told, because ${formatHostPort(queryAt)} does not answer queries (${told}); name another place with --oap-query`,
    )
    return { address, found, missing }
  }
  found.push(`version ${told.version}`)
  const [major = 0, minor = 0] = told.version.split('.').map(part => Number.parseInt(part, 10))
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1]))
    missing.push(`version ${oldest.join('.')} or later is supported, and this is ${told.version}`)
  const metrics = told.listMetrics.length
  if (metrics > 0) found.push(`${metrics} metrics of the Kubernetes layer`)
  else missing.push('it has no rules for the Kubernetes layer (oal/ebpf.oal), so nothing would be shown')
  if (config.oapMetrics) {
    const ours = told.ours?.length ?? 0
    if (ours > 0) found.push(`${ours} metrics by the rules of skybraid`)
    else missing.push(noRules)
  }
  return { address, found, missing }
}

/** OAP answered that it takes access logs, or that it has nobody who would. */
function isAnswer({ code }: OapAnswer): boolean {
  return code === OapCode.ok || code === OapCode.unimplemented
}

function explainMetrics(answer: OapAnswer): string {
  return answer.code === OapCode.unimplemented
    ? 'it takes no OpenTelemetry metrics (--oap-metrics): its module receiver-otel is off, or has no handler otlp-metrics (SW_OTEL_RECEIVER=default, SW_OTEL_RECEIVER_ENABLED_HANDLERS=otlp-metrics)'
    : `of OpenTelemetry metrics (--oap-metrics): ${explain(answer)}`
}

/** Why not, where it doesn't answer. */
async function askQueries(at: HostPort): Promise<QueryAnswer | string> {
  try {
    const answer = await fetch(`http://${formatHostPort(at)}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
      signal: AbortSignal.timeout(queryMs),
    })
    const { data } = (await answer.json()) as { data?: QueryAnswer }
    if (typeof data?.version !== 'string' || !Array.isArray(data.listMetrics))
      return 'its answer is none of OAP'
    return data
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { message?: string } }
    return cause?.message || message
  }
}

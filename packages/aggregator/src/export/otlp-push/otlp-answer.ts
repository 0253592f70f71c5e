import { grpcCodes } from '../otlp/grpc-codes.ts'
import { type PartialSuccess, readPartialSuccess } from './partial-success.ts'

/**
 * What became of a request. `again`: the receiver certainly did not take it, and may later; `lasting` where somebody
 * has to change something. `unknown`: it may have been counted, so it must not be sent again.
 */
export type OtlpAnswer =
  | { readonly outcome: 'taken'; readonly partial: PartialSuccess | undefined }
  | { readonly outcome: 'refused' | 'unknown'; readonly why: string }
  | {
      readonly outcome: 'again'
      readonly why: string
      readonly isLasting: boolean
      readonly waitMs: number | undefined
    }

/** A slow receiver costs time; what is given up may have been counted, and so is lost to exactness. */
export const answerMs = 30_000
export const mostAnswerBytes = 64 * 1024
const mostWaitMs = 5 * 60_000

export function taken(response: Uint8Array): OtlpAnswer {
  return { outcome: 'taken', partial: readPartialSuccess(response) }
}

export function again(why: string, isLasting = false, waitMs?: number): OtlpAnswer {
  return { outcome: 'again', why, isLasting, waitMs }
}

/** Nothing of a request goes out before there is a connection. */
export function failed(error: Error, isConnected: boolean): OtlpAnswer {
  // of several addresses of a name each has its own reason
  const why = error instanceof AggregateError ? String(error.errors[0]?.message) : error.message
  return isConnected ? { outcome: 'unknown', why } : again(why)
}

export function answerOfHttp(
  status: number,
  retryAfter: string | undefined,
  response: Uint8Array,
): OtlpAnswer {
  if (status >= 200 && status < 300) return taken(response)
  const why = `the receiver answers ${status}`
  // behind a gateway that gave up waiting it may have been counted
  if (status === 504) return { outcome: 'unknown', why }
  if ([429, 502, 503].includes(status)) return again(why, false, waitOf(retryAfter))
  if ([401, 403, 404, 405, 407].includes(status) || (status >= 300 && status < 400)) return again(why, true)
  return { outcome: 'refused', why }
}

/** `hasDetails`: it says more than a code and a text, as one does that is to be asked again later. */
export function answerOfGrpc(
  code: number,
  message: string,
  hasDetails: boolean,
  response: Uint8Array,
): OtlpAnswer {
  if (code === 0) return taken(response)
  const name = grpcCodes[code] ?? String(code)
  const why = `the receiver answers ${name}${message === '' ? '' : `: ${message}`}`
  if (name === 'UNAVAILABLE' || (name === 'RESOURCE_EXHAUSTED' && hasDetails)) return again(why)
  if (['UNAUTHENTICATED', 'PERMISSION_DENIED', 'UNIMPLEMENTED'].includes(name)) return again(why, true)
  // it may have been counted before that
  if (['CANCELLED', 'DEADLINE_EXCEEDED', 'ABORTED', 'DATA_LOSS'].includes(name))
    return { outcome: 'unknown', why }
  return { outcome: 'refused', why }
}

/** Seconds, or a date. */
function waitOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now()
  return Number.isFinite(ms) ? Math.min(mostWaitMs, Math.max(0, ms)) : undefined
}

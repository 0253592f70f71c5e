import { createHash, timingSafeEqual } from 'node:crypto'

/** What RFC 6750 lets a bearer token consist of. */
const tokenForm = /^[A-Za-z0-9\-._~+/]+=*$/
const minLength = 16
const maxLength = 1024

/** Why a text can't be the token of the API, in words that don't show it; undefined if it can. */
export function tokenProblem(text: string): string | undefined {
  if (text === '') return 'it is empty'
  if (text.length < minLength) return `a token of fewer than ${minLength} characters can be guessed`
  if (text.length > maxLength) return `a token has at most ${maxLength} characters`
  return tokenForm.test(text) ? undefined : 'a token is one line of letters, digits and - . _ ~ + / ='
}

/** The token of an `Authorization` header; undefined where there is none of this scheme. */
export function bearerOf(header: string | undefined): string | undefined {
  return /^Bearer +([^ ]+) *$/i.exec(header ?? '')?.[1]
}

/** Takes as long for any two texts, whatever they have in common: digests are of one length and tell nothing. */
export function isSameToken(given: string, wanted: string): boolean {
  return timingSafeEqual(digestOf(given), digestOf(wanted))
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

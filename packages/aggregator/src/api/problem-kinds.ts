export interface ProblemKind {
  readonly title: string
  /** What it means and what to do, for `/problems`. */
  readonly advice: string
}

/** Every kind of refusal; the key is the anchor in `/problems` and never changes its meaning. */
export const problemKinds = {
  'invalid-parameter': {
    title: 'A query parameter is not valid',
    advice:
      'A parameter is unknown, given twice, or has a value that the path does not take. "errors" names each one, and the nearest known name. /openapi.json lists what every path takes.',
  },
  'malformed-request': {
    title: 'The request is malformed',
    advice: 'The path or a header could not be read. "detail" says what.',
  },
  'not-found': {
    title: 'There is nothing at this path',
    advice:
      'The path does not exist, or what it names (an edge, for example) is not known in the asked range. /openapi.json lists the paths.',
  },
  'method-not-allowed': { title: 'This path can only be read', advice: 'Use GET or HEAD.' },
  unauthorized: {
    title: 'The token is missing or wrong',
    advice:
      'Send the header Authorization: Bearer TOKEN with what the file of --api-token-file holds or, with --api-auth kubernetes, with a token of Kubernetes that is not over. /livez and /readyz want none. In Kubernetes the chart keeps the token in a secret; its notes say how to read it.',
  },
  forbidden: {
    title: 'Kubernetes does not allow this',
    advice:
      'Figures are shown to those who may list pods: in some namespaces of those, in all namespaces of everything. /status and /metrics, which tell of all nodes, take the right to list pods everywhere or to get that URL. A Role or ClusterRole gives it; it counts within a minute.',
  },
  'access-unknown': {
    title: 'Who may see what cannot be asked now',
    advice:
      'Kubernetes could not be asked about this token, so nothing is shown. Wait as long as Retry-After says. The log of the aggregator has the reason; its service account has to be allowed to create tokenreviews and subjectaccessreviews.',
  },
  'forbidden-host': {
    title: 'The Host header is not allowed',
    advice:
      'An API on a loopback address answers only to loopback names, so that a web page elsewhere cannot read it through your browser. Ask for 127.0.0.1 or localhost.',
  },
  'too-many-requests': {
    title: 'Too many requests',
    advice: 'Wait as long as Retry-After says. --request-rate sets the limit per client.',
  },
  overloaded: {
    title: 'The aggregator is overloaded',
    advice:
      'The aggregator puts taking records above answering. Wait as long as Retry-After says; ask for a shorter range or a coarser grouping.',
  },
  timeout: {
    title: 'The answer took too long',
    advice: 'Ask for a shorter range or a coarser grouping.',
  },
  'too-many-streams': {
    title: 'Too many live clients',
    advice: 'So many clients follow /topology/stream already. --max-streams sets the limit.',
  },
  internal: {
    title: 'The aggregator failed to answer',
    advice: 'This is a bug. The log of the aggregator has the reason; please report it.',
  },
} as const satisfies Readonly<Record<string, ProblemKind>>

export type ProblemKindName = keyof typeof problemKinds

/** The `type` of a problem: an address that is relative to the API's own and says more. */
export function problemType(kind: ProblemKindName): string {
  return `/problems#${kind}`
}

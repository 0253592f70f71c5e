import Type from 'typebox'

const strict = { additionalProperties: false } as const

const resource = Type.Object(
  {
    resource: Type.String(),
    watching: Type.Boolean(),
    heardMs: Type.Integer({ description: 'last list, event or bookmark, in Unix milliseconds; 0 if none' }),
    lists: Type.Integer(),
    watches: Type.Integer({ description: 'watches begun: the server ends one every few minutes' }),
    events: Type.Integer(),
    failures: Type.Integer(),
    lastError: Type.String(),
  },
  { ...strict, title: 'KubernetesResource' },
)

/** The watch of Kubernetes in `/status`; mirrors KubernetesStatus in kube/kubernetes.ts. */
export const kubernetesSchema = Type.Object(
  {
    server: Type.String(),
    synced: Type.Boolean({ description: 'everything was listed once' }),
    ageMs: Type.Optional(
      Type.Integer({
        description: 'how old the oldest of what is known may be; names stay while the API is away',
      }),
    ),
    pods: Type.Integer(),
    services: Type.Integer(),
    nodes: Type.Integer(),
    gone: Type.Integer({ description: 'deleted objects that are remembered' }),
    forgotten: Type.Integer({ description: 'deleted objects forgotten early, because there were too many' }),
    resources: Type.Array(resource),
  },
  { ...strict, title: 'Kubernetes' },
)

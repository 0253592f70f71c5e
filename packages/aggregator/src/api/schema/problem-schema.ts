import Type from 'typebox'

/** What every refused request gets (RFC 9457). */
export const problemSchema = Type.Object(
  {
    type: Type.String({
      description: 'address relative to the API: /problems#… says more; stable, made for programs',
    }),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.String(),
    instance: Type.String({ description: 'path that was asked for' }),
    errors: Type.Optional(
      Type.Array(
        Type.Object(
          {
            parameter: Type.String(),
            detail: Type.String(),
            nearest: Type.Optional(
              Type.String({ description: 'the known parameter closest to an unknown one' }),
            ),
          },
          { additionalProperties: false },
        ),
      ),
    ),
  },
  { additionalProperties: false, $id: 'Problem', title: 'Problem' },
)

function problemResponse(description: string) {
  return { description, content: { 'application/problem+json': { schema: Type.Ref('Problem#') } } }
}

/** Refusals that any route may answer. */
export const refusals = {
  400: problemResponse('A parameter is unknown or malformed'),
  401: problemResponse('The token is missing or wrong, where the API wants one'),
  403: problemResponse('The Host header is not a loopback name'),
  429: problemResponse('Too many requests; Retry-After says how long to wait'),
  503: problemResponse('Overloaded or shutting down; Retry-After says how long to wait'),
}

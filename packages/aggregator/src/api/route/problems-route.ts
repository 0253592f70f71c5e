import Type from 'typebox'
import type { ApiServer } from '../api-deps.ts'
import { type ProblemKind, problemKinds } from '../problem-kinds.ts'

/** `GET /problems`: what each `type` of a refusal means and what to do, for people. */
export function problemsRoute(app: ApiServer): void {
  const page = pageOf(Object.entries(problemKinds))
  const schema = {
    summary: 'What each type of problem means and what to do',
    tags: ['status'],
    querystring: Type.Object({}, { additionalProperties: false }),
    response: {
      200: {
        description: 'HTML',
        content: { 'text/html': { schema: Type.Unsafe<string>({ type: 'string' }) } },
      },
    },
  }
  app.get('/problems', { schema }, async (_request, reply) =>
    reply.header('cache-control', 'private, max-age=3600').type('text/html; charset=utf-8').send(page),
  )
}

function pageOf(kinds: readonly (readonly [string, ProblemKind])[]): string {
  const sections = kinds.map(
    ([kind, { title, advice }]) =>
      `<section id="${kind}"><h2>${title}</h2><p><code>${kind}</code></p><p>${advice.replaceAll('"', '&quot;')}</p></section>`,
  )
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>skybraid: problems</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/app.css">
</head>
<body class="reading">
<main>
<h1>Problems</h1>
<p>A refused request is answered with <code>application/problem+json</code>. Its <code>type</code> leads here.</p>
${sections.join('\n')}
</main>
</body>
</html>
`
}

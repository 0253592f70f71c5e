import type { SaidBlock, SaidBlockName, SaidView } from './answer.ts'
import type { AnswerForm } from './answer-text.ts'

/** The blocks of an edge as JSON without its first brace. */
export function saidText(blocks: Partial<Record<SaidBlockName, SaidBlock>>, form: AnswerForm): string {
  if (form === 'detail') return JSON.stringify(blocks).slice(1)
  const short = Object.entries(blocks).map(([name, { client, server, ...block }]) => {
    const ends = {
      ...(client && { client: shortView(client) }),
      ...(server && { server: shortView(server) }),
    }
    return [name, { ...block, ...ends }]
  })
  return JSON.stringify(Object.fromEntries(short)).slice(1)
}

/** What most readers want; what is 0 for most is left out then. */
function shortView({ requests, errors, unknown, firstByteUs }: SaidView) {
  return {
    requests,
    errors,
    ...(unknown !== 0 && { unknown }),
    ...(firstByteUs && { firstByteUs: { p50: firstByteUs.p50, p99: firstByteUs.p99 } }),
  }
}

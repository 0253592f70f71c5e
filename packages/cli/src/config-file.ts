import { parseDocument } from 'yaml'

/** Options by name from YAML, and so from JSON too. Throws an Error of one line that says where the text is wrong. */
export function parseConfigFile(text: string): unknown {
  const document = parseDocument(text, { uniqueKeys: true })
  const problem = document.errors[0]
  // what follows the first line is an excerpt
  if (problem !== undefined) throw new Error(problem.message.split('\n')[0]!.replace(/:$/, ''))
  return document.toJS({ maxAliasCount: 100 }) ?? {}
}

// Imports the modules given as arguments and prints the address of every module that is loaded by that, one a line.
import { registerHooks } from 'node:module'
import { pathToFileURL } from 'node:url'

const loaded = []
registerHooks({
  load(url, context, nextLoad) {
    loaded.push(url)
    return nextLoad(url, context)
  },
})
for (const path of process.argv.slice(2)) await import(pathToFileURL(path).href)
process.stdout.write(`${loaded.join('\n')}\n`)

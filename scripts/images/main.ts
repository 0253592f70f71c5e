import { parseArgs } from 'node:util'
import { buildImages, writeRoot } from './build.ts'
import { type ImageName, imageNames } from './catalogue.ts'

const help = `Images of skybraid as OCI archives, made from what is installed and built here, without a base image.

  npm run images                      all: ${imageNames.join(', ')}
  npm run images -- NAME…             some
  npm run images -- --root DIR NAME   the content of one as plain files in DIR

  --out DIR         where they go (.cache/images)
  --registry NAME   first part of their names (skybraid.local)
  --json            print JSON
  --help            this text
`

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    out: { type: 'string', default: '.cache/images' },
    registry: { type: 'string', default: 'skybraid.local' },
    root: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

const isName = (name: string): name is ImageName => imageNames.some(known => known === name)

async function main(): Promise<number> {
  if (values.help) {
    console.log(help)
    return 0
  }
  const unknown = positionals.find(name => !isName(name))
  if (unknown !== undefined) throw new Error(`no image "${unknown}": ${imageNames.join(', ')}`)
  const names = positionals.length > 0 ? positionals.filter(isName) : imageNames
  if (values.root !== undefined) {
    if (names.length !== 1) throw new Error('--root DIR needs one name')
    await writeRoot(names[0]!, values.root)
    return 0
  }
  const built = await buildImages(names, values.out, values.registry)
  if (values.json) console.log(JSON.stringify(built))
  else
    for (const { name, archive, digest, compressedBytes } of built)
      console.log(`${name}  ${(compressedBytes / 1e6).toFixed(1)} MB  ${digest}  ${archive}`)
  return 0
}

try {
  process.exitCode = await main()
} catch (error) {
  console.error(`images: ${(error as Error).message}`)
  process.exitCode = 1
}

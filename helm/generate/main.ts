// Writes what follows from values.yaml and from the options of the programs: values.schema.json and the table in the
// chart's README. `npm run chart`; a test fails when it is not done.
import { readFileSync, writeFileSync } from 'node:fs'
import { chartFiles } from './chart-files.ts'

const chart = new URL('../skybraid/', import.meta.url)
for (const [name, text] of chartFiles(file => readFileSync(new URL(file, chart), 'utf8'))) {
  writeFileSync(new URL(name, chart), text)
}

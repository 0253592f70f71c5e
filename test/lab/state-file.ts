import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { runDirectory, runRoot } from './names.ts'
import type { LabSpec } from './spec.ts'

/** The state file is written before anything is made, so that a crash at any point leaves a lab that can be removed. */
export async function writeState(spec: LabSpec): Promise<void> {
  const directory = runDirectory(spec.id)
  await mkdir(directory, { recursive: true })
  await writeFile(`${directory}/lab.json.new`, `${JSON.stringify(spec, undefined, 2)}\n`)
  await rename(`${directory}/lab.json.new`, `${directory}/lab.json`)
}

export async function readState(labId: string): Promise<LabSpec | undefined> {
  try {
    return JSON.parse(await readFile(`${runDirectory(labId)}/lab.json`, 'utf8')) as LabSpec
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

export const removeState = (labId: string) => rm(runDirectory(labId), { recursive: true, force: true })

export async function labIds(): Promise<string[]> {
  const entries = await readdir(runRoot, { withFileTypes: true }).catch(() => [])
  return entries.filter(e => e.isDirectory()).map(e => e.name)
}

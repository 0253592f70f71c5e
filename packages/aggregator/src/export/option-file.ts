import { readFileSync } from 'node:fs'
import { SkybraidError } from '@skybraid/shared'

/** The bytes of a file that an option names. Throws SB_CONFIG, which names both, where it cannot be read. */
export function readOptionFile(option: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new SkybraidError(
      'SB_CONFIG',
      `${option} ${path} cannot be read: ${(error as Error).message}.`,
      error,
    )
  }
}

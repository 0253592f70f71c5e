import { chmodSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { archiveOf } from './archive.ts'
import { type ImageName, imagesOf, ownVersion } from './catalogue.ts'
import { type Entry, type Layer, layerOf } from './layer.ts'
import { sbomOf } from './sbom.ts'

export interface BuiltImage {
  readonly name: string
  readonly archive: string
  readonly sbom: string
  readonly digest: string
  readonly compressedBytes: number
}

/** Writes archive and bill of materials of each image into a folder. */
export async function buildImages(
  names: readonly ImageName[],
  folder: string,
  registry: string,
): Promise<BuiltImage[]> {
  mkdirSync(folder, { recursive: true })
  const version = ownVersion()
  const known = new Map<readonly Entry[], Promise<Layer>>()
  const layer = (entries: readonly Entry[]) => {
    if (!known.has(entries)) known.set(entries, layerOf(entries))
    return known.get(entries)!
  }
  const built: BuiltImage[] = []
  for (const image of await imagesOf(names)) {
    const name = `${registry}/${image.name}:${version}`
    const layers = await Promise.all(image.layers.map(layer))
    const { digest, bytes, compressedSize } = await archiveOf(name, layers, image.run)
    const archive = join(folder, `${image.name}.tar`)
    const sbom = join(folder, `${image.name}.cdx.json`)
    write(archive, bytes)
    write(sbom, sbomOf(image.name, version, digest, image.components))
    built.push({ name, archive, sbom, digest, compressedBytes: compressedSize })
  }
  return built
}

/** Writes the content of one image into an empty folder, for builders that make images their own way. */
export async function writeRoot(name: ImageName, folder: string): Promise<void> {
  const [image] = await imagesOf([name])
  for (const entry of image!.layers.flat()) {
    const path = join(folder, entry.path)
    mkdirSync(dirname(path), { recursive: true })
    if ('content' in entry) {
      writeFileSync(path, entry.content)
      chmodSync(path, entry.mode)
    } else if ('linkTo' in entry) symlinkSync(entry.linkTo, path)
    else {
      mkdirSync(path, { recursive: true })
      // what whoever runs this does not let others do must not get into an image
      chmodSync(path, entry.directoryMode)
    }
  }
}

/** Whole or not at all: somebody may be reading the former one. */
function write(path: string, content: string | Buffer): void {
  writeFileSync(`${path}.new`, content)
  renameSync(`${path}.new`, path)
}

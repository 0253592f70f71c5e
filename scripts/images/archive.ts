import { digestOf, type Entry, type Layer, tarOf } from './layer.ts'

/** How a container of the image is run, in the words of the image specification. */
export interface RunConfig {
  readonly entrypoint: readonly string[]
  readonly user: string
  readonly env?: readonly string[]
  readonly labels?: Readonly<Record<string, string>>
}

export interface Archive {
  /** The digest of the manifest, by which a registry would know the image. */
  readonly digest: string
  readonly bytes: Buffer
  /** Size of all layers, compressed: what a node downloads. */
  readonly compressedSize: number
}

const created = '1970-01-01T00:00:00Z'

/** An image of one platform as an OCI layout in one tar, which containerd, Podman, skopeo and Docker import. */
export async function archiveOf(name: string, layers: readonly Layer[], run: RunConfig): Promise<Archive> {
  const config = json({
    created,
    architecture: 'amd64',
    os: 'linux',
    config: {
      Entrypoint: run.entrypoint,
      User: run.user,
      Env: run.env ?? [],
      WorkingDir: '/',
      Labels: run.labels ?? {},
    },
    rootfs: { type: 'layers', diff_ids: layers.map(l => l.diffId) },
    history: layers.map(() => ({ created, created_by: 'npm run images' })),
  })
  const manifest = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: describe('application/vnd.oci.image.config.v1+json', config),
    layers: layers.map(l => describe('application/vnd.oci.image.layer.v1.tar+gzip', l.blob)),
  })
  const index = json({
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.index.v1+json',
    manifests: [
      {
        ...describe('application/vnd.oci.image.manifest.v1+json', manifest),
        platform: { architecture: 'amd64', os: 'linux' },
        annotations: {
          'io.containerd.image.name': name,
          'org.opencontainers.image.ref.name': name.slice(name.lastIndexOf(':') + 1),
        },
      },
    ],
  })
  const blobs = new Map([config, manifest, ...layers.map(l => l.blob)].map(blob => [digestOf(blob), blob]))
  const bytes = await tarOf([
    file('oci-layout', json({ imageLayoutVersion: '1.0.0' })),
    file('index.json', index),
    ...[...blobs].map(([digest, blob]) => file(`blobs/${digest.replace(':', '/')}`, blob)),
  ])
  return {
    digest: digestOf(manifest),
    bytes,
    compressedSize: layers.reduce((sum, l) => sum + l.blob.length, 0),
  }
}

const json = (value: object) => Buffer.from(JSON.stringify(value))
const file = (path: string, content: Buffer): Entry => ({ path, content, mode: 0o644 })
const describe = (mediaType: string, blob: Buffer) => ({
  mediaType,
  digest: digestOf(blob),
  size: blob.length,
})

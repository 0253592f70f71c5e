/** One part of an image, as CycloneDX names it. */
export interface Component {
  readonly type: 'application' | 'library'
  readonly name: string
  readonly version?: string
  readonly purl?: string
}

/** What an image is made of, as CycloneDX 1.6. It has neither time nor serial number, so equal images have equal ones. */
export function sbomOf(
  image: string,
  version: string,
  digest: string,
  components: readonly Component[],
): string {
  const document = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: {
        type: 'container',
        'bom-ref': image,
        name: image,
        version,
        hashes: [{ alg: 'SHA-256', content: digest.replace('sha256:', '') }],
      },
    },
    components: components.map((component, i) => ({
      'bom-ref': component.purl ?? `${component.name}-${i}`,
      ...component,
    })),
  }
  return JSON.stringify(document, undefined, 2)
}

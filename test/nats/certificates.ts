import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { runCommand } from '../lab/run-command.ts'

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** A certificate authority of its own, made by openssl in a folder. */
export interface Authority {
  /** File with its certificate. */
  readonly ca: string
  /** Signs a certificate for 127.0.0.1; answers with its files. */
  issue(name: string): Promise<Certificate>
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

export async function authority(folder: string, name: string): Promise<Authority> {
  const path = (file: string) => join(folder, `${name}-${file}`)
  const [ca, caKey] = [path('ca.pem'), path('ca.key')]
  await openssl('req', '-x509', ...newKey, '-days', '2', '-subj', `/CN=${name}`, '-keyout', caKey, '-out', ca)
  return {
    ca,
    async issue(subject) {
      const [cert, key, request, extension] = ['pem', 'key', 'csr', 'ext'].map(end =>
        path(`${subject}.${end}`),
      )
      writeFileSync(extension, 'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n')
      await openssl('req', '-new', ...newKey, '-subj', `/CN=${subject}`, '-keyout', key, '-out', request)
      const signing = ['-CA', ca, '-CAkey', caKey, '-CAcreateserial', '-days', '2', '-extfile', extension]
      await openssl('x509', '-req', '-in', request, '-out', cert, ...signing)
      return { cert, key }
    },
  }
}

function openssl(...args: string[]) {
  return runCommand(['openssl', ...args])
}

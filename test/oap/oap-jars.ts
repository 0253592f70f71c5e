import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The last version that is on Maven Central, and that has H2. */
export const oapVersion = '10.1.0'

const cache = fileURLToPath(new URL(`../../.cache/oap/${oapVersion}`, import.meta.url))
const folder = join(cache, 'lib')
/** Holds what the jars were fetched by. */
const marker = join(cache, 'complete')

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>skybraid</groupId>
  <artifactId>oap-jars</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencyManagement>
    <dependencies>
      <!-- as OAP is released: without it Maven takes classes that do not fit the library for TLS -->
      <dependency>
        <groupId>io.netty</groupId>
        <artifactId>netty-tcnative-classes</artifactId>
        <version>2.0.65.Final</version>
      </dependency>
    </dependencies>
  </dependencyManagement>
  <dependencies>
    <dependency>
      <groupId>org.apache.skywalking</groupId>
      <artifactId>server-starter</artifactId>
      <version>${oapVersion}</version>
    </dependency>
  </dependencies>
</project>
`

/** The folder with the server's jars; undefined if they are not on this machine. */
export function oapJars(): string | undefined {
  return existsSync(marker) && readFileSync(marker, 'utf8') === pom ? folder : undefined
}

/** Why no OAP can be started here without fetching anything; undefined if it can. */
export function oapObstacle(): string | undefined {
  if (oapJars() === undefined) return 'the jars of OAP are not here; npm run oap -- up fetches them (132 MB)'
  return isOnPath('java') ? undefined : 'Java is not installed (Debian package openjdk-17-jre-headless)'
}

/** Fetches the jars through Maven unless they are here; afterwards no network is needed. */
export async function fetchOapJars(say: (line: string) => void): Promise<string> {
  const known = oapJars()
  if (known !== undefined) return known
  if (!isOnPath('mvn')) throw new Error('Maven is not installed (Debian package maven)')
  const building = join(cache, `fetching.${process.pid}`)
  mkdirSync(building, { recursive: true })
  try {
    writeFileSync(join(building, 'pom.xml'), pom)
    const progress = setInterval(
      () => say(`fetching the jars of OAP ${oapVersion}: ${countIn(building)} of 263`),
      2_000,
    )
    await maven(building).finally(() => clearInterval(progress))
    rmSync(folder, { recursive: true, force: true })
    renameSync(join(building, 'lib'), folder)
    writeFileSync(marker, pom)
  } finally {
    rmSync(building, { recursive: true, force: true })
  }
  return folder
}

function maven(building: string): Promise<void> {
  const args = [
    '-q',
    '-B',
    'dependency:copy-dependencies',
    '-DincludeScope=runtime',
    `-DoutputDirectory=${join(building, 'lib')}`,
  ]
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const child = spawn('mvn', args, { cwd: building, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const keep = (text: Buffer) => {
    output = (output + text.toString()).slice(-4_000)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  child.once('error', reject)
  child.once('close', code =>
    code === 0 ? resolve() : reject(new Error(`Maven ended with ${code}:\n${output}`)),
  )
  return promise
}

function countIn(building: string): number {
  const lib = join(building, 'lib')
  return existsSync(lib) ? readdirSync(lib).length : 0
}

function isOnPath(program: string): boolean {
  return (process.env.PATH ?? '').split(':').some(directory => existsSync(join(directory, program)))
}

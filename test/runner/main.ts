import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { whyNoCluster } from '../kube/cluster/programs.ts'
import { whyNoApiServer } from '../kube-api/api-server.ts'
import { whyNoLab } from '../lab/why-no-lab.ts'
import { oapObstacle } from '../oap/oap-jars.ts'
import {
  check,
  checkBeside,
  nativeTests,
  type Outcome,
  run,
  type Stage,
  vitest,
  vitestInRealTime,
} from './stage.ts'
import { add, nothing } from './tally.ts'
import { whetherRan } from './whether-ran.ts'

/** Why the kernel tests cannot run here; undefined if they can. */
function kernelObstacle(): string | undefined {
  if (process.geteuid?.() !== 0) return 'not root: they load programs into the kernel'
  if (!existsSync('/sys/kernel/btf/vmlinux')) return 'this kernel has no BTF (/sys/kernel/btf/vmlinux)'
  return undefined
}

/** Why the tests of the bus cannot run here; undefined if they can. */
function busObstacle(): string | undefined {
  const { status, stderr } = spawnSync('bash', ['scripts/nats-programs.sh', 'server'], { encoding: 'utf8' })
  return status === 0 ? undefined : stderr.trim().split('\n').at(-1)
}

function describeOutcome({ title, tally, seconds, skip }: Outcome): string {
  if (skip !== undefined) return `${title}: skipped, ${skip}`
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : ''
  return `${title}: ${tally.passed} passed, ${tally.failed} failed${skipped} in ${seconds.toFixed(1)} s`
}

mkdirSync('.cache/test', { recursive: true })
const kernelSkip = kernelObstacle()
const labTitle = 'kernel, lab and end-to-end tests'
const oapSkip = oapObstacle()
const oapTitle = 'tests against a real OAP'
const hostileBatches = ['--conditions=source', 'test/fuzz/decode-fuzz.ts', '--seconds', '60']
/** A list among them runs at once. */
const stages: (Stage | readonly Stage[])[] = [
  check('format and lint', 'biome', 'ci', '.'),
  check('types', 'tsc', '-b'),
  check('format of C++', 'make', '-C', 'native', 'check-format'),
  vitest('unit and property tests', 'unit'),
  nativeTests('native tests, plain and with sanitizers', 'make', '-j2', '-C', 'native', 'test'),
  vitestInRealTime('tests of the bus', 'bus', busObstacle()),
  // an OAP shows what it has minutes later, and waiting for that takes no processor
  [
    vitestInRealTime(oapTitle, 'oap', oapSkip),
    checkBeside('hostile batches, 60 s', 'node', ...hostileBatches),
    checkBeside('hostile bytes for the parsers, 20 s each', 'make', '-C', 'native', 'fuzz'),
  ],
  vitestInRealTime(
    'tests against a real API server of Kubernetes',
    'kube-api',
    whyNoApiServer() || undefined,
  ),
  vitestInRealTime(labTitle, 'lab', kernelSkip),
  vitestInRealTime('tests on a real cluster', 'kube', kernelSkip ?? (whyNoCluster() || undefined)),
]

const outcomes: Outcome[] = []
for (const stage of stages) outcomes.push(...(await Promise.all([stage].flat().map(run))))
const tallyOf = (title: string) => outcomes.find(each => each.title === title)!.tally
const kernelTests = whetherRan(kernelSkip, whyNoLab(), tallyOf(labTitle))
writeFileSync('.cache/test/kernel-tests', kernelTests)
writeFileSync('.cache/test/oap-tests', whetherRan(oapSkip, '', tallyOf(oapTitle)))

const { passed, failed, skipped } = outcomes.map(outcome => outcome.tally).reduce(add, nothing)
const lines = [
  ...outcomes.flatMap(({ failures }) => failures.map(failure => `failed: ${failure}`)),
  ...outcomes.flatMap(({ passedAgain = [] }) => passedAgain.map(was => `failed once, then passed: ${was}`)),
  ...outcomes.map(describeOutcome),
]
process.stdout.write(`\n${lines.join('\n')}\n`)
if (kernelTests !== 'ran') process.stdout.write(`kernel, lab and end-to-end tests: ${kernelTests}\n`)
process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`)
process.exitCode = failed === 0 ? 0 : 1

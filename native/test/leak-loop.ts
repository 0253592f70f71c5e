// Opens and closes a capture again and again and prints what is left: run by capture.test.ts in a process of its own.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { openCapture } from '../../packages/collector/src/source/open-capture.ts'

const cgroupPath = process.argv[2]!
const warmUp = 20
const cycles = 50

/** Ids of the kernel programs that this process has open. */
function openPrograms(): number[] {
  return readdirSync('/proc/self/fdinfo').flatMap(fd => {
    try {
      const id = /^prog_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))
      return id ? [Number(id[1])] : []
    } catch {
      return [] // the descriptor of the listing itself
    }
  })
}

/** Which of them the kernel still has; it frees programs a moment after their last holder let go. */
async function stillThere(ids: ReadonlySet<number>): Promise<number> {
  const deadline = performance.now() + 5000
  for (;;) {
    const list = JSON.parse(execFileSync('bpftool', ['prog', 'list', '-j'], { encoding: 'utf8' })) as {
      id: number
    }[]
    const left = list.filter(program => ids.has(program.id)).length
    if (left === 0 || performance.now() > deadline) return left
    await new Promise(done => setTimeout(done, 50))
  }
}

/** Resident memory that is not pages of files: those come and go with what else the machine does. */
const anonymousKb = (): number =>
  Number(/^RssAnon:\s*(\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))![1])
const threads = (): number => readdirSync('/proc/self/task').length
const before = threads()
const programs = new Set<number>()
let warmKb = 0
for (let i = 1; i <= warmUp + cycles; i++) {
  const capture = openCapture({
    cgroupPath,
    flushMs: 10,
    partitions: 4,
    ringBytes: 1 << 20,
    maxFlows: 1000,
    udp: true,
    taskFiles: false,
    reportMs: 1000,
    announceMs: 60_000,
    onFlush() {},
  })
  if (i === 1 || i === warmUp + cycles) for (const id of openPrograms()) programs.add(id)
  capture.close()
  // Wrappers and buffers of the addon are collected on a later turn.
  await new Promise(done => setImmediate(done))
  globalThis.gc?.()
  if (i === warmUp) warmKb = anonymousKb()
}
const endKb = anonymousKb()
console.log(
  JSON.stringify({
    warmKb,
    endKb,
    programsHeld: programs.size,
    programsLeft: await stillThere(programs),
    threads: { before, after: threads() },
  }),
)

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { afterEach, describe, expect, it } from 'vitest'
import { added, labPieces } from '../e2e/remains.ts'
import { whyNoLab } from './why-no-lab.ts'

const missing = whyNoLab()
const run = promisify(execFile)
const id = `cli-${process.pid}`

/** `npm run lab -- …` as somebody types it. */
const lab = async (...args: string[]) =>
  (await run('npm', ['run', '--silent', 'lab', '--', '--id', id, ...args])).stdout

describe.skipIf(missing !== '')(`npm run lab ${missing}`, () => {
  afterEach(() => lab('down'))

  it('makes a cluster, runs programs in pods with their exit codes, says what is there, and removes it all; each as often as one likes', async () => {
    const before = await labPieces()
    const size = ['--nodes', '2', '--pods', '1'] as const
    await lab('up', ...size)
    const up = JSON.parse(await lab('up', ...size, '--json'))
    expect(up).toMatchObject({ id, up: true })
    const [a1, b1] = up.pods as { name: string; v4: string; cgroup: string; processes: number[] }[]
    expect([a1!.name, b1!.name]).toEqual(['a1', 'b1'])
    expect(a1!.cgroup).toMatch(/kubepods\.slice\/.*\/cri-containerd-[0-9a-f]{64}\.scope$/)
    expect(await lab('exec', 'a1', '--', 'ip', '-4', '-brief', 'address')).toContain(a1!.v4)
    expect(JSON.parse(await lab('status', '--json'))).toEqual(up)
    expect(await lab('status')).toContain(b1!.v4)
    await expect(lab('exec', 'a1', '--', 'sh', '-c', 'exit 7')).rejects.toMatchObject({ code: 7 })
    await expect(lab('exec', 'z9', '--', 'true')).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/^lab: [^\n]+\n$/),
    })
    for (let times = 0; times < 2; times++)
      expect(JSON.parse(await lab('down', '--json'))).toEqual({ id, up: false })
    expect(JSON.parse(await lab('status', '--json'))).toEqual({ id, up: false })
    expect(added(before, await labPieces())).toEqual([])
  })
})

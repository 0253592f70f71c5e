import { existsSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { archiveOf } from '../../../scripts/images/archive.ts'
import { layerOf } from '../../../scripts/images/layer.ts'
import { runCommand } from '../../lab/run-command.ts'
import { registry } from '../cluster/names.ts'
import type { Programs } from '../cluster/programs.ts'

const source = fileURLToPath(new URL('./pause.c', import.meta.url))
const folder = fileURLToPath(new URL('../../../.cache/kube/images', import.meta.url))

/** Archives of what the cluster itself runs in pods, made once: pause and CoreDNS. */
export async function stageImages(programs: Programs): Promise<string[]> {
  await mkdir(folder, { recursive: true })
  const pause = `${folder}/pause`
  if (!existsSync(pause))
    await runCommand(['gcc', '-static', '-Os', '-s', '-Wl,--build-id=none', '-o', pause, source])
  return [await imageOf('pause', pause), await imageOf('coredns', `${programs.coredns}/coredns`)]
}

async function imageOf(name: string, program: string): Promise<string> {
  const path = `${folder}/${name}.tar`
  if (existsSync(path)) return path
  const layer = await layerOf([{ path: name, content: await readFile(program), mode: 0o755 }])
  // binding port 53 needs root or a capability; both programs drop nothing by themselves
  const user = name === 'pause' ? '65535:65535' : '0:0'
  const { bytes } = await archiveOf(`${registry}/${name}:1`, [layer], { entrypoint: [`/${name}`], user })
  await writeFile(`${path}.new`, bytes)
  await rename(`${path}.new`, path)
  return path
}

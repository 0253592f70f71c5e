import type { Lab } from './lab.ts'
import type { LabProcess } from './lab-process.ts'
import { program } from './program.ts'
import type { Addresses } from './spec.ts'
import { until } from './until.ts'

export interface TapLink {
  readonly process: LabProcess
  /** Addresses of the two ends on this link. */
  readonly first: Addresses
  readonly second: Addresses
}

/**
 * Joins two pods by a pair of tap devices with virtio-net headers, beside their ordinary links. Large segments cross it
 * whole (unless `plain`); with `delayMs` every frame is held for so long.
 */
export async function addTapLink(
  lab: Lab,
  pods: readonly [string, string],
  options: { readonly delayMs?: number; readonly plain?: boolean } = {},
): Promise<TapLink> {
  const argv = [await program('tap-link'), lab.netnsPath(pods[0]), lab.netnsPath(pods[1])]
  if (options.delayMs !== undefined) argv.push('--delay', String(options.delayMs))
  if (options.plain) argv.push('--plain')
  const child = await lab.spawn('outside', argv, { name: 'tap-link' })
  await until('tap-link ready', () => child.stdout.includes('ready'), { describe: () => child.stderr })
  const ends = [
    { v4: '192.168.77.1', v6: 'fd77::1' },
    { v4: '192.168.77.2', v6: 'fd77::2' },
  ] as const
  for (const [i, pod] of pods.entries()) {
    const { v4, v6 } = ends[i]!
    await lab.ip(pod, [
      `addr add ${v4}/24 dev tap0`,
      `addr add ${v6}/64 dev tap0 nodad`,
      'link set tap0 txqueuelen 10000 up',
    ])
  }
  return { process: child, first: ends[0], second: ends[1] }
}

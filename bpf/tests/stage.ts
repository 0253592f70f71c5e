import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { afterEach, beforeAll, beforeEach } from 'vitest'
import { LineProcess } from './line-process.ts'
import { type DumpOptions, Rows } from './rows.ts'

export const Net = {
  client: '10.201.1.2',
  server: '10.201.2.2',
  service: '10.201.9.9',
  unused: '10.201.2.77',
  near: '10.201.1.77', // nobody either, but on the client's own link
} as const
export const Net6 = { client: 'fd00:201:1::2', server: 'fd00:201:2::2' } as const

type Place = 'client' | 'router' | 'server'

export interface Answer {
  readonly result: number
  readonly errno: number
  readonly port: number
  readonly [field: string]: number
}

/** One end: a program that uses sockets as it is told (traffic.c). */
export class Peer {
  readonly #process: LineProcess
  #asked = 0

  constructor(process: LineProcess) {
    this.#process = process
  }

  get pid(): number {
    return this.#process.child.pid ?? 0
  }

  /** Runs a command and returns its answer, whatever it is. */
  ask(command: string, timeoutMs?: number): Promise<Answer> {
    const index = this.#asked++
    this.#process.tell(command)
    return this.#process.until(
      command,
      () => this.#process.lines[index] as unknown as Answer | undefined,
      timeoutMs,
    )
  }

  /** Runs commands one after the other, each of which must succeed; returns the last answer. */
  async run(...commands: readonly string[]): Promise<Answer> {
    let answer: Answer = { result: 0, errno: 0, port: 0 }
    for (const command of commands) {
      answer = await this.ask(command)
      if (answer.result < 0) throw new Error(`${command}: errno ${answer.errno}`)
    }
    return answer
  }

  kill(): void {
    this.#process.child.kill('SIGKILL')
  }

  end(): Promise<void> {
    return this.#process.end()
  }
}

function sh(command: string): string {
  return execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

function cgroupMount(): string | undefined {
  const line = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .find(mount => mount.split(' ')[2] === 'cgroup2')
  return line?.split(' ')[1]
}

/** Why kernel tests can't run here; undefined if they can. */
export function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'not root'
  if (!existsSync('/sys/kernel/btf/vmlinux')) return 'no BTF'
  if (cgroupMount() === undefined) return 'no cgroup2'
  return undefined
}

/** Compiles the kernel programs and the helper programs of the tests. */
export function build(): void {
  execFileSync('make', ['-s', '-C', new URL('..', import.meta.url).pathname, 'all', 'tools'], {
    stdio: 'pipe',
  })
}

let stages = 0

/** Client, router and server in namespaces of their own, and a cgroup that the programs watch. */
export class Stage {
  readonly cgroup: string
  readonly #name: string
  readonly #peers: Peer[] = []
  readonly #rows: Rows[] = []

  constructor() {
    this.#name = `sbk${process.pid}x${stages++}`
    this.cgroup = `${cgroupMount()}/${this.#name}`
    mkdirSync(this.cgroup)
    try {
      this.#makeNetwork()
    } catch (error) {
      this.#removeNetwork()
      throw error
    }
  }

  space(place: Place): string {
    return `${this.#name}${place[0]}`
  }

  /** Runs a shell command in a place's network namespace. */
  in(place: Place, command: string): string {
    return execFileSync('nsenter', [`--net=/run/netns/${this.space(place)}`, 'sh', '-ec', command], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    })
  }

  netns(place: Place): number {
    return Number(sh(`stat -Lc %i /run/netns/${this.space(place)}`))
  }

  /** A program in a place, inside the watched cgroup (or a child of it). */
  peer(place: Place, options: { readonly child?: string; readonly outside?: boolean } = {}): Peer {
    const cgroup = options.child === undefined ? this.cgroup : `${this.cgroup}/${options.child}`
    if (options.child !== undefined && !existsSync(cgroup)) mkdirSync(cgroup)
    const join = options.outside === true ? '' : `echo $$ > ${cgroup}/cgroup.procs; `
    const traffic = new URL('../build/traffic', import.meta.url).pathname
    const peer = new Peer(
      new LineProcess('nsenter', [
        `--net=/run/netns/${this.space(place)}`,
        'sh',
        '-c',
        `${join}exec ${traffic}`,
      ]),
    )
    this.#peers.push(peer)
    return peer
  }

  /** Moves a running program to a child of the watched cgroup. */
  move(pid: number, child: string): void {
    mkdirSync(`${this.cgroup}/${child}`, { recursive: true })
    writeFileSync(`${this.cgroup}/${child}/cgroup.procs`, String(pid))
  }

  async rows(options?: DumpOptions & { readonly cgroup?: string }): Promise<Rows> {
    const rows = await Rows.open(options?.cgroup ?? this.cgroup, options)
    this.#rows.push(rows)
    return rows
  }

  /** Adds a rule to the router: hook is `forward`, `prerouting` or `postrouting`. */
  rule(hook: 'forward' | 'prerouting' | 'postrouting', rule: string): void {
    this.in('router', `nft 'add rule inet t ${hook} ${rule}'`)
  }

  /** Takes all rules of the forwarding path away. */
  clear(): void {
    this.in('router', 'nft flush chain inet t forward')
  }

  /** One of the namespace's own TCP counters, as in /proc/net/snmp. */
  tcpCounter(place: Place, name: string): number {
    const [names, values] = this.in(place, 'grep ^Tcp: /proc/net/snmp')
      .trim()
      .split('\n')
      .map(line => line.split(' '))
    return Number(values?.[names?.indexOf(name) ?? -1])
  }

  /** Turns off offloads on a place's link, so that every segment is a packet of its own. */
  segmentEach(place: 'client' | 'server'): void {
    for (const side of [place, 'router'] as const)
      this.in(side, `ethtool -K ${this.#name}${place[0]}v tso off gso off gro off`)
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) await peer.end().catch(() => undefined)
    for (const rows of this.#rows) await rows.close().catch(() => undefined)
    this.#removeNetwork()
    sh(`find ${this.cgroup} -depth -mindepth 1 -type d -exec rmdir {} \\;`)
    rmdirSync(this.cgroup)
  }

  #makeNetwork(): void {
    for (const place of ['client', 'router', 'server'] as const) {
      sh(`ip netns add ${this.space(place)}`)
      this.in(place, 'ip link set lo up')
    }
    this.#link('client', 1)
    this.#link('server', 2)
    this.in('router', 'sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1')
    this.in(
      'router',
      `nft "add table inet t; add chain inet t forward { type filter hook forward priority 0; };
        add chain inet t prerouting { type nat hook prerouting priority -100; };
        add chain inet t postrouting { type nat hook postrouting priority 100; }"`,
    )
  }

  #link(place: 'client' | 'server', net: number): void {
    const end = `${this.#name}${place[0]}v`
    sh(
      `ip link add ${end} netns ${this.space(place)} type veth peer name ${end} netns ${this.space('router')}`,
    )
    this.in(
      place,
      `ip addr add 10.201.${net}.2/24 dev ${end}; ip addr add fd00:201:${net}::2/64 dev ${end} nodad`,
    )
    this.in(
      'router',
      `ip addr add 10.201.${net}.1/24 dev ${end}; ip addr add fd00:201:${net}::1/64 dev ${end} nodad`,
    )
    for (const side of [place, 'router'] as const) this.in(side, `ip link set ${end} up`)
    this.in(place, `ip route add default via 10.201.${net}.1; ip -6 route add default via fd00:201:${net}::1`)
    this.in(place, 'sysctl -qw net.ipv4.tcp_congestion_control=reno 2>/dev/null || true')
  }

  #removeNetwork(): void {
    for (const place of ['client', 'router', 'server'] as const)
      sh(`ip netns del ${this.space(place)} 2>/dev/null || true`)
  }
}

export interface Scene {
  readonly stage: Stage
  readonly client: Peer
  readonly server: Peer
}

/** Gives every test of a file a stage of its own with a program at either end, and takes it down afterwards. */
export function eachOnStage(take: (scene: Scene) => Promise<void> | void): void {
  let stage: Stage | undefined
  beforeAll(() => {
    if (whyNot() === undefined) build()
  })
  beforeEach(async () => {
    stage = new Stage()
    await take({ stage, client: stage.peer('client'), server: stage.peer('server') })
  })
  afterEach(() => stage?.close())
}

import { execFileSync } from 'node:child_process'

/** A network of its own, with nothing but loopback. Its packets are as large as Ethernet's. */
export class OwnNamespace {
  readonly name = `sbnat${process.pid}x${Math.random().toString(36).slice(2, 6)}`

  constructor() {
    execFileSync('ip', ['netns', 'add', this.name])
    this.run('ip', 'link', 'set', 'lo', 'up', 'mtu', '1500')
  }

  run(program: string, ...args: string[]): string {
    return execFileSync('nsenter', [`--net=/run/netns/${this.name}`, program, ...args], { encoding: 'utf8' })
  }

  listens(port: number): boolean {
    return this.run('ss', '-Hltn', 'sport', '=', `:${port}`) !== ''
  }

  /** From now on one in so many packets of TCP does not arrive. */
  loseOneIn(packets: number): void {
    this.run('nft', 'add table inet loss')
    this.run('nft', 'add chain inet loss input { type filter hook input priority 0; }')
    const rule = `meta l4proto tcp numgen inc mod ${packets} == 0 counter drop`
    this.run('nft', `add rule inet loss input ${rule}`)
  }

  /** No more; how many were lost. */
  loseNone(): number {
    const rules = this.run('nft', 'list table inet loss')
    this.run('nft', 'delete table inet loss')
    return Number(/counter packets (\d+)/.exec(rules)?.[1])
  }

  remove(): void {
    execFileSync('ip', ['netns', 'delete', this.name])
  }
}

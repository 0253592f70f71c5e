import type { CollectorConfig } from './config.ts'

/** Settings of a collector of a test: the defaults where they matter, on a cgroup that need not be there. */
export function testConfig(change: Partial<CollectorConfig> = {}): CollectorConfig {
  return {
    node: 'node.a',
    cluster: 'local',
    cgroup: '/sys/fs/cgroup/x',
    flush: 500,
    partitions: 2,
    ring: 1 << 20,
    udp: true,
    l7: 'all',
    taskFiles: false,
    maxFlows: 131_072,
    report: 10_000,
    announce: 300_000,
    sampling: 'all',
    samplingBudget: undefined,
    spool: 16 << 20,
    ...change,
  }
}

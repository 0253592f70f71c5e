import type { Scenario } from './scenario.ts'
import { aggregatorAway } from './scenarios/aggregator-away.ts'
import { aggregatorKilled } from './scenarios/aggregator-killed.ts'
import { collectorKilled } from './scenarios/collector-killed.ts'
import { credentials } from './scenarios/credentials.ts'
import { duplicates } from './scenarios/duplicates.ts'
import { halfOpen } from './scenarios/half-open.ts'
import { leaderKilled } from './scenarios/leader-killed.ts'
import { leaderKilledAggregator } from './scenarios/leader-killed-aggregator.ts'
import { noisyCollector } from './scenarios/noisy-collector.ts'
import { partitionsChanged } from './scenarios/partitions-changed.ts'
import { reconnectStorm } from './scenarios/reconnect-storm.ts'
import { replicaAdded } from './scenarios/replica-added.ts'
import { replicaPaused } from './scenarios/replica-paused.ts'
import { serverDown } from './scenarios/server-down.ts'
import { serverPaused } from './scenarios/server-paused.ts'
import { spoolOverflow } from './scenarios/spool-overflow.ts'
import { streamFull } from './scenarios/stream-full.ts'
import { terminated } from './scenarios/terminated.ts'

export const scenarios: readonly Scenario[] = [
  serverDown,
  spoolOverflow,
  serverPaused,
  halfOpen,
  streamFull,
  leaderKilled,
  leaderKilledAggregator,
  reconnectStorm,
  noisyCollector,
  duplicates,
  aggregatorKilled,
  aggregatorAway,
  replicaPaused,
  replicaAdded,
  partitionsChanged,
  collectorKilled,
  credentials,
  terminated,
]

import type { Scenario } from './scenario.ts'
import { credentials } from './scenarios/credentials.ts'
import { duplicates } from './scenarios/duplicates.ts'
import { halfOpen } from './scenarios/half-open.ts'
import { leaderKilled } from './scenarios/leader-killed.ts'
import { noisyCollector } from './scenarios/noisy-collector.ts'
import { reconnectStorm } from './scenarios/reconnect-storm.ts'
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
  reconnectStorm,
  noisyCollector,
  duplicates,
  credentials,
  terminated,
]

import type { TapEvent } from './tap-event.ts'

/** One plain sentence without its node and time. */
export function eventText(event: TapEvent): string {
  switch (event.kind) {
    case 'gap': {
      const { partition, firstSequence, lastSequence, batches } = event
      const which =
        batches === 1 && firstSequence === lastSequence
          ? `${firstSequence}`
          : `${firstSequence} to ${lastSequence}`
      return `${records(event.records)} missing: ${plural(batches, 'batch', 'batches')} of partition ${partition} (${which}) did not come`
    }
    case 'late':
      return `${records(event.records)} came late: batch ${event.sequence} of partition ${event.partition}`
    case 'lost':
      return event.before
        ? `${number(event.total)} lost at ${event.place} since the collector's start, before this`
        : `${number(event.records)} lost at ${event.place}, ${number(event.total)} since the collector's start`
    case 'stopped':
      return 'the collector stops, with everything sent'
    case 'restarted':
      return event.afterCleanStop
        ? 'the collector was started anew'
        : 'the collector was started anew without having stopped cleanly: what it still held is unknown'
    case 'refused':
      return `a message was refused: ${event.reason}`
    case 'slow':
      return `this reader is too slow: it let go ${plural(event.batches, 'batch', 'batches')} with ${records(event.records)}`
    case 'unfollowed':
      return `more than ${number(event.limit)} collectors and partitions: gaps may go unseen`
  }
}

/** Whether records are missing, as opposed to mere news. */
export function isLoss(event: TapEvent): boolean {
  if (event.kind === 'restarted') return !event.afterCleanStop
  return event.kind !== 'stopped' && event.kind !== 'late'
}

function records(amount: number): string {
  return plural(amount, 'record', 'records')
}

function plural(amount: number, one: string, many: string): string {
  return `${number(amount)} ${amount === 1 ? one : many}`
}

function number(value: number): string {
  return value.toLocaleString('en-US')
}

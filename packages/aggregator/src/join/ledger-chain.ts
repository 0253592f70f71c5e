import { Ledger, type LedgerPool, ledgerChunk, ledgerSamples, ledgerStart } from './ledger.ts'

/** The entry of a minute in the chain that begins at `words[head]`, with room for a sample if one is wanted; 0 if none. */
export function findEntry(
  ledger: LedgerPool,
  words: Uint32Array,
  head: number,
  minute: number,
  withSample: boolean,
): number {
  for (let entry = words[head]; entry > 0; ) {
    const chunk = ledger.words[ledgerChunk(entry)]
    const at = ledgerStart(entry)
    const hasRoom = !withSample || chunk[at + Ledger.sampleCount] < ledgerSamples
    if (chunk[at + Ledger.minute] === minute && hasRoom) return entry
    entry = chunk[at + Ledger.next]
  }
  return 0
}

/** Puts an entry of a minute in front of the chain, and drops those that are more than `kept` minutes older than the newest. */
export function addEntry(
  ledger: LedgerPool,
  words: Uint32Array,
  head: number,
  minute: number,
  kept: number,
): number {
  let newest = minute
  for (let entry = words[head]; entry > 0; ) {
    const chunk = ledger.words[ledgerChunk(entry)]
    const at = ledgerStart(entry)
    if (chunk[at + Ledger.minute] > newest) newest = chunk[at + Ledger.minute]
    entry = chunk[at + Ledger.next]
  }
  dropOlder(ledger, words, head, newest - kept)
  words[head] = ledger.take(minute, words[head])
  return words[head]
}

function dropOlder(ledger: LedgerPool, words: Uint32Array, head: number, before: number): void {
  let kept = 0
  for (let entry = words[head]; entry > 0; ) {
    const chunk = ledger.words[ledgerChunk(entry)]
    const at = ledgerStart(entry)
    const next = chunk[at + Ledger.next]
    if (chunk[at + Ledger.minute] < before) {
      chunk[at + Ledger.next] = 0
      ledger.release(entry)
      if (kept > 0) ledger.words[ledgerChunk(kept)][ledgerStart(kept) + Ledger.next] = next
      else words[head] = next
    } else {
      kept = entry
    }
    entry = next
  }
}

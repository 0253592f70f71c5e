import { Kind, mix32, Protocol, protocolOf, samplingOf } from '@skybraid/shared'
import { partitionHash } from './partition-hash.ts'
import type { RecordBatch } from './record-batch.ts'
import { Head, Side, SlotFlag, sideAt } from './slot-layout.ts'

/*
 * A record stands for 2^exponent connections, and each side's figures are scaled by its own exponent. What belongs to
 * both sides together, openings above all, is scaled by the larger one. A lone view is counted among the openings only
 * if the coarsest collector would have chosen the connection too, and then for as many as that one's would: so an
 * absence that the rates explain is no one-sidedness, and openings come out right whichever rates meet.
 */

/** Bits of `Kind` that a side's flags have no other use for hold its exponent, lowest bit first. */
const exponentBits = [Kind.first, Kind.adopted, Kind.quiet, Kind.announcedAgain] as const
const sideMask = exponentBits.reduce((all, bit) => all | bit, 0)

/** The exponent of a record's `kind` as bits of a side's flags. */
export function packExponent(kind: number): number {
  const exponent = samplingOf(kind)
  if (exponent === 0) return 0
  return exponentBits.reduce((flags, bit, i) => ((exponent >>> i) & 1 ? flags | bit : flags), 0)
}

function exponentOf(flags: number): number {
  if ((flags & sideMask) === 0) return 0
  return exponentBits.reduce((exponent, bit, i) => ((flags & bit) !== 0 ? exponent | (1 << i) : exponent), 0)
}

/** How many connections a side's figures stand for; `flags` are those of the side. */
export function sideWeight(flags: number): number {
  return (flags & sideMask) === 0 ? 1 : 2 ** exponentOf(flags)
}

/** How many connections a slot stands for in what both sides have in common; 0 where others stand for it. */
export function jointWeight(words: Uint32Array, start: number): number {
  const flags = words[start + Head.flags]
  if ((flags & SlotFlag.sampled) === 0) return 1
  if ((flags & SlotFlag.representedByOthers) !== 0) return 0
  return 2 ** ((flags >>> SlotFlag.exponentShift) & SlotFlag.exponentMask)
}

/**
 * Works out the joint rate of a slot anew, from the sides that are there now. `coarsest` and `hash` decide whether a
 * lone view is represented by others; a hash of 0 is that of a connection that everybody chooses.
 */
export function setJointRate(words: Uint32Array, start: number, coarsest = 0, hash = 0): void {
  const at = start + Head.flags
  const flags = words[at]
  const client = exponentIn(words, start, 0)
  const server = exponentIn(words, start, 1)
  const own = Math.max(client, server)
  const isLone = client < 0 || server < 0
  const exponent = isLone ? Math.max(own, coarsest) : own
  const isRepresented = exponent > own && (hash & ((1 << exponent) - 1)) !== 0
  words[at] =
    (flags & ~jointBits) |
    (exponent > 0 ? SlotFlag.sampled : 0) |
    (isRepresented ? SlotFlag.representedByOthers : 0) |
    (exponent << SlotFlag.exponentShift)
}

const jointBits =
  SlotFlag.sampled | SlotFlag.representedByOthers | (SlotFlag.exponentMask << SlotFlag.exponentShift)

/** -1 if the side is not there. */
function exponentIn(words: Uint32Array, start: number, side: number): number {
  if ((words[start + Head.flags] & (SlotFlag.present << side)) === 0) return -1
  return exponentOf(words[start + sideAt(side) + Side.flags])
}

/** The rates that collectors say are in force. */
export class SamplingRates {
  /** Exponent of the coarsest one. */
  coarsest = 0
  readonly #exponents = new Map<number, number>()

  note(node: number, exponent: number): void {
    if ((this.#exponents.get(node) ?? 0) === exponent) return
    this.#exponents.set(node, exponent)
    this.coarsest = Math.max(...this.#exponents.values())
  }
}

const salt = 0x9e3779b9

/** The hash that collectors choose connections by; proto/skybraid/v1/flow.proto defines it. */
export function sampleHash(batch: RecordBatch, i: number): number {
  const { diallerIsn, acceptorIsn } = batch.columns.u32
  if (protocolOf(batch.kind(i)) === Protocol.udp) return mix32(partitionHash(batch.columns, i) ^ salt)
  const low = Math.min(diallerIsn[i], acceptorIsn[i])
  const high = Math.max(diallerIsn[i], acceptorIsn[i])
  return mix32(mix32(low ^ salt) ^ high)
}

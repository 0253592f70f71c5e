import { Random } from './random.ts'
import { fixed64, varint, type WireField, wireBytes, wireFields } from './wire.ts'

const minuteMs = 60_000n
const interesting = [
  ...[0n, 1n, 2n, 15n, 16n, 255n, 999n, 1_000n, 1_001n, 4_096n, 65_535n, 65_536n],
  ...[
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 32n,
    2n ** 48n - 1_000n,
    2n ** 48n,
    2n ** 53n - 1n,
    2n ** 53n,
    2n ** 63n,
    2n ** 64n - 1n,
  ],
]
const numberFields = [1, 5, 8, 10, 12, 22, 23]
const fixed64Fields = [4, 6, 7, 11, 14, 15, 16, 17, 18]
const columnFields = [32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 46, 52, 54, 60, 61, 62].concat([
  65, 66, 67, 68, 69, 70, 73, 74, 75, 76,
])
const nested = [13, 20, 21, 24, 25, 64]

type Mutation = (fields: WireField[], random: Random, nowMs: number) => void

/** Each changes something that a reader looks at; several of them may be combined. */
const mutations: readonly Mutation[] = [
  dropField,
  repeatField,
  moveField,
  renumberField,
  lieAboutLength,
  setNumber,
  setFixed64,
  setTime,
  changeSequence,
  changeColumn,
  resizeColumn,
  floodPart,
  changePart,
  addUnknownField,
]

/** One to four changes of a batch, in its structure or in its bytes. */
export function mutateBatch(batch: Uint8Array, random: Random, nowMs: number): Uint8Array {
  if (random.oneIn(5)) return mutateBytes(batch, random)
  const fields = fieldsOf(batch)
  const changes = 1 + random.below(4)
  for (let change = 0; change < changes; change++) random.pick(mutations)(fields, random, nowMs)
  const bytes = wireBytes(fields)
  return random.oneIn(10) ? mutateBytes(bytes, random) : bytes
}

const parsed = new WeakMap<Uint8Array, readonly WireField[]>()

/** The fields of a seed, which is taken apart once. */
function fieldsOf(batch: Uint8Array): WireField[] {
  const known = parsed.get(batch) ?? wireFields(batch)
  parsed.set(batch, known)
  return known.slice()
}

/** Flips, overwrites, cuts or lengthens, without regard to what the bytes mean. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  const changed = Uint8Array.from(bytes)
  if (changed.length === 0) return Uint8Array.from([random.below(256)])
  const kind = random.below(4)
  if (kind === 0) return changed.subarray(0, random.below(changed.length))
  if (kind === 1) return Buffer.concat([changed, noise(random, 1 + random.below(32))])
  if (kind === 2) {
    const at = random.below(changed.length)
    changed.set(noise(random, Math.min(8, changed.length - at)), at)
    return changed
  }
  for (let flips = 1 + random.below(8); flips > 0; flips--)
    changed[random.below(changed.length)]! ^= 1 << random.below(8)
  return changed
}

// the same in every run; making bytes anew each time would be most of the work
const pool = new Uint8Array(1 << 20)
const poolRandom = new Random(1)
for (let at = 0; at < pool.length; at++) pool[at] = poolRandom.below(256)

/** Bytes without meaning. */
export function noise(random: Random, length: number): Uint8Array {
  const start = random.below(pool.length - length)
  return pool.subarray(start, start + length)
}

function indexOf(fields: readonly WireField[], number: number): number {
  return fields.findIndex(field => Math.floor(field.tag / 8) === number)
}

/** Replaces a field, or adds it where it was left out. */
function setField(fields: WireField[], number: number, wireType: number, body: Uint8Array): void {
  const field = { tag: 8 * number + wireType, body }
  const at = indexOf(fields, number)
  if (at < 0) fields.push(field)
  else fields[at] = field
}

function dropField(fields: WireField[], random: Random): void {
  fields.splice(random.below(fields.length + 1), 1)
}

function repeatField(fields: WireField[], random: Random): void {
  if (fields.length > 0) fields.splice(random.below(fields.length), 0, random.pick(fields))
}

function moveField(fields: WireField[], random: Random): void {
  const [field] = fields.splice(random.below(fields.length + 1), 1)
  if (field !== undefined) fields.splice(random.below(fields.length + 1), 0, field)
}

function renumberField(fields: WireField[], random: Random): void {
  if (fields.length === 0) return
  const at = random.below(fields.length)
  const field = fields[at]!
  const number = random.oneIn(4) ? Number(random.pick(interesting) & 0xffff_ffff_ffffn) : random.below(84)
  const wireType = random.oneIn(3) ? random.below(8) : field.tag % 8
  fields[at] = { ...field, tag: 8 * number + wireType }
}

function lieAboutLength(fields: WireField[], random: Random): void {
  if (fields.length === 0) return
  const at = random.below(fields.length)
  const field = fields[at]!
  const near = BigInt(field.body.length) + BigInt(random.below(5)) - 2n
  fields[at] = { ...field, length: random.oneIn(2) ? random.pick(interesting) : near < 0n ? 0n : near }
}

function setNumber(fields: WireField[], random: Random): void {
  setField(fields, random.pick(numberFields), 0, varint(random.pick(interesting)))
}

function setFixed64(fields: WireField[], random: Random): void {
  setField(fields, random.pick(fixed64Fields), 1, fixed64(random.pick(interesting)))
}

function setTime(fields: WireField[], random: Random, nowMs: number): void {
  const now = BigInt(nowMs)
  const years = [0n, BigInt(Date.UTC(1999, 11, 31)), BigInt(Date.UTC(2100, 0, 1)), 2n ** 63n]
  const near = now + BigInt(random.below(40) - 20) * minuteMs
  const time = random.oneIn(2) ? random.pick(years) : near
  const aligned = random.oneIn(4) ? time : time - (time % minuteMs)
  setField(fields, random.pick([9, 19]), 1, fixed64(aligned))
}

/** Back, forward, twice, or with another count of the records before. */
function changeSequence(fields: WireField[], random: Random): void {
  setField(fields, 6, 1, fixed64(BigInt(1 + random.below(40))))
  if (random.oneIn(2)) setField(fields, 7, 1, fixed64(BigInt(random.below(2_000))))
  if (random.oneIn(8)) setField(fields, 4, 1, fixed64(BigInt(1 + random.below(6))))
}

function changeColumn(fields: WireField[], random: Random): void {
  const at = indexOf(fields, random.pick(columnFields))
  if (at < 0 || fields[at]!.body.length < 4) return
  const body = Uint8Array.from(fields[at]!.body)
  const view = new DataView(body.buffer)
  for (let changes = 1 + random.below(3); changes > 0; changes--) {
    const value = random.oneIn(2) ? random.u32() : Number(random.pick(interesting) & 0xffff_ffffn)
    view.setUint32(4 * random.below(body.length >> 2), value, true)
  }
  fields[at] = { ...fields[at]!, body }
}

function resizeColumn(fields: WireField[], random: Random): void {
  const number = random.pick(columnFields)
  const length = random.oneIn(3) ? random.below(9_000) : 4 * random.below(24)
  setField(fields, number, 2, random.oneIn(2) ? new Uint8Array(length) : noise(random, length))
}

/** Many empty owners, names or losses: two bytes on the wire each, here as what follows an empty first one. */
function floodPart(fields: WireField[], random: Random): void {
  const tag = 8 * random.pick(nested) + 2
  const count = random.oneIn(4) ? 1_200 : random.below(80)
  const [first, second] = [(tag & 0x7f) | 0x80, tag >> 7]
  const again = tag < 0x80 ? [tag, 0] : [first, second, 0]
  const body = Uint8Array.from({ length: again.length * count }, (_, at) => again[at % again.length]!)
  fields.push({ tag, body, length: 0n })
}

function changePart(fields: WireField[], random: Random): void {
  const at = indexOf(fields, random.pick(nested))
  if (at >= 0) fields[at] = { ...fields[at]!, body: mutateBytes(fields[at]!.body, random) }
}

function addUnknownField(fields: WireField[], random: Random): void {
  const number = 77 + random.below(200)
  fields.push({ tag: 8 * number + random.below(8), body: noise(random, random.below(12)) })
}

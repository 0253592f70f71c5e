/**
 * A program that stands between clients and servers and answers each command with a line of JSON:
 *   bytes PORT TARGET     passes on byte by byte
 *   record PORT TARGET    passes on and remembers what was said
 *   mux PORT {NAME: TARGET}   one port for all: who is meant is told from what comes first
 *   said PORT             what was remembered: { up, down } as hexadecimal digits
 *   garbage PORT COUNT {up, down}   listens there, dials itself and says the like of it, with bytes that were changed
 */
export const between = `
const net = require('node:net'), { setTimeout: pause } = require('node:timers/promises')
const said = new Map()
const listen = (port, onSocket) => new Promise(r => {
  const server = net.createServer({ noDelay: true }, s => { s.on('error', () => {}); onSocket(s) })
  server.listen(port, '127.0.0.1', () => r(server))
})
const dial = port => net.connect({ port, host: '127.0.0.1', noDelay: true }).on('error', () => {})
const join = (from, to, pass) => {
  from.on('data', d => pass(to, d)).on('end', () => pass(to, undefined)).on('error', () => to.destroy())
}
const whole = (to, d) => d === undefined ? to.end() : to.write(d)
// one byte in a packet, and no faster than whoever reads along can follow
const byByte = () => {
  let turn = Promise.resolve()
  return (to, d) => turn = turn.then(async () => {
    if (d === undefined) return to.end()
    for (let i = 0; i < d.length; i++) {
      await new Promise(r => to.write(d.subarray(i, i + 1), r))
      if (i % 32 === 31) await pause(1)
    }
  })
}
const nameOf = d => d[0] === 0x2a ? 'redis' : d[0] === 0x10 ? 'mqtt' : d[0] === 0x16 ? 'tls' : d[0] === 0x47 ? 'http1'
  : d[0] === 0x50 ? 'http2' : d.length >= 8 && d.readUInt16BE(4) === 3 || d.readUInt16BE(4) === 1234 ? 'postgres' : 'dns'
// numbers that are the same in each run
const random = seed => () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0) / 2 ** 32
const changed = (bytes, next) => {
  const copy = Buffer.from(bytes)
  for (let i = 1 + Math.floor(next() * 8); i > 0; i--) copy[Math.floor(next() * copy.length)] = Math.floor(next() * 256)
  return copy.subarray(0, Math.floor(copy.length * (0.2 + 0.8 * next())))
}
const inPieces = async (socket, bytes, next) => {
  for (let at = 0; at < bytes.length && !socket.destroyed;) {
    const size = 1 + Math.floor(next() * 300)
    await new Promise(r => socket.write(bytes.subarray(at, at + size), r))
    at += size
  }
}
const commands = {
  async bytes(port, target) {
    await listen(port, s => { const t = dial(target); join(s, t, byByte()); join(t, s, byByte()) })
  },
  async record(port, target) {
    await listen(port, s => {
      const t = dial(target), both = { up: '', down: '' }
      said.set(port, both)
      const noting = way => (to, d) => { if (d && both[way].length < 4096) both[way] += d.toString('hex'); whole(to, d) }
      join(s, t, noting('up')); join(t, s, noting('down'))
    })
  },
  async mux(port, targets) {
    await listen(port, s => {
      let to
      const go = (name, d) => { clearTimeout(timer); to = dial(targets[name]); join(s, to, whole); join(to, s, whole); if (d) to.write(d) }
      // who says nothing waits for the server, as clients of MySQL do
      const timer = setTimeout(() => { s.removeListener('data', first); go('mysql') }, 300)
      const first = d => go(nameOf(d), d)
      s.once('data', first)
    })
  },
  said: async port => said.get(port),
  async garbage(port, count, { up, down }) {
    const next = random(7), server = await listen(port, s => {
      s.resume()
      inPieces(s, changed(Buffer.from(down, 'hex'), next), next).then(() => s.end())
    })
    for (let i = 0; i < count; i++) {
      const s = dial(port)
      const gone = new Promise(r => s.resume().on('close', r))
      await inPieces(s, changed(Buffer.from(up, 'hex'), next), next)
      s.end()
      await gone
    }
    server.close()
  },
}
require('node:readline').createInterface({ input: process.stdin }).on('line', async line => {
  const [command, ...words] = line.split(' ')
  console.log(JSON.stringify(await commands[command](...words.map(word => JSON.parse(word))) ?? null))
})
`

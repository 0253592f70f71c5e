// Keep-alive HTTP at a rate: paced-requests.mjs URL CONNECTIONS RATE SECONDS; prints how many requests were answered.
import { Agent, get } from 'node:http'

const [url, connections, rate, seconds] = process.argv.slice(2)
const agent = new Agent({ keepAlive: true, maxSockets: Number(connections), scheduling: 'fifo' })
const wanted = Number(rate) * Number(seconds)
const begun = performance.now()
let [asked, answered] = [0, 0]

function ask() {
  get(url, { agent }, answer => {
    answer.resume()
    answer.on('end', () => {
      if (++answered === wanted) end()
    })
  }).on('error', error => {
    throw error
  })
}

function end() {
  agent.destroy()
  console.log(`answered ${answered} in ${((performance.now() - begun) / 1000).toFixed(2)}`)
}

const timer = setInterval(() => {
  const due = Math.min(wanted, Math.floor(((performance.now() - begun) * Number(rate)) / 1000))
  for (; asked < due; asked++) ask()
  if (asked === wanted) clearInterval(timer)
}, 10)

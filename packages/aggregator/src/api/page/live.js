import { ask } from './access.js'
import { readEvents } from './event-stream.js'

/**
 * The topology of one question, kept up to date. Reads the event stream; if the server has no room for another live
 * client it polls instead. Calls back with what it knows and how fresh that is.
 */

const reconnectMs = 3000
const retryMs = 5000
/** The server says something every 15 s. */
const silentMs = 40_000

export function openLive(question, { onTopology, onLink }) {
  const topology = { nodes: new Map(), edges: new Map(), head: undefined }
  let request
  let retry
  let lastId
  let lastHeard = Date.now()
  let lastBytes = lastHeard
  let closed = false

  const changed = ids => onTopology(topology, ids)
  const heard = state => {
    lastHeard = Date.now()
    lastBytes = lastHeard
    onLink({ state, since: lastHeard })
  }

  async function connect() {
    request = new AbortController()
    lastBytes = Date.now()
    let waitMs = reconnectMs
    try {
      const response = await ask(`/api/v1/topology/stream?${question}`, {
        signal: request.signal,
        headers: lastId === undefined ? {} : { 'last-event-id': lastId },
      })
      if (closed) return
      if (response.status === 401 || response.status === 403) {
        deny()
        return
      }
      if (response.ok) {
        heard('live')
        await readEvents(response.body, { onBytes: () => heard('live'), onEvent })
      } else {
        waitMs = retryMs
        onLink({ state: 'lost', since: lastHeard })
        await pollOnce()
      }
    } catch {
      // cut, or no contact: the link says so below, and the next attempt is on its way
    }
    if (closed) return
    if (waitMs === reconnectMs) onLink({ state: 'lost', since: lastHeard })
    retry = setTimeout(connect, waitMs)
  }

  function onEvent({ type, data, id }) {
    if (closed) return
    if (id !== undefined) lastId = id
    if (type === 'snapshot') {
      takeSnapshot(topology, JSON.parse(data))
      changed([])
    } else if (type === 'patch') {
      const patch = JSON.parse(data)
      applyList(topology.nodes, patch.nodes)
      applyList(topology.edges, patch.edges)
      changed([...patch.edges.add, ...patch.edges.update].map(edge => edge.id))
    } else if (type === 'window') {
      topology.head = JSON.parse(data)
      changed([])
    }
  }

  async function pollOnce() {
    const response = await ask(`/api/v1/topology?${question}`, { signal: request.signal })
    if (closed || !response.ok) return
    takeSnapshot(topology, await response.json())
    heard('polled')
    changed([])
  }

  function deny() {
    close()
    onLink({ state: 'denied', since: lastHeard })
  }

  // a connection that is gone without a word is cut, and so made anew
  const watch = setInterval(() => {
    if (Date.now() - lastBytes > silentMs) request.abort()
  }, 10_000)

  function close() {
    closed = true
    clearTimeout(retry)
    clearInterval(watch)
    request.abort()
  }

  void connect()
  return close
}

export function takeSnapshot(topology, snapshot) {
  const { nodes, edges, ...head } = snapshot
  topology.nodes = new Map(nodes.map(node => [node.id, node]))
  topology.edges = new Map(edges.map(edge => [edge.id, edge]))
  topology.head = head
}

export function applyList(items, { add, update, remove }) {
  for (const id of remove) items.delete(id)
  for (const item of add) items.set(item.id, item)
  for (const item of update) items.set(item.id, item)
}

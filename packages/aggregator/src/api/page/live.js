/**
 * The topology of one question, kept up to date. Reads the event stream; if the server has no room for another live
 * client it polls instead. Calls back with what it knows and how fresh that is.
 */

const retryMs = 5000
const silentMs = 40_000

export function openLive(question, { onTopology, onLink }) {
  const topology = { nodes: new Map(), edges: new Map(), head: undefined }
  let stream
  let poll
  let retry
  let lastHeard = Date.now()
  let closed = false

  const changed = ids => onTopology(topology, ids)
  const heard = state => {
    lastHeard = Date.now()
    onLink({ state, since: lastHeard })
  }

  function connect() {
    stream = new EventSource(`/api/v1/topology/stream?${question}`)
    stream.addEventListener('open', () => heard('live'))
    stream.addEventListener('snapshot', event => {
      takeSnapshot(topology, JSON.parse(event.data))
      heard('live')
      changed([])
    })
    stream.addEventListener('patch', event => {
      const patch = JSON.parse(event.data)
      applyList(topology.nodes, patch.nodes)
      applyList(topology.edges, patch.edges)
      heard('live')
      changed([...patch.edges.add, ...patch.edges.update].map(edge => edge.id))
    })
    stream.addEventListener('window', event => {
      topology.head = JSON.parse(event.data)
      heard('live')
      changed([])
    })
    stream.addEventListener('error', () => {
      onLink({ state: 'lost', since: lastHeard })
      if (stream.readyState !== EventSource.CLOSED || closed) return
      // refused rather than cut: the browser won't try again by itself
      void pollOnce()
      retry = setTimeout(connect, retryMs)
    })
  }

  async function pollOnce() {
    try {
      const response = await fetch(`/api/v1/topology?${question}`)
      if (closed || !response.ok) return
      takeSnapshot(topology, await response.json())
      heard('polled')
      changed([])
    } catch {
      // no contact: the link already says so, and the next attempt is on its way
    }
  }

  poll = setInterval(() => {
    if (stream.readyState === EventSource.OPEN && Date.now() - lastHeard > silentMs) void checkAlive()
  }, 10_000)

  /** Comments don't reach scripts, so a quiet stream is checked before it is called lost. */
  async function checkAlive() {
    const alive = await fetch('/livez').then(
      r => r.ok,
      () => false,
    )
    if (closed) return
    if (alive) heard('live')
    else onLink({ state: 'lost', since: lastHeard })
  }

  connect()
  return () => {
    closed = true
    clearTimeout(retry)
    clearInterval(poll)
    stream.close()
  }
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

/** What the page shows, as it stands in its address: a link to this view is a link to what you see. */

const defaults = {
  groupBy: 'process',
  window: '5m',
  filter: '',
  focus: '',
  depth: '1',
  edge: '',
  sort: '-bytes',
}
const allowed = {
  groupBy: ['process', 'container', 'unit', 'host'],
  window: ['5m', '15m', '1h', '6h'],
  depth: ['1', '2', '3'],
}

export function readState(search) {
  const parameters = new URLSearchParams(search)
  const state = { ...defaults }
  for (const name of Object.keys(defaults)) {
    const value = parameters.get(name)
    if (value !== null && (allowed[name]?.includes(value) ?? true)) state[name] = value
  }
  return state
}

export function writeState(state) {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(defaults)) {
    if (state[name] !== value) parameters.set(name, state[name])
  }
  const text = parameters.toString()
  return text === '' ? '/' : `/?${text}`
}

/** The part of the state that the server answers; the rest is only about how it is shown. */
export function questionOf(state) {
  const parameters = new URLSearchParams({
    window: state.window,
    groupBy: state.groupBy,
    // the panel beside the map shows every counter
    include: 'detail',
  })
  if (state.focus !== '') {
    parameters.set('focus', state.focus)
    parameters.set('depth', state.depth)
  }
  return parameters.toString()
}

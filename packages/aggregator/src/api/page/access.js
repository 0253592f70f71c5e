/** The token of the API, where it wants one: kept for this tab alone, and gone with it. */

const key = 'skybraid-token'

export function keepToken(token) {
  sessionStorage.setItem(key, token)
}

export function hasToken() {
  return sessionStorage.getItem(key) !== null
}

/** Asks the API, with the token if there is one. */
export function ask(path, { headers = {}, ...options } = {}) {
  const token = sessionStorage.getItem(key)
  const access = token === null ? {} : { authorization: `Bearer ${token}` }
  return fetch(path, { ...options, headers: { ...headers, ...access } })
}

import { element } from './dom.js'

/** Asks for the token of the API. `wasWrong`: one was given, and the API did not take it. */
export function tokenForm({ wasWrong, onToken }) {
  const input = element('input', {
    id: 'token',
    type: 'password',
    autocomplete: 'off',
    required: true,
    // a header takes nothing else
    pattern: '\\s*[!-~]+\\s*',
    title: 'one word of letters, digits and signs',
    'aria-label': 'Token of the API',
  })
  const form = element('form', {}, input, element('button', { type: 'submit' }, 'Show the map'))
  form.addEventListener('submit', event => {
    event.preventDefault()
    const token = input.value.trim()
    if (token !== '') onToken(token)
  })
  return element(
    'div',
    { class: 'message' },
    element('p', {}, wasWrong ? 'The API did not take this token.' : 'This API wants its token.'),
    element(
      'p',
      {},
      'It is in the file of --api-token-file; in Kubernetes, the notes of the chart say how to read it. It is kept for this tab alone.',
    ),
    form,
  )
}

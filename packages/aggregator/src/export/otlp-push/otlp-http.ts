import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { answerMs, answerOfHttp, failed, mostAnswerBytes, type OtlpAnswer } from './otlp-answer.ts'
import type { OtlpCall, StartCall } from './otlp-connection.ts'

export const callByHttp: StartCall = (url, headers, tls, body): OtlpCall => {
  const open = url.protocol === 'https:' ? httpsRequest : httpRequest
  const request = open(url, {
    method: 'POST',
    // a connection that is kept may end just when the next request is on its way, which nobody could tell from a loss
    agent: false,
    ...tls,
    headers: {
      ...headers,
      'content-type': 'application/x-protobuf',
      'content-encoding': 'gzip',
      'content-length': body.length,
    },
  })
  return { answer: answerTo(request, body), cancel: error => void request.destroy(error) }
}

function answerTo(request: ClientRequest, body: Uint8Array): Promise<OtlpAnswer> {
  return new Promise(resolve => {
    // before that nothing of the request can have gone out
    let isConnected = false
    const timer = setTimeout(
      () => request.destroy(new Error(`no answer within ${answerMs / 1000} s`)),
      answerMs,
    )
    const done = (answer: OtlpAnswer) => {
      clearTimeout(timer)
      resolve(answer)
    }
    request.on('socket', socket => {
      const isTls = (socket as Partial<TLSSocket>).encrypted === true
      socket.once(isTls ? 'secureConnect' : 'connect', () => {
        isConnected = true
        request.end(body)
      })
    })
    let isAnswered = false
    request.on('error', error => {
      if (!isAnswered) done(failed(error, isConnected))
    })
    request.on('response', response => {
      isAnswered = true
      const { statusCode = 0, headers } = response
      const answer = (bytes: Uint8Array) => done(answerOfHttp(statusCode, headers['retry-after'], bytes))
      // its head says already what became of the request
      readAnswer(response).then(answer, () => answer(new Uint8Array()))
    })
    // an event 'socket' comes for sure, but only if something is written or flushed
    request.flushHeaders()
  })
}

async function readAnswer(response: IncomingMessage): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of response as AsyncIterable<Uint8Array>) {
    length += part.length
    if (length > mostAnswerBytes) break
    parts.push(part)
  }
  return Buffer.concat(parts)
}

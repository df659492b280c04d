// Requests whose end can be told apart: complete, as HTTP defines it, or cut.
// fetch() hides some of that, and writes no malformed requests.
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { waitFor } from './lib.mjs'

// Everything that came back: { status, headers, body, events, complete }.
// complete is false when the connection ended before the message did.
// onEvent is called with each server-sent event as it arrives, onBody with all
// of the body so far.
export function ask (url, { body, method, headers = {}, signal, ms = 30000,
  onEvent, onBody } = {}) {
  const text = body === undefined || typeof body === 'string'
    ? body : JSON.stringify(body)
  return new Promise((resolve, reject) => {
    const req = http.request(url, {
      agent: false,
      method: method ?? (text === undefined ? 'GET' : 'POST'),
      headers: { ...(text === undefined
        ? {} : { 'content-type': 'application/json',
            'content-length': Buffer.byteLength(text) }), ...headers },
      signal,
    })
    const late = setTimeout(
      () => req.destroy(new Error(`${url}: no end in ${ms} ms`)), ms)
    req.on('close', () => clearTimeout(late))
    req.on('error', reject)
    req.on('response', res => {
      const answer = { status: res.statusCode, headers: res.headers, body: '',
        events: [], started: Date.now() }
      let rest = ''
      res.setEncoding('utf8')
      res.on('data', piece => {
        answer.body += piece
        onBody?.(answer.body)
        const parts = (rest + piece).split('\n\n')
        rest = parts.pop()
        for (const part of parts.filter(p => p.startsWith('data:'))) {
          answer.events.push(part.slice(5).trim())
          onEvent?.(answer.events.at(-1), answer)
        }
      })
      res.on('error', () => {})
      res.on('close', () => resolve({ ...answer, complete: res.complete,
        ended: Date.now() }))
    })
    req.end(text)
  })
}

export const chatBody = (content, more = {}) => ({
  model: 'echo', messages: [{ role: 'user', content }], ...more })

export function chat (node, content, { model = 'echo', more, ...rest } = {}) {
  return ask(`${node.baseUrl}/chat/completions`,
    { body: chatBody(content, { model, ...more }), ...rest })
}

export const errorOf = answer => JSON.parse(answer.body).error

// What the tokens of a stream say together, and the error in it, if any.
export function said (answer) {
  const chunks = answer.events.filter(e => e !== '[DONE]')
    .map(e => JSON.parse(e))
  return {
    text: chunks.map(c => c.choices?.[0]?.delta?.content ?? '').join(''),
    error: chunks.find(c => c.error !== undefined)?.error,
  }
}

// A stream that failed on its way: the client was told, and the end is no end.
export function assertBroken (answer) {
  assert.equal(answer.status, 200)
  assert.equal(answer.complete, false, 'the stream ended as if all were well')
  assert.ok(!answer.events.includes('[DONE]'), 'the stream says that it is done')
  const { error } = said(answer)
  assert.ok(error, `no error event, but ${answer.events.at(-1)}`)
  assert.equal(typeof error.message, 'string')
  assert.equal(typeof error.code, 'string')
  return error
}

// Refused before the first byte, with an error object of OpenAI's shape.
export function assertRefused (answer, status, code) {
  const statuses = [status].flat()
  assert.ok(statuses.includes(answer.status),
    `status ${answer.status}, not ${statuses}: ${answer.body}`)
  assert.equal(answer.complete, true)
  assert.match(answer.headers['content-type'], /^application\/json/)
  const error = errorOf(answer)
  assert.equal(typeof error.message, 'string')
  assert.ok(error.message.length > 0)
  assert.equal(typeof error.type, 'string')
  if (code !== undefined) assert.equal(error.code, code)
  return error
}

// No answer, and nobody can take it for one: refused, or cut where its length
// was told already.
export function assertFailed (answer) {
  if (answer.status !== 200) return assertRefused(answer, [502, 503])
  assert.equal(answer.complete, false, 'it ended as if all were well')
  return undefined
}

// Until the node has nothing to do but to tell so.
export async function waitIdle (node, ms = 15000) {
  await waitFor('rest', async () => {
    const { counters } = await node.status()
    return counters.requests_now <= 1 && counters.tunnels_in_now === 0
  }, { ms })
}

const closes = /\r\nconnection: close\r\n/i

// Is there a whole message at the front of the text?
function isComplete (text) {
  const at = text.indexOf('\r\n\r\n')
  const length = /^content-length: *(\d+)/mi.exec(text.slice(0, at))
  return at !== -1 && length !== null &&
    text.length >= at + 4 + Number(length[1])
}

// The bytes as they are; resolves to what came until the other side closed,
// or until a whole answer was there that does not say it will, and `grace` ms
// more: { text, status, closed }.  end: shut our side down behind them.
export function raw (address, bytes,
  { ms = 15000, grace = 100, end = false } = {}) {
  const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(address)
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, allowHalfOpen: true })
    let text = ''
    let late
    const done = closed => {
      clearTimeout(late)
      socket.destroy()
      resolve({ text, closed,
        status: Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]) })
    }
    const wait = time => {
      clearTimeout(late)
      late = setTimeout(() => done(false), time)
    }
    wait(ms)
    socket.on('data', piece => {
      text += piece.toString('latin1')
      if (isComplete(text) && !closes.test(text)) wait(grace)
    })
    socket.on('error', e => e.code === 'ECONNREFUSED' ? reject(e) : done(true))
    socket.on('end', () => done(true))
    for (const piece of [bytes].flat()) socket.write(piece, 'latin1')
    if (end) socket.end()
  })
}

// A well-formed request on a new connection is answered.
export async function assertServes (node, model = 'echo', ms = 20000) {
  const words = `still here ${Math.floor(performance.now())}`
  const answer = await chat(node, words, { model, ms })
  assert.equal(answer.status, 200, answer.body)
  assert.equal(answer.complete, true)
  assert.match(JSON.parse(answer.body).choices[0].message.content,
    new RegExp(`${words}$`))
}

// The same, as soon as it works again.
export async function waitServes (node, model, { ms = 30000 } = {}) {
  await waitFor(`answer from ${model ?? 'echo'}`,
    () => assertServes(node, model, ms).then(() => true), { ms, every: 200 })
}

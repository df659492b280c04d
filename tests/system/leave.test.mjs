// Clients that go away, and clients that only shut their sending side down.
import assert from 'node:assert/strict'
import net from 'node:net'
import { before, describe, test } from 'node:test'
import { chatBody } from './http.mjs'
import { sleep, startPair, suiteScope, waitFor } from './lib.mjs'

const WORDS = 'a quick brown fox jumps over the lazy dog'

function post (body, { version = '1.1' } = {}) {
  const text = JSON.stringify(body)
  return `POST /v1/chat/completions HTTP/${version}\r\nHost: localhost\r\n` +
    'Content-Type: application/json\r\n' +
    `Content-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

const get = 'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n'

// Sends the bytes and a FIN at once; resolves to all that comes back.
function halfClosed (address, bytes) {
  const [host, port] = address.split(':')
  return new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, allowHalfOpen: true })
    let text = ''
    socket.setTimeout(20000, () => socket.destroy(new Error(`late: ${text}`)))
    socket.on('data', piece => { text += piece })
    socket.on('error', reject)
    socket.on('end', () => { socket.destroy(); resolve(text) })
    socket.end(bytes)
  })
}

describe('a client that shut its sending side down', () => {
  const scope = suiteScope()
  let client
  before(async () => {
    ({ client } = await startPair(scope))
  })

  test('gets a quick answer, with nothing in front of it', async () => {
    const text = await halfClosed(client.ready.api, post(chatBody(WORDS)))
    assert.match(text, /^HTTP\/1\.1 200 /)
    assert.ok(text.includes(WORDS))
  })

  test('gets a slow one, after one 100', async () => {
    const body = chatBody(WORDS, { demo_first_ms: 2500 })
    const text = await halfClosed(client.ready.api, post(body))
    assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
    assert.ok(text.includes(WORDS))
  })

  test('gets a stream to its end', async () => {
    const body = chatBody(WORDS, { stream: true, demo_delay_ms: 250 })
    const text = await halfClosed(client.ready.api, post(body))
    assert.match(text, /data: \[DONE\]\n\n\r\n0\r\n\r\n$/)
  })

  test('gets all that it asked for', async () => {
    const text = await halfClosed(client.ready.api,
      get + post(chatBody('first', { demo_first_ms: 100 })) + get +
      post(chatBody('second')) + get)
    assert.equal(text.match(/HTTP\/1\.1 200 /g)?.length, 5, text)
    assert.match(text, /first[^]*"object":"list"[^]*second[^]*"object":"list"/)
  })

  test('is not waited for when it did not finish its request', async () => {
    for (const bytes of ['GET /v1/mod', post(chatBody(WORDS)).slice(0, -9),
      get + get.slice(0, 20)]) {
      const text = await halfClosed(client.ready.api, bytes)
      assert.equal(text.match(/HTTP\/1\.1/g)?.length ?? 0,
        bytes.startsWith(get) ? 1 : 0, text)
    }
  })
})

describe('a client that leaves', () => {
  const scope = suiteScope()
  let backend, client, host
  before(async () => {
    ({ backend, client, host } = await startPair(scope))
  })
  const now = async () => {
    const { streams_now: streams, answers_now: answers } = await backend.stats()
    return Math.max(streams, answers)
  }

  // until: how much it reads before it closes; nothing unread is left then,
  // so that only a FIN goes out.
  async function leaves (node, bytes, until) {
    const [address, port] = node.ready.api.split(':')
    const socket = net.connect({ host: address, port })
    let text = ''
    socket.on('data', piece => { text += piece })
    socket.write(bytes)
    await waitFor('work at the backend', async () => await now() === 1)
    await waitFor('the beginning', () => until.test(text))
    await sleep(30)
    socket.destroy()
    // Long before it would have anything to say.
    await waitFor('end of the work', async () => await now() === 0,
      { ms: 15000, every: 5 })
  }

  const kinds = {
    'before an answer that comes whole': [{ demo_first_ms: 60000 }, /^/],
    'before the first token': [{ stream: true, demo_first_ms: 60000 }, /^/],
    'between quick tokens': [{ stream: true, demo_tokens: 5000,
      demo_delay_ms: 20 }, /"content"/],
    'between slow tokens': [{ stream: true, demo_delay_ms: 60000 },
      /"content"/],
  }
  for (const [name, [more, until]] of Object.entries(kinds)) {
    test(`${name} stops the backend of its own node`,
      () => leaves(host, post(chatBody(WORDS, more)), until))
    test(`${name} stops the backend of another node`,
      () => leaves(client, post(chatBody(WORDS, more)), until))
    test(`${name} does so with HTTP/1.0`, () => leaves(client,
      post(chatBody(WORDS, more), { version: '1.0' }), until))
  }
})

// Backends with manners of their own: their answers reach the client of
// another node as they are.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { ask, chat } from './http.mjs'
import { sleep, startNode, suiteScope } from './lib.mjs'
import { SSE, chunk, event, startRaw, whole } from './raw.mjs'

describe('a backend with manners of its own', () => {
  const scope = suiteScope()
  let backend, client, host
  before(async () => {
    backend = await startRaw(scope)
    host = await startNode(scope, { backend: backend.url })
    client = await startNode(scope, { join: await host.token() })
    await client.waitModel('echo')
  })

  const odd = `: ping\n\n:\n\n${event('a')}id: 7\r\nevent: x\r\ndata: {}\r\n` +
    `\r\nretry: 5\n\ndata: 1\ndata: 2\n\n\ufeff${event('é🦊')}data:[DONE]\n\n`
  const bytewise = text => [...Buffer.from(text)].map(b => Buffer.from([b]))
  const streams = {
    'comments, CRLF, fields that nobody knows':
      [[`${SSE}Transfer-Encoding: chunked\r\n\r\n${chunk(odd)}0\r\n\r\n`], odd],
    'byte by byte': [bytewise(
      `${SSE}Transfer-Encoding: chunked\r\n\r\n${chunk(odd)}0\r\n\r\n`), odd],
    'extensions and trailers': [[`${SSE}Transfer-Encoding: chunked\r\n\r\n`,
      chunk(odd, ';a=b'), '000\r\nX-Trailer: 1\r\n\r\n'], odd],
    'interim answers': [['HTTP/1.1 102 Processing\r\n\r\n',
      `HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n${SSE}` +
      `Content-Length: ${Buffer.byteLength(odd)}\r\n\r\n${odd}`], odd],
    'no [DONE]': [[`${SSE}Transfer-Encoding: chunked\r\n\r\n`,
      chunk(event('a')), '0\r\n\r\n'], event('a')],
    'HTTP/1.0, to the end of the connection': [[SSE.replace('1.1', '1.0') +
      '\r\n', odd, null], odd],
    'an end of the connection in HTTP/1.1':
      [[`${SSE}Connection: close\r\n\r\n`, odd, null], odd],
    'lower-case names, no reason': [['HTTP/1.1 200 \r\ncontent-type:' +
      'text/event-stream\r\ntransfer-encoding:CHUNKED\r\n\r\n',
    chunk(odd), '0\r\n\r\n'], odd],
  }
  for (const [name, [pieces, want]] of Object.entries(streams)) {
    test(`${name}: the same here, and there`, async () => {
      backend.answer = async socket => {
        for (const piece of pieces) {
          if (piece === null) socket.end()
          else socket.write(piece)
          await new Promise(setImmediate)
        }
      }
      for (const node of [host, client]) {
        const answer = await chat(node, 'x', { more: { stream: true } })
        assert.equal(answer.status, 200, answer.body)
        assert.equal(answer.body, want)
        assert.equal(answer.complete, true)
      }
    })
  }

  test('Anthropic\'s messages, and errors in their shape', async () => {
    let head
    backend.answer = (socket, nth, request) => {
      head = request.split('\r\n')[0]
      socket.write(whole('{"type":"message","content":[]}'))
    }
    for (const node of [host, client]) {
      for (const path of ['/v1/messages', '/v1/messages/count_tokens']) {
        const body = { model: 'echo', max_tokens: 1, messages: [] }
        const answer = await ask(`${node.api}${path}?beta=true`, { body })
        assert.equal(answer.body, '{"type":"message","content":[]}')
        assert.equal(head, `POST ${path} HTTP/1.1`)
        const refused = await ask(`${node.api}${path}`,
          { body: { ...body, model: 'none' } })
        assert.equal(refused.status, 404)
        const error = JSON.parse(refused.body)
        assert.equal(error.type, 'error')
        assert.equal(error.error.code, 'model_not_found')
      }
    }
  })

  test('12 MiB in one piece', async () => {
    const body = JSON.stringify({ x: 'y'.repeat(12 << 20) })
    backend.answer = socket => socket.write(whole(body))
    const answer = await chat(client, 'x')
    assert.equal(answer.body.length, body.length)
    assert.equal(answer.complete, true)
  })

  test('an error says when to try again', async () => {
    const error = '{"error":{"message":"slowly","type":"x","code":null}}'
    backend.answer = socket => socket.write(whole(error, 'HTTP/1.1 429 Slow' +
      '\r\nRetry-After: 17\r\nRetry-After-Ms: 16500\r\nX-Should-Retry: false' +
      '\r\nSet-Cookie: a=b\r\nServer: x'))
    for (const node of [host, client]) {
      const { status, headers, body } = await chat(node, 'x')
      assert.equal(status, 429)
      assert.equal(body, error)
      assert.equal(headers['retry-after'], '17')
      assert.equal(headers['retry-after-ms'], '16500')
      assert.equal(headers['x-should-retry'], 'false')
      assert.equal(headers['set-cookie'], undefined)
    }
    backend.answer = socket => socket.write(whole(error, 'HTTP/1.1 400 No'))
    const { headers } = await chat(client, 'x')
    assert.equal(headers['retry-after'], undefined)
  })

  // Ends: closed, or reset, as the next request arrives.
  for (const end of ['destroy', 'resetAndDestroy', 'end']) {
    test(`${end}() of a kept-alive connection as it is reused`, async () => {
      backend.answer = (socket, nth) => nth > 1
        ? socket[end]() : socket.write(whole('{"ok":true}'))
      for (let i = 0; i < 20; i++) {
        const answer = await chat(client, 'x')
        assert.equal(answer.status, 200, answer.body)
      }
    })
  }

  test('a new connection that ends without a word is no second try',
    async () => {
      backend.answer = socket => socket.write(whole('{}'))
      assert.equal((await chat(client, 'x')).status, 200)
      backend.answer = socket => socket.destroy()
      await sleep(100)
      const { posts } = backend
      const answer = await chat(client, 'x')
      assert.ok(answer.status >= 500, answer.body)
      assert.ok(backend.posts <= posts + 2, `${backend.posts - posts} tries`)
    })
})

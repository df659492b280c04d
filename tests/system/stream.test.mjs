// Streams whose source is silent, odd or cut: the client is kept waiting for
// as long as it takes, and never takes a part for the whole.
import assert from 'node:assert/strict'
import net from 'node:net'
import { before, describe, test } from 'node:test'
import { ask, assertBroken, chat, chatBody, errorOf } from './http.mjs'
import { sleep, startNode, suiteScope, waitFor } from './lib.mjs'
import { SSE, chunk, event, startRaw, whole } from './raw.mjs'

const CHUNKED = `${SSE}Transfer-Encoding: chunked\r\n\r\n`
const END = '0\r\n\r\n'
const DONE = 'data: [DONE]\n\n'
const BEAT = ': keep-alive\n\n'
const streamed = { more: { stream: true } }

describe('a silent source', () => {
  const scope = suiteScope()
  const quick = { args: ['--keep-alive-seconds=1', '--answer-seconds=15'] }
  let backend, client, host
  before(async () => {
    backend = await startRaw(scope)
    host = await startNode(scope, { backend: backend.url, ...quick })
    client = await startNode(scope, { join: await host.token(), ...quick })
    await client.waitModel('echo')
  })
  const nodes = () => [['its own node', host], ['another node', client]]
  // A stream, and for the backend: until its client has got a comment.
  let heard
  const listen = node => {
    heard = ''
    return chat(node, 'x', { ...streamed, onBody: text => { heard = text } })
  }
  const comment = () =>
    waitFor('a comment', () => heard.includes(BEAT)).catch(() => {})

  test('comments come between two events', async () => {
    backend.answer = async socket => {
      socket.write(CHUNKED + chunk(event('a')))
      await comment()
      socket.write(chunk(event('b') + DONE) + END)
    }
    for (const [name, node] of nodes()) {
      const answer = await listen(node)
      assert.equal(answer.complete, true, name)
      assert.ok(answer.body.startsWith(event('a') + BEAT), answer.body)
      assert.equal(answer.body.replaceAll(BEAT, ''),
        event('a') + event('b') + DONE)
    }
  })

  for (const [name, cut] of Object.entries({ 'a line': 'data: {"cho',
    'an event': 'data: 1\n', 'an event, behind a CR': 'data: 1\r',
    'an event, behind CRLF': 'data: 1\r\n' })) {
    test(`none comes inside of ${name}`, async () => {
      backend.answer = async socket => {
        socket.write(CHUNKED + chunk(cut))
        await sleep(1800)
        socket.write(chunk('\n\n') + END)
      }
      assert.equal((await chat(client, 'x', streamed)).body, `${cut}\n\n`)
    })
  }

  for (const [name, end] of Object.entries({ LF: '\n\n', CR: '\r\r',
    CRLF: '\r\n\r\n', 'CR and LF mixed': '\n\r' })) {
    test(`one comes behind an event that ends with ${name}`, async () => {
      backend.answer = async socket => {
        socket.write(CHUNKED + chunk(`data: 1${end}`))
        await comment()
        socket.write(chunk(DONE) + END)
      }
      // Both nodes may send one.
      assert.equal((await listen(client)).body
        .replace(/(: keep-alive\n\n)+/, '+'), `data: 1${end}+${DONE}`)
    })
  }

  test('JSON is as it was', async () => {
    backend.answer = async socket => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n' +
        'Content-Length: 13\r\n\r\n{"a":')
      await sleep(1800)
      socket.write('"\\n\\n1"}')
    }
    const slow = await chat(client, 'x', streamed)
    assert.equal(slow.body, '{"a":"\\n\\n1"}')
    assert.equal(slow.complete, true)
    backend.answer = async socket => {
      await sleep(5500)
      socket.write(whole('{"late":true}'))
    }
    const answer = await chat(client, 'x')
    assert.equal(answer.status, 200)
    assert.equal(answer.body, '{"late":true}')
  })

  test('a head comes when the source takes long to begin', async () => {
    let head = false
    let isEarly
    backend.answer = async socket => {
      await waitFor('a head', () => head).catch(() => {})
      isEarly = head
      socket.write(CHUNKED + chunk(event('a') + DONE) + END)
    }
    const answer = await new Promise((resolve, reject) => {
      const text = JSON.stringify(chatBody('x', { stream: true }))
      const socket = net.connect(client.ready.api.split(':')[1], '127.0.0.1')
      let all = ''
      socket.on('error', reject)
      socket.on('data', piece => { head = true; all += piece })
      socket.on('end', () => resolve(all))
      socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n' +
        'Content-Type: application/json\r\nConnection: close\r\n' +
        `Content-Length: ${text.length}\r\n\r\n${text}`)
    })
    assert.match(answer, /^HTTP\/1\.1 200 OK\r\nContent-Type: text\/event-str/)
    assert.ok(isEarly, 'it came with the answer only')
    assert.match(answer, /: X-Meshllm-Host: [0-9a-f]{10}\n: X-Meshllm-Enc/)
    assert.ok(answer.includes(event('a') + DONE))
    assert.ok(answer.endsWith(END))
  })

  test('an error behind such a head is an event, and no end', async () => {
    backend.answer = async socket => {
      await sleep(5500)
      socket.write(whole('{"error":{\n"message":"no","code":"x"}}',
        'HTTP/1.1 400 No'))
    }
    const error = assertBroken(await chat(client, 'x', streamed))
    assert.equal(error.message, 'no')
  })

  test('who does not answer at all is given up', async () => {
    backend.answer = () => {}
    const answer = await chat(client, 'x')
    assert.equal(answer.status, 504, answer.body)
    assert.match(errorOf(answer).code, /^(host|backend)_timeout$/)
  })

  test('a client that only shut its side down waits for slow tokens',
    async () => {
      backend.answer = async socket => {
        for (const word of ['a', 'b', 'c']) {
          socket.write((word === 'a' ? CHUNKED : '') + chunk(event(word)))
          await sleep(1700)
        }
        socket.write(chunk(DONE) + END)
      }
      const text = JSON.stringify(chatBody('x', { stream: true }))
      const all = await new Promise((resolve, reject) => {
        const socket = net.connect({ host: '127.0.0.1',
          port: client.ready.api.split(':')[1], allowHalfOpen: true })
        let got = ''
        socket.on('error', reject)
        socket.on('data', piece => { got += piece })
        socket.on('end', () => { socket.destroy(); resolve(got) })
        socket.end('POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n' +
          'Content-Type: application/json\r\n' +
          `Content-Length: ${text.length}\r\n\r\n${text}`)
      })
      assert.ok(all.endsWith(`${DONE}\r\n${END}`), all)
      for (const word of ['a', 'b', 'c']) assert.ok(all.includes(event(word)))
    })

  test('a client that leaves in such a silence stops the backend', async () => {
    let closed = false
    backend.answer = socket => {
      socket.on('close', () => { closed = true })
      socket.write(CHUNKED + chunk(event('a')))
    }
    const controller = new AbortController()
    const left = ask(`${client.baseUrl}/chat/completions`, {
      body: chatBody('x', { stream: true }), signal: controller.signal,
      onEvent: () => setTimeout(() => controller.abort(), 1500) })
    await assert.rejects(left).catch(() => {})
    await waitFor('end at the backend', () => closed)
  })
})

describe('a stream that was cut', () => {
  const scope = suiteScope()
  let backend, client, host
  before(async () => {
    backend = await startRaw(scope)
    host = await startNode(scope, { backend: backend.url })
    client = await startNode(scope, { join: await host.token() })
    await client.waitModel('echo')
  })

  const cuts = {
    'in a chunk': [CHUNKED, chunk(event('a')).slice(0, -9)],
    'between two chunks': [CHUNKED, chunk(event('a'))],
    'before its last chunk is whole': [CHUNKED, chunk(event('a')), '0\r\n'],
    'short of its length': [`${SSE}Content-Length: 999\r\n\r\n`, event('a')],
    'where only the connection could end it':
      [`${SSE}Connection: close\r\n\r\n`, event('a')],
    'where it could, in the word [DONE]':
      [`${SSE}Connection: close\r\n\r\n`, event('a'), 'data: [DON'],
  }
  // A stream, and for the backend: until its client has some of it.
  let heard
  const listen = node => {
    heard = ''
    return chat(node, 'x', { ...streamed, onBody: text => { heard = text } })
  }
  const begun = () => waitFor('the beginning', () => heard !== '')
    .catch(() => {})

  test('all that came before something bad arrives', async () => {
    backend.answer = async socket => {
      socket.write(CHUNKED + chunk(event('a')))
      await begun()
      socket.write(`${chunk(event('b'))}zz\r\n`)
    }
    for (const node of [host, client]) {
      const answer = await listen(node)
      assertBroken(answer)
      assert.ok(answer.body.startsWith(event('a') + event('b')), answer.body)
    }
  })

  for (const [name, pieces] of Object.entries(cuts)) {
    test(`${name}: nobody takes it for the whole`, async () => {
      backend.answer = async socket => {
        for (const piece of pieces) {
          socket.write(piece)
          await new Promise(setImmediate)
        }
        await begun()
        socket.end()
      }
      for (const node of [host, client]) {
        const { posts } = backend
        const answer = await listen(node)
        assert.equal(answer.complete, false, answer.body)
        assert.ok(!answer.body.includes('[DONE]'))
        if (name !== 'short of its length') {
          assert.match(answer.events.at(-1), /^\{"error":\{"message":"/)
        }
        assert.equal(backend.posts, posts + 1, 'it was asked again')
      }
    })
  }

  // Only the way in which the connection ends can tell.
  test('a client with HTTP/1.0 sees the connection break', async () => {
    backend.answer = async socket => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n' +
        'Transfer-Encoding: chunked\r\n\r\n' + chunk('{"half": '))
      await sleep(50)
      socket.end()
    }
    const body = JSON.stringify(chatBody('x'))
    for (const node of [host, client]) {
      const { host: name, port } = new URL(node.api)
      const socket = net.connect(port, '127.0.0.1')
      socket.write(`POST /v1/chat/completions HTTP/1.0\r\nHost: ${name}\r\n` +
        'Content-Type: application/json\r\n' +
        `Content-Length: ${body.length}\r\n\r\n${body}`)
      socket.resume()
      const end = await new Promise(resolve => {
        socket.once('error', e => resolve(e.code))
        socket.once('end', () => resolve('a clean end'))
      })
      assert.equal(end, 'ECONNRESET', node === host ? 'host' : 'client')
    }
  })
})

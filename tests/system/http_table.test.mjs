// The table of raw requests, on the listener and inside a sealed tunnel: each
// ends as it should, nothing ambiguous reaches the backend, and a well-formed
// request right behind it is still served.  The backend here records bytes.
import assert from 'node:assert/strict'
import net from 'node:net'
import { before, describe, test } from 'node:test'
import { foreignAsk, meet, startForeign } from './foreign.mjs'
import { raw } from './http.mjs'
import { bodyOf, table } from './http_table.mjs'
import { startNode, suiteScope } from './lib.mjs'

// Reads requests as strictly as they are meant to come: one form, no other.
class Recorder {
  constructor () {
    this.requests = []
    this.bad = []
    this.server = net.createServer(socket => this.#serve(socket))
  }

  async start (t) {
    this.server.listen(0, '127.0.0.1')
    await new Promise(resolve => this.server.once('listening', resolve))
    t.after(() => {
      this.sockets?.forEach(s => s.destroy())
      this.server.close()
    })
    this.url = `http://127.0.0.1:${this.server.address().port}`
    return this
  }

  #serve (socket) {
    let text = ''
    this.sockets = [...this.sockets ?? [], socket]
    socket.setEncoding('latin1').on('error', () => {})
    socket.on('data', piece => {
      text += piece
      for (;;) {
        const end = text.indexOf('\r\n\r\n')
        if (end === -1) return
        const request = this.#read(text.slice(0, end))
        if (request === undefined) {
          this.bad.push(text)
          socket.destroy()
          return
        }
        if (text.length < end + 4 + request.length) return
        const body = text.slice(end + 4, end + 4 + request.length)
        text = text.slice(end + 4 + request.length)
        this.#answer(socket, request, body)
      }
    })
    socket.on('close', () => { if (text !== '') this.bad.push(text) })
  }

  #read (head) {
    const [line, ...fields] = head.split('\r\n')
    const seen = {}
    for (const field of fields) {
      const [, name, value] = /^([A-Za-z-]+): ([\x20-\x7e]*)$/.exec(field) ?? []
      if (name === undefined || seen[name.toLowerCase()]) return undefined
      seen[name.toLowerCase()] = value
    }
    const known = ['host', 'content-type', 'content-length', 'accept',
      'x-request-id']
    if (Object.keys(seen).some(name => !known.includes(name))) return undefined
    if (line === 'GET /v1/models HTTP/1.1') return { line, length: 0 }
    return line === 'POST /v1/chat/completions HTTP/1.1' &&
      seen['content-type'] === 'application/json' &&
      /^[1-9]\d*$/.test(seen['content-length'])
      ? { line, length: Number(seen['content-length']) } : undefined
  }

  #answer (socket, request, body) {
    let text = '{"object":"list","data":[{"id":"echo"}]}'
    if (request.length > 0) {
      try {
        JSON.parse(body)
      } catch {
        this.bad.push(body)
      }
      this.requests.push(body)
      text = JSON.stringify({ heard: body })
    }
    socket.write(`HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${text.length}\r\n\r\n${text}`)
  }
}

const scope = suiteScope()
let recorder, node, peer
before(async () => {
  recorder = await new Recorder().start(scope)
  node = await startNode(scope, { backend: recorder.url })
  await node.waitModel('echo')
  peer = await startForeign(scope, { dialect: 'meshllm' })
  await meet(peer, node)
})

const lengthOf = text => Buffer.byteLength(text)
const good = words => {
  const body = bodyOf(words)
  return 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n' +
    'Content-Type: application/json\r\nConnection: close\r\n' +
    `Content-Length: ${lengthOf(body)}\r\n\r\n${body}`
}

// What has reached the backend since is this body once, or nothing at all.
function assertReached (since, name, status, isPost) {
  assert.deepEqual(recorder.bad, [], 'ambiguous bytes reached the backend')
  const reached = recorder.requests.slice(since)
  assert.deepEqual(reached, status === 200 && isPost ? [bodyOf(name)] : [])
}

const isPost = bytes => /^POST /.test(bytes.trimStart())

async function assertServes (since) {
  const answer = await raw(node.ready.api, good('right after'))
  assert.equal(answer.status, 200, answer.text)
  assert.ok(answer.closed)
  assert.deepEqual(recorder.requests.slice(since), [bodyOf('right after')])
}

describe(`${table.length} requests on the listener`, () => {
  const marker = 'behind-it'
  const behind = 'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n' +
    `X-Request-Id: ${marker}\r\nConnection: close\r\n\r\n`

  for (const { name, bytes, api, stays, cut, answers, interim } of table) {
    test(name, async () => {
      const statuses = [api].flat()
      let since = recorder.requests.length
      const answer = await raw(node.ready.api, cut ? bytes : bytes + behind,
        { end: cut, grace: 15000 })
      const found = answer.text.match(/HTTP\/1\.1 \d{3} /g) ?? []
      if (cut && answer.text === '') {
        assert.ok(answer.closed)
      } else {
        const status = interim
          ? Number(found[1]?.split(' ')[1]) : answer.status
        assert.ok(statuses.includes(status),
          `${status}: ${answer.text.slice(0, 400)}`)
        if (interim) assert.equal(answer.status, 100)
        assert.equal(answer.text.includes(marker), stays === true,
          stays ? 'what is behind was not answered'
            : 'the rest was taken for a request')
        assert.ok(answer.closed, 'the connection stays open')
        assert.equal(found.length, (stays ? 2 : 1) + (interim ? 1 : 0) +
          (answers === 2 && !interim ? 1 : 0))
        if (status >= 400) {
          assert.match(answer.text, /\r\nContent-Type: application\/json\r\n/)
          assert.match(answer.text, /"error":\{"message":"[^"]/)
          if (!stays && answers !== 2) {
            assert.match(answer.text, /\r\nConnection: close\r\n/)
          }
        }
        assertReached(since, name, status, isPost(bytes))
      }
      since = recorder.requests.length
      await assertServes(since)
    })
  }

  test('there are enough of them', () => {
    const refused = table.filter(t => ![t.api].flat().includes(200))
    assert.ok(refused.length >= 150, `${refused.length}`)
    assert.ok(table.length - refused.length >= 20)
  })
})

describe(`${table.length} requests inside a tunnel`, () => {
  const seal = bytes => foreignAsk(peer, node, { sealed: true,
    raw: Buffer.from(bytes, 'latin1') })

  for (const { name, bytes, tunnel } of table) {
    test(name, async () => {
      const statuses = [tunnel].flat()
      let since = recorder.requests.length
      const answer = await seal(bytes)
      assert.equal(answer.error, undefined)
      assert.ok(statuses.includes(answer.status),
        `${answer.status}: ${answer.body}`)
      if (answer.status >= 400) {
        assert.ok(JSON.parse(answer.body).error.message.length > 0)
      }
      assertReached(since, name, answer.status, isPost(bytes))
      since = recorder.requests.length
      const after = await seal(good('right after'))
      assert.equal(after.status, 200, after.body)
      assert.deepEqual(recorder.requests.slice(since), [bodyOf('right after')])
    })
  }
})

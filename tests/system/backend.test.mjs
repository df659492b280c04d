// Backends with manners of their own: their answers reach the client of
// another node as they are.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import OpenAI from 'openai'
import { ask, chat, errorOf } from './http.mjs'
import {
  Node, patience, sleep, startBackend, startNode, suiteScope, waitFor
} from './lib.mjs'
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

  test('a sound file arrives as it went, byte for byte', async () => {
    let got
    backend.answer = (socket, nth, request) => {
      got = request
      socket.write(whole('{"text":"hello"}'))
    }
    const sound = Buffer.from(Array.from({ length: 3 << 20 },
      (_, i) => (i * 7919 + (i >> 8)) & 0xff))
    for (const node of [host, client]) {
      const sdk = new OpenAI({ baseURL: node.baseUrl, apiKey: 'none',
        maxRetries: 0 })
      const file = await OpenAI.toFile(sound, 'a "b" é.wav'.replaceAll('"', ''))
      for (const kind of ['transcriptions', 'translations']) {
        const { text } = await sdk.audio[kind].create({ model: 'echo', file })
        assert.equal(text, 'hello')
        assert.match(got, new RegExp(`^POST /v1/audio/${kind} HTTP/1.1\r\n`))
        const [, boundary] = /\r\nContent-Type: multipart\/form-data; boundary="?([^"\r]+)"?\r\n/.exec(got)
        assert.ok(got.includes(`--${boundary}\r\n`))
        assert.ok(got.endsWith(`--${boundary}--\r\n`) ||
          got.endsWith(`--${boundary}--`))
        assert.ok(got.includes(sound.toString('latin1')))
        assert.ok(!/authorization/i.test(got))
      }
    }
  })

  test('form data that names no model, or no good one', async () => {
    const post = async (node, form) => {
      const { posts } = backend
      const answer = await fetch(`${node.baseUrl}/audio/transcriptions`,
        { method: 'POST', ...form })
      const { error } = await answer.json()
      assert.equal(backend.posts, posts)
      return [answer.status, error.code]
    }
    const form = fields => {
      const body = new FormData()
      for (const [name, value] of fields) body.append(name, value)
      return { body }
    }
    for (const node of [host, client]) {
      assert.deepEqual(await post(node, form([['a', 'b']])),
        [400, 'missing_model'])
      assert.deepEqual(await post(node, form([['model', 'none']])),
        [404, 'model_not_found'])
      assert.deepEqual(await post(node,
        form([['model', 'echo'], ['model', 'other']])), [400, 'invalid_form'])
      assert.deepEqual(await post(node, { body: '{"model":"echo"}',
        headers: { 'content-type': 'application/json' } }),
      [415, 'unsupported_content_type'])
      assert.deepEqual(await post(node, { body: '--x\r\n', headers: {
        'content-type': 'multipart/form-data; boundary=x' } }),
      [400, 'invalid_form'])
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

describe('how a backend is reached', () => {
  const KEY = 'sk-of-the-backend-alone'
  const scratch = t => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'meshllm-backend-'))
    fs.chmodSync(dir, 0o755)
    t.after(() => fs.rmSync(dir, { recursive: true, force: true }))
    return dir
  }
  // Wants this key; keeps what it was asked.
  async function keyed (t, at, { key = KEY, base = '' } = {}) {
    const seen = []
    const server = http.createServer(async (req, res) => {
      let text = ''
      for await (const piece of req) text += piece
      seen.push({ url: req.url, headers: req.headers, text })
      if (server.key && req.headers.authorization !== `Bearer ${server.key}`) {
        res.statusCode = 401
        return res.end('{"error":{"message":"Invalid API Key"}}')
      }
      if (req.url === `${base}/v1/models`) {
        return res.end('{"object":"list","data":[{"id":"echo"}]}')
      }
      if (server.slow) await new Promise(resolve => server.slow.push(resolve))
      res.setHeader('content-type', 'application/json')
      res.end(text)
    })
    server.key = key
    server.seen = seen
    server.listen(...at)
    await new Promise(resolve => server.once('listening', resolve))
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
    return server
  }
  const secret = (dir, text, mode = 0o600) => {
    const file = path.join(dir, 'backend.key')
    fs.writeFileSync(file, text)
    fs.chmodSync(file, mode)
    return file
  }
  async function startFails (t, backend, pattern) {
    const node = new Node({ backend })
    t.after(() => node.stop())
    const end = await Promise.race([node.ended, patience()])
    assert.ok(end?.code > 0, `it runs: ${node.out}`)
    assert.match(node.logText(), pattern)
  }

  test('with a key from a file, over a socket, below a path', async t => {
    const dir = scratch(t)
    const socket = path.join(dir, 'llm.sock')
    const server = await keyed(t, [socket], { base: '/base' })
    fs.chmodSync(socket, 0o777)
    const file = secret(dir, `${KEY}\n`)
    const host = await startNode(t, {
      backend: `unix:${socket} prefix=/base/v1 key-file=${file}` })
    await host.waitModel('echo')
    const client = await startNode(t, { join: await host.token() })
    await client.waitModel('echo')
    for (const node of [host, client]) {
      const answer = await ask(`${node.baseUrl}/chat/completions`, {
        body: { model: 'echo', x: 1 },
        headers: { authorization: 'Bearer of-the-client' } })
      assert.equal(answer.status, 200, answer.body)
    }
    assert.ok(server.seen.every(s => s.url.startsWith('/base/v1/') &&
      s.headers.authorization === `Bearer ${KEY}`))
    // It is shown nowhere.
    for (const node of [host, client]) {
      const all = node.logText() + JSON.stringify(await node.status()) +
        (await ask(`${node.managementUrl}/metrics`)).body
      assert.ok(!all.includes(KEY))
      assert.ok(!spawnSync('ps', ['-ef'], { encoding: 'utf8' }).stdout
        .includes(KEY))
    }
    assert.equal((await host.status()).backends[0].url, `unix:${socket}`)

    // Another key, without a new start.
    server.key = 'sk-second'
    const refused = await chat(host, 'hi')
    assert.equal(refused.status, 502)
    assert.equal(errorOf(refused).code, 'backend_refused')
    secret(dir, 'sk-second')
    const from = host.log.length
    host.signal('SIGHUP')
    await host.waitLog(/info proxyd reloaded/, { from })
    assert.equal((await chat(host, 'hi')).status, 200)
    secret(dir, 'two words')
    host.signal('SIGHUP')
    await host.waitLog(/error proxyd reload-refused .*not one key/, { from })
    assert.equal((await chat(host, 'hi')).status, 200)
  })

  test('and is added and taken away while streams run', async t => {
    const dir = scratch(t)
    const socket = path.join(dir, 'llm.sock')
    const far = await startBackend(t, ['--model', 'far'])
    const other = await startBackend(t, ['--model', 'other'])
    const server = await keyed(t, [socket])
    fs.chmodSync(socket, 0o777)
    const file = secret(dir, KEY)
    const added = `backend = unix:${socket} key-file=${file}\n`
    const first = `backend = ${far.url}\n`
    // There before the node is, which reads it at once.
    const host = new Node({ config: `[proxyd]\n${first}` })
    t.after(() => host.stop())
    const config = path.join(host.home, 'meshllm.conf')
    const reload = async (text, pattern) => {
      const from = host.log.length
      fs.writeFileSync(config, `[proxyd]\n${text}`)
      host.signal('SIGHUP')
      return await host.waitLog(pattern, { from })
    }
    await host.started()
    await host.waitModel('far')
    const client = await startNode(t, { join: await host.token() })
    await client.waitModel('far')
    const gone = async (node, model) => await waitFor(`no ${model}`,
      async () => !(await node.models()).includes(model))

    // One more, for the mesh as well, with its key.
    await reload(first + added, /info proxyd reloaded/)
    await client.waitModel('echo')
    assert.equal((await chat(client, 'hi')).status, 200)
    assert.equal(server.seen.at(-1).headers.authorization, `Bearer ${KEY}`)
    assert.equal((await host.status()).backends.length, 2)

    // One less: what runs there goes on, and nothing follows.
    const streams = [host, client].map(node => {
      let tokens = 0
      const answer = chat(node, 'one two', { model: 'far', more: {
        stream: true, demo_tokens: 60, demo_delay_ms: 50 },
      onEvent: () => { tokens++ } })
      answer.catch(() => {})
      return { answer, begun: () => tokens > 2 }
    })
    await waitFor('tokens', () => streams.every(s => s.begun()))
    await reload(added, /info proxyd reloaded/)
    assert.ok(!(await host.models()).includes('far'))
    await gone(client, 'far')
    for (const node of [host, client]) {
      const answer = await chat(node, 'hi', { model: 'far' })
      assert.ok([404, 503].includes(answer.status), answer.body)
      assert.equal((await chat(node, 'hi')).status, 200)
    }
    assert.deepEqual((await host.status()).backends.map(b => b.url),
      [`unix:${socket}`])
    for (const { answer } of streams) {
      const { status, complete, events } = await answer
      assert.deepEqual([status, complete, events.at(-1)],
        [200, true, '[DONE]'])
      assert.ok(events.length >= 60)
    }

    // It comes back; all can go.
    await reload(first, /info proxyd reloaded/)
    await client.waitModel('far')
    await gone(client, 'echo')
    assert.equal((await chat(client, 'hi', { model: 'far' })).status, 200)
    await reload('', /info proxyd reloaded/)
    await gone(client, 'far')
    assert.equal((await host.status()).role, 'client')
    await reload(first + added, /info proxyd reloaded/)
    await client.waitModel('far')
    await client.waitModel('echo')

    // A port that the sandbox forbids is named, and changes nothing.
    if (host.log.some(l => /info proxyd landlock .*tcp=yes/.test(l) ||
      /info proxyd landlock .*tcp=true/.test(l))) {
      const line = await reload(`backend = ${other.url}\nallow-host = x.lan\n`,
        /error proxyd reload-refused/)
      assert.ok(line.includes(other.url) && /restart of proxyd/.test(line), line)
      assert.deepEqual((await host.status()).backends.map(b => b.url).sort(),
        [far.url, `unix:${socket}`].sort())
      const answer = await ask(`${host.baseUrl}/models`,
        { headers: { host: 'x.lan' } })
      assert.equal(answer.status, 403)
    } else t.diagnostic('no Landlock with TCP here')
    assert.equal((await chat(client, 'hi', { model: 'far' })).status, 200)
  })

  test('over a port that was kept for it, and no other', async t => {
    const [first, ...later] = await Promise.all(['a', 'b', 'c', 'd'].map(
      model => startBackend(t, ['--model', model])))
    const port = one => Number(new URL(one.url).port)
    const host = new Node({ config: `[proxyd]
backend = ${first.url}
backend-port = ${port(later[0])}
backend-port = ${port(later[1])}-${port(later[1])}
` })
    t.after(() => host.stop())
    const reload = async (backends, ports, pattern) => {
      const from = host.log.length
      fs.writeFileSync(path.join(host.home, 'meshllm.conf'), ['[proxyd]',
        ...backends.map(b => `backend = ${b.url}`),
        ...ports.map(p => `backend-port = ${p}`), ''].join('\n'))
      host.signal('SIGHUP')
      return await host.waitLog(pattern, { from })
    }
    await host.started()
    await host.waitModel('a')
    let tokens = 0
    const stream = chat(host, 'one two', { model: 'a', more: {
      stream: true, demo_tokens: 60, demo_delay_ms: 50 },
    onEvent: () => { tokens++ } })
    stream.catch(() => {})
    await waitFor('tokens', () => tokens > 2)

    // What the sandbox has is what it was given at the start.
    const from = host.log.length
    await reload([first, later[0], later[1]], [1], /info proxyd reloaded/)
    await host.waitLog(/reload-needs-restart option=backend-port/, { from })
    for (const model of ['b', 'c']) {
      await host.waitModel(model)
      assert.equal((await chat(host, 'hi', { model })).status, 200)
    }
    if (host.log.some(l => /proxyd landlock .*tcp=(yes|true)/.test(l))) {
      const line = await reload([first, later[2]], [port(later[2])],
        /error proxyd reload-refused/)
      assert.match(line, /backend-port keeps ports for later.*restart/)
    } else t.diagnostic('no Landlock with TCP here')
    const { status, complete, events } = await stream
    assert.deepEqual([status, complete, events.at(-1)], [200, true, '[DONE]'])
    assert.ok(events.length >= 60)
  })

  test('at an address of IPv6', async t => {
    const server = await keyed(t, [0, '::1'], { key: '' })
    const { port } = server.address()
    const host = await startNode(t, { backend: `http://[::1]:${port}/v1` })
    await host.waitModel('echo')
    assert.equal((await chat(host, 'hi')).status, 200)
  })

  test('a bad key file ends the start, with its name', async t => {
    const dir = scratch(t)
    const url = 'http://127.0.0.1:1'
    await startFails(t, `${url} key-file=${secret(dir, KEY, 0o644)}`,
      /backend\.key.*can read/)
    await startFails(t, `${url} key-file=${secret(dir, '')}`,
      /backend\.key.*not one key/)
    await startFails(t, `${url} key-file=${secret(dir, 'a\nb')}`,
      /backend\.key.*not one key/)
    await startFails(t, `${url} key-file=${dir}/none`, /none.*No such file/)
    await startFails(t, `${url} key-file=relative`, /key-file/)
    await startFails(t, `${url} requests=0`, /requests/)
    await startFails(t, `${url} nonsense=1`, /backend/)
  })

  test('redirects are not followed, and no proxy is asked', async t => {
    const other = await keyed(t, [0, '127.0.0.1'], { key: null })
    const server = http.createServer((req, res) => {
      if (req.method === 'GET') {
        return res.end('{"object":"list","data":[{"id":"echo"}]}')
      }
      res.writeHead(307, { location:
        `http://127.0.0.1:${other.address().port}/v1/chat/completions` })
      res.end()
    }).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await new Promise(resolve => server.once('listening', resolve))
    const proxy = `http://127.0.0.1:${other.address().port}`
    const node = await startNode(t, {
      backend: `http://127.0.0.1:${server.address().port}`,
      env: { http_proxy: proxy, HTTP_PROXY: proxy, all_proxy: proxy } })
    await node.waitModel('echo')
    const answer = await chat(node, 'hi')
    assert.equal(answer.status, 502)
    assert.ok(!answer.body.includes(proxy) && answer.headers.location === undefined)
    assert.deepEqual(other.seen, [])
  })

  test('with a limit of its own', async t => {
    const server = await keyed(t, [0, '127.0.0.1'], { key: null })
    server.slow = []
    const node = await startNode(t, { backend:
      `http://127.0.0.1:${server.address().port} requests=2` })
    await node.waitModel('echo')
    const answers = [1, 2, 3, 4].map(() => chat(node, 'hi'))
    await waitFor('two of them', () => server.slow.length === 2)
    await sleep(200)
    assert.equal(server.slow.length, 2)
    const done = waitFor('their end', () => {
      server.slow.splice(0).forEach(go => go())
      return server.seen.filter(s => s.text !== '').length === 4
    })
    for (const answer of await Promise.all(answers)) {
      assert.equal(answer.status, 200)
    }
    await done
  })
})

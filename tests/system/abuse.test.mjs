// Bad input, each kind with its clear error and nothing lost: what is well
// formed is served before, during and after.
import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { setMaxListeners } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import { assertAnswered, foreignAsk, foreignChat, meet, rawStreams,
  startForeign } from './foreign.mjs'
import { ask, assertBroken, assertRefused, assertServes, chat, chatBody, raw,
  waitIdle, waitServes } from './http.mjs'
import { Node, patience, sleep, startBackend, startNode, suiteScope, waitFor }
  from './lib.mjs'
import { descriptors, processesOf, rssKib } from './processes.mjs'

const WORDS = 'the quick brown fox'

async function pair (t, backendArgs) {
  const backend = await startBackend(t, backendArgs)
  const host = await startNode(t, { backend: backend.url })
  const client = await startNode(t, { join: await host.token() })
  await client.waitModel('echo')
  return { backend, host, client }
}

describe('malformed HTTP', () => {
  const scope = suiteScope()
  let backend, host, client
  before(async () => {
    ({ backend, host, client } = await pair(scope))
  })

  const body = JSON.stringify(chatBody(WORDS))
  const post = (fields, content = body) =>
    `POST /v1/chat/completions HTTP/1.1\r\n${['Host: localhost',
      'Content-Type: application/json', ...fields].join('\r\n')}\r\n\r\n${content}`
  const length = `Content-Length: ${body.length}`
  const chunked = 'Transfer-Encoding: chunked'
  const chunks = text => post([chunked], text)
  const get = (...fields) =>
    `GET /v1/models HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`

  const cases = {
    'both lengths': [post([length, chunked]), 400],
    'two lengths': [post([length, length]), 400],
    'two different lengths': [post([length, 'Content-Length: 5']), 400],
    'a list of lengths': [post([`${length}, ${body.length}`]), 400],
    'a negative length': [post(['Content-Length: -1']), 400],
    'a length with a plus': [post([`Content-Length: +${body.length}`]), 400],
    'a hexadecimal length': [post(['Content-Length: 0x10']), 400],
    'a length beyond 64 bits': [
      post(['Content-Length: 99999999999999999999999']), 400],
    'two transfer encodings': [post([chunked, chunked], '0\r\n\r\n'), 400],
    'an unknown transfer encoding': [
      post(['Transfer-Encoding: gzip, chunked']), 501],
    'chunked, hidden by white space': [
      post(['Transfer-Encoding : chunked']), 400],
    'a body without a length': [post([]), 411],
    'bare LF': [post([length]).replaceAll('\r\n', '\n'), 400],
    'one bare LF': [get('Host: localhost\nX: y'), 400],
    'a bare CR': [get('Host: localhost\rX: y'), 400],
    'a folded field': [get('Host: localhost', 'X: a', ' b'), 400],
    'a field without a colon': [get('Host: localhost', 'Nonsense'), 400],
    'an empty field name': [get('Host: localhost', ': x'), 400],
    'a NUL in a field': [get('Host: localhost', 'X: a\0b'), 400],
    'an oversized header': [
      get('Host: localhost', `X: ${'x'.repeat(40000)}`), 431],
    'an oversized header that never ends': [
      `GET /v1/models HTTP/1.1\r\nX: ${'x'.repeat(100000)}`, 431],
    'too many fields': [get('Host: localhost',
      ...Array.from({ length: 500 }, (_, i) => `X-${i}: 1`)), 431],
    'two Hosts': [get('Host: localhost', 'Host: localhost'), 400],
    'no Host': [get('X: y'), 400],
    'a Host of DNS rebinding': [get('Host: rebind.example.com'), 403],
    'a Host that begins like ours': [get('Host: localhost.example.com'), 403],
    'a Host with another address': [get('Host: 192.0.2.1:9337'), 403],
    'another Origin': [
      get('Host: localhost', 'Origin: https://evil.example.com'), 403],
    'the Origin null': [get('Host: localhost', 'Origin: null'), 403],
    'a cross-site fetch': [
      get('Host: localhost', 'Sec-Fetch-Site: cross-site'), 403],
    'a preflight': ['OPTIONS /v1/chat/completions HTTP/1.1\r\n' +
      'Host: localhost\r\nOrigin: https://evil.example.com\r\n' +
      'Access-Control-Request-Method: POST\r\n\r\n', [403, 405]],
    'a form, as web pages send them': [post([length]).replace(
      'application/json', 'text/plain'), 415],
    'another version': [get('Host: localhost').replace('1.1', '2.0'), 505],
    'the preface of HTTP/2': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505]],
    'TLS': ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400],
    'no version': ['GET /v1/models\r\n\r\n', 400],
    'white space before the first line': [` ${get('Host: localhost')}`, 400],
    'a target with a space': [
      get('Host: localhost').replace('/v1/models', '/v1/ models'), 400],
    'an absolute target elsewhere': [
      get('Host: localhost').replace('/v1/', 'http://192.0.2.1/v1/'), 400],
    'CONNECT': ['CONNECT 192.0.2.1:443 HTTP/1.1\r\nHost: localhost\r\n\r\n',
      [400, 404, 405]],
    'a path that climbs': [get('Host: localhost')
      .replace('/v1/models', '/v1/../api/status'), 404],
    'another path': [get('Host: localhost').replace('/v1/models', '/'), 404],
    'the management path on the API': [
      get('Host: localhost').replace('/v1/models', '/api/status'), 404],
    'another method': [get('Host: localhost').replace('GET', 'DELETE'), 405],
    'an expectation we do not know': [
      post([length, 'Expect: 200-maybe']), 417],
    'a chunk size that is none': [chunks('zz\r\n{}\r\n0\r\n\r\n'), 400],
    'a negative chunk': [chunks('-2\r\n{}\r\n0\r\n\r\n'), 400],
    'a chunk size with a prefix': [chunks('0x2\r\n{}\r\n0\r\n\r\n'), 400],
    'a chunk size beyond 64 bits': [
      chunks('10000000000000002\r\n{}\r\n0\r\n\r\n'), 400],
    'a chunk longer than it says': [chunks('2\r\n{}}\r\n0\r\n\r\n'), 400],
    'a chunk that ends in LF': [chunks('2\n{}\n0\n\n'), 400],
    'an endless chunk extension': [
      chunks(`2;${'x'.repeat(70000)}\r\n{}\r\n0\r\n\r\n`), 400],
    'endless trailers': [
      chunks(`0\r\n${'X: y\r\n'.repeat(3000)}\r\n`), 400],
    'a body over the limit': [
      post([`Content-Length: ${200 << 20}`], '{'), 413],
  }
  for (const [name, [bytes, status]] of Object.entries(cases)) {
    test(name, async () => {
      const answer = await raw(client.ready.api, bytes)
      assert.ok([status].flat().includes(answer.status),
        `${answer.status}: ${answer.text.slice(0, 300)}`)
      assert.ok(answer.text.match(/HTTP\/1\.1 /g).length === 1,
        'answered more than once')
      const { error } = JSON.parse(answer.text.split('\r\n\r\n')[1])
      assert.ok(error.message.length > 0 && error.type.length > 0)
      // Where its end is unknown, nothing that follows can be a request.
      if (error.code === 'bad_request' || /^POST/.test(bytes)) {
        assert.equal(answer.closed, true, 'the connection stays open')
      }
      await assertServes(client)
    })
  }

  test('nothing of this reached the backend', async () => {
    assert.equal((await backend.stats()).bad, 0)
    assert.doesNotMatch(client.logText(), /error proxyd/)
    await assertServes(host)
  })

  test('a body over the limit that does not say so', async () => {
    const megabyte = 'x'.repeat(1 << 20)
    const piece = `100000\r\n${megabyte}\r\n`
    const begin = '{"model":"echo","messages":[{"role":"user","content":"'
    const socket = net.connect(Number(client.ready.api.split(':')[1]))
    let text = ''
    let isClosed = false
    socket.on('data', d => { text += d }).on('error', () => {})
      .on('close', () => { isClosed = true })
    socket.write(chunks(`${begin.length.toString(16)}\r\n${begin}\r\n`))
    for (let i = 0; i < 120 && text === '' && !isClosed; i++) {
      socket.write(piece)
      await waitFor('room', () =>
        socket.writableLength < 1 << 20 || text !== '' || isClosed,
      { every: 2 })
    }
    await waitFor('refusal', () => text.includes('\r\n\r\n'))
    assert.match(text, /^HTTP\/1\.1 413 /)
    socket.destroy()
    await assertServes(client)
  })

  test('half a request, then nothing; half a head, then the end', async () => {
    const open = []
    for (let i = 0; i < 300; i++) {
      const socket = net.connect(Number(client.ready.api.split(':')[1]))
      socket.on('error', () => {})
      socket.write(i % 2 ? 'POST /v1/chat/comp' : post([length], body.slice(3)))
      open.push(socket)
    }
    await sleep(300)
    await assertServes(client)
    open.forEach((socket, i) => i % 3 ? socket.destroy() : socket.end())
    await waitFor('their end', async () =>
      (await client.status()).counters.connections_now < 10)
    await assertServes(client)
  })

  test('pipelined requests are answered in order', async () => {
    const two = [1, 2].map(i => {
      const text = JSON.stringify(chatBody(`number ${i}`,
        { demo_first_ms: i === 1 ? 200 : 0 }))
      return post([`Content-Length: ${text.length}`,
        ...i === 2 ? ['Connection: close'] : []], text)
    }).join('')
    const { text } = await raw(client.ready.api, two, { grace: 15000 })
    assert.equal(text.match(/HTTP\/1\.1 200/g).length, 2)
    assert.ok(text.indexOf('number 1') < text.indexOf('number 2'))
  })

  test('who speaks HTTP/1.0, or asks for a head, is not kept', async () => {
    const old = post([length, 'Connection: keep-alive'])
      .replace('HTTP/1.1', 'HTTP/1.0')
    const head = 'HEAD /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n'
    for (const [request, answer] of [
      [old, /^HTTP\/1\.1 200[^]*\r\nConnection: close\r\n/],
      [head, /^HTTP\/1\.1 405[^]*\r\nConnection: close\r\n/]]) {
      const { text } = await raw(client.ready.api, request)
      assert.match(text, answer)
    }
  })

  test('a request byte by byte', async () => {
    const bytes = post([length, 'Connection: close'])
    const socket = net.connect(Number(client.ready.api.split(':')[1]))
    socket.setNoDelay(true)
    let text = ''
    socket.on('data', d => { text += d })
    for (const c of bytes) {
      socket.write(c)
      await new Promise(setImmediate)
    }
    await waitFor('answer', () => text.includes(WORDS))
    assert.match(text, /^HTTP\/1\.1 200/)
    socket.destroy()
  })
})

describe('malformed JSON', () => {
  const scope = suiteScope()
  let client, backend
  before(async () => {
    ({ client, backend } = await pair(scope))
  })
  const good = JSON.stringify(chatBody(WORDS))
  const cases = {
    'nothing': '', 'white space': '  \n', 'half of it': good.slice(0, -3),
    'no object': '[]', 'a string': '"echo"', 'two objects': `${good}{}`,
    'a trailing comma': `${good.slice(0, -1)},}`,
    'single quotes': good.replaceAll('"', "'"),
    'a comment': `/* x */${good}`, 'no model': '{"messages":[]}',
    'an empty model': '{"model":"","messages":[]}',
    'a model that is no string': '{"model":7,"messages":[]}',
    'two models': '{"model":"echo","model":"other","messages":[]}',
    'a NUL in the model': '{"model":"echo\\u0000","messages":[]}',
    'half a surrogate': '{"model":"echo","x":"\\ud800"}',
    'bytes that are no UTF-8': Buffer.concat([
      Buffer.from('{"model":"echo","x":"'), Buffer.from([0xff, 0xc0, 0x80]),
      Buffer.from('"}')]).toString('latin1'),
    'a control character': '{"model":"echo","x":"\x01"}',
    'a bad number': '{"model":"echo","x":01}', NaN: '{"model":"echo","x":NaN}',
    'depth without end': `{"model":"echo","x":${'['.repeat(100000)}`,
  }
  for (const [name, text] of Object.entries(cases)) {
    test(name, async () => {
      const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n' +
        `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n`
      const { last_head: last } = await backend.stats()
      const answer = await raw(client.ready.api, [head, text])
      assert.equal(answer.status, 400, answer.text.slice(0, 300))
      const { error } = JSON.parse(answer.text.split('\r\n\r\n')[1])
      assert.equal(error.type, 'invalid_request_error')
      assert.ok(error.message.length > 0)
      assert.equal((await backend.stats()).last_head, last)
      await assertServes(client)
    })
  }
  test('a model with a long name does not exist', async () => {
    const answer = await chat(client, WORDS, { model: 'm'.repeat(5000) })
    assertRefused(answer, [400, 404])
    await assertServes(client)
  })
})

describe('a hostile peer', () => {
  const scope = suiteScope()
  let backend, host, client, foreign
  before(async () => {
    backend = await startBackend(scope)
    host = await startNode(scope, { backend: backend.url })
    client = await startNode(scope, { join: await host.token() })
    await client.waitModel('echo')
    foreign = await startForeign(scope,
      { dialect: 'meshllm', serve: ['theirs'] })
    await meet(foreign, host)
  })
  const raws = (command, peer = foreign) =>
    rawStreams(peer, { to: host.ready.id, ...command })

  // The peer itself is still served, and so are others.
  async function nothingLost () {
    await assertServes(client)
    await assertServes(host)
    assertAnswered(await foreignAsk(foreign, host,
      foreignChat(WORDS, 'echo')), WORDS)
  }

  test('garbage on each stream type', async () => {
    for (let type = 0; type < 256; type++) {
      const result = await raws({ type, random: 80, fin: true })
      assert.equal(result.blocked, false)
      assert.equal(result.open, 0, `type ${type} stays open`)
      // A plain tunnel is told in plain words that it is none.
      assert.ok(result.bytes === 0 || type === 4, `type ${type} is answered`)
    }
    await host.waitLog(/stream-refused .*reason=.*unknown/)
    await nothingLost()
  })

  test('each stream type, empty', async () => {
    const all = await Promise.all(Array.from({ length: 256 }, (_, type) =>
      raws({ type, fin: true, wait_ms: 15000 })))
    assert.deepEqual(all.map((r, type) => r.open ? type : -1)
      .filter(type => type >= 0), [])
    await nothingLost()
  })

  test('a frame of 8 MiB, and one byte more', async () => {
    const most = 8 << 20
    const full = await raws(
      { type: 1, frame_len: most, zeros: most, fin: true, wait_ms: 15000 })
    assert.equal(full.open, 0)
    assert.equal(full.bytes, 0)
    await host.waitLog(/frame.refused /)
    const more = await raws({ type: 1, frame_len: most + 1, zeros: 10 })
    assert.equal(more.open, 0, 'not refused by its length')
    await host.waitLog(/frame over 8 MiB/)
    const never = await raws(
      { type: 1, frame_len: most, zeros: 1000, count: 40, until_open: 32 })
    assert.ok(never.open <= 32, `${never.open} frames are being read`)
    await nothingLost()
  })

  test('frames that end within themselves', async () => {
    for (const type of [1, 3, 5, 6, 7]) {
      for (const frame of [{}, { bytes_hex: '05' }, { frame_len: 10 },
        { frame_len: 10, zeros: 9 }, { frame_len: 0xffffffff }]) {
        const { open, bytes } = await raws({ type, fin: true, ...frame })
        assert.equal(open + bytes, 0, `type ${type} ${JSON.stringify(frame)}`)
      }
    }
    await nothingLost()
  })

  test('10 000 streams', async t => {
    const other = await startForeign(t, { dialect: 'meshllm' })
    await meet(other, host)
    const pid = (await processesOf(host)).gossipd
    const before = { rss: rssKib(pid), fds: descriptors(pid) }
    const held = await rawStreams(other, { to: host.ready.id, type: 4,
      count: 10000, open_timeout_ms: 1500, until_open: 1024 })
    // Either it gets no credit for more, or what is too much is reset.
    assert.ok(held.blocked || held.opened === 10000)
    assert.ok(held.open <= 1024, `${held.open} streams are open at once`)
    if (!held.blocked) {
      await host.waitLog(new RegExp(
        `stream-refused peer=${other.id.slice(0, 10)} type=4`))
    }
    await nothingLost()
    assert.ok(rssKib(pid) - before.rss < 64 << 10)
    assert.ok(host.log.filter(l => /stream-refused/.test(l)).length < 100,
      'the log is flooded')
    await other.stop()
    await waitFor('the streams to be forgotten',
      () => descriptors(pid) <= before.fds + 4, { ms: 45000, every: 500 })
  })

  test('streams that never send a byte', async t => {
    const other = await startForeign(t, { dialect: 'meshllm' })
    await meet(other, host)
    await rawStreams(other, { to: host.ready.id, count: 100, wait_ms: 10 })
    await rawStreams(other, { to: host.ready.id, count: 10, type: 1, wait_ms: 10 })
    assertAnswered(await foreignAsk(other, host,
      foreignChat(WORDS, 'echo')), WORDS)
    // Nobody waits for the rest of a frame for ever.
    await host.waitLog(new RegExp(
      `stream-refused peer=${other.id.slice(0, 10)} .*timeout`), { ms: 45000 })
    await nothingLost()
  })

  test('a connection that never opens a stream', async t => {
    const other = await startForeign(t, { dialect: 'meshllm' })
    await other.connect(await host.token())
    await (await other.openStream(host.ready.id)).drop()
    await nothingLost()
  })

  test('10 000 models', async t => {
    const other = await startForeign(t, { dialect: 'meshllm', serve: ['m'] })
    await meet(other, host)
    await other.announceModels(
      Array.from({ length: 10000 }, (_, i) => `model-${i}`))
    const peer = await host.waitPeer(other.id, p => p.models.length > 1)
    assert.equal(peer.models.length, 256)
    assert.ok((await host.models()).length <= 258 + 10)
    await waitFor('them at a third node', async () => (await client.status())
      .peers.some(p => p.id === other.id), { ms: 5000 }).catch(() => {})
    await nothingLost()
    // Long names, each twice: nearly as many bytes as a frame may have.
    await other.announceModels(
      Array.from({ length: 10000 }, (_, i) => `${i}`.padEnd(400, 'x')))
    await host.waitPeer(other.id, p => p.models.length === 0)
    await nothingLost()
    await other.announceModels(['"];<script>\u001b[31m\u202e', 'm'])
    await host.waitPeer(other.id, p => p.models.includes('m'))
    await nothingLost()
    assert.ok(!host.logText().includes('\u001b'))
  })

  test('somebody else on our port', async () => {
    const socket = dgram.createSocket('udp4')
    const [address, port] = host.ready.mesh.split(':')
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(1), Buffer.alloc(1200),
      Buffer.alloc(1200, 0xff), Buffer.alloc(65000, 0xc0),
      Buffer.concat([Buffer.from('c000000001', 'hex'), Buffer.alloc(1200)]),
      Buffer.concat([Buffer.from('cababababa', 'hex'), Buffer.alloc(1200)])]) {
      for (let i = 0; i < 200; i++) socket.send(bytes, port, address)
    }
    await sleep(200)
    socket.close()
    await nothingLost()
  })
})

describe('a token with each kind of damage', { concurrency: 4 }, () => {
  const vectors = JSON.parse(fs.readFileSync(
    new URL('../data/f_invite_token.json', import.meta.url), 'utf8')).vectors
  const bad = vectors.filter(v => v.expected === 'reject')
    .map(v => [v.name, v.token])
  const good = Buffer.from(vectors.find(v => v.name === 'id_only').token,
    'base64url').toString()
  const encode = text => Buffer.from(text).toString('base64url')
  bad.push(['cut', encode(good).slice(0, 40)], ['words', 'not-a-token'],
    ['too long', encode(good.replace(']', `${' '.repeat(5000)}]`))],
    ['no id', encode('{"addrs":[]}')], ['a zero id',
      encode(good.replace(/[0-9a-f]{64}/, '0'.repeat(63)))])

  async function startWith (t, args) {
    const node = new Node({ args })
    t.after(() => node.stop())
    return await Promise.race([node.ended.then(end => ({ node, end })),
      patience().then(() => ({ node }))])
  }

  for (const [name, token] of bad) {
    test(name, async t => {
      const { node, end } = await startWith(t, [`--join=${token}`])
      assert.ok(end, `it runs with the token; ${node.out}`)
      assert.ok(end.code > 0, JSON.stringify(end))
      assert.match(node.logText(), /token|join/)
      assert.ok(!node.out.some(l => l.startsWith('ready')))
    })
  }

  test('a good one of a node that is not there: it waits', async t => {
    const gone = await startForeign(t)
    const token = gone.token
    await gone.stop()
    const node = await startNode(t, { join: token })
    await node.waitLog(/join.failed|dial-failed/, { ms: 40000 })
    assert.equal((await node.status()).peers.filter(p => p.connected).length, 0)
  })
})

describe('a node that cannot start', { concurrency: 4 }, () => {
  async function fails (t, options, pattern) {
    const node = new Node(options)
    t.after(() => node.stop())
    const end = await Promise.race([node.ended, patience()])
    assert.ok(end, `it runs: ${node.out}`)
    assert.ok(end.code > 0, JSON.stringify(end))
    assert.match(node.logText(), pattern)
    assert.ok(!node.out.some(l => l.startsWith('ready')))
    assert.ok(node.log.length < 30, 'the reason drowns in the log')
  }
  const scratch = t => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'meshllm-state-'))
    t.after(() => fs.rmSync(dir, { recursive: true, force: true }))
    return dir
  }

  for (const option of ['api', 'management']) {
    test(`a port in use: ${option}`, async t => {
      const server = net.createServer().listen(0, '127.0.0.1')
      t.after(() => server.close())
      await new Promise(resolve => server.once('listening', resolve))
      const address = `127.0.0.1:${server.address().port}`
      await fails(t, { [option]: address },
        new RegExp(`error .*${address.replaceAll('.', '\\.')}`))
    })
  }
  test('a port in use: mesh', async t => {
    const socket = dgram.createSocket('udp4').bind(0, '127.0.0.1')
    t.after(() => socket.close())
    await new Promise(resolve => socket.once('listening', resolve))
    const address = `127.0.0.1:${socket.address().port}`
    await fails(t, { mesh: address },
      new RegExp(`error .*${address.replaceAll('.', '\\.')}`))
  })
  test('an API that the world could ask', async t => {
    await fails(t, { api: '0.0.0.0:0' }, /loopback/)
    await fails(t, { management: '0.0.0.0:0' }, /loopback/)
  })
  for (const [name, options, pattern] of [
    ['an address that is none', { api: 'localhost:1' }, /localhost:1/],
    ['a port that is none', { mesh: '127.0.0.1:70000' }, /70000/],
    ['a backend that is no URL', { backend: 'ftp://x' }, /ftp:|backend/],
    ['an unknown option', { args: ['--no-such-option'] }, /no-such-option/],
    ['an unknown key in the file', { config: '[proxyd]\nnonsense = 1\n' },
      /meshllm\.conf:2.*nonsense/],
    ['an unknown log level', { logLevel: 'loud' }, /loud/]]) {
    test(name, t => fails(t, options, pattern))
  }

  test('a state directory that cannot be made', async t => {
    await fails(t, { stateDir: '/proc/meshllm/state' }, /\/proc\/meshllm/)
  })
  test('a state directory that is a file', async t => {
    const file = path.join(scratch(t), 'file')
    fs.writeFileSync(file, '')
    await fails(t, { stateDir: file }, new RegExp(file))
  })
  test('a state directory that is not writable, not even for root', async t => {
    await fails(t, { stateDir: '/proc' }, /\/proc\/cryptod/)
  })
  test('a state directory that others may enter', async t => {
    const dir = scratch(t)
    fs.mkdirSync(path.join(dir, 'cryptod'), { mode: 0o755 })
    await fails(t, { stateDir: dir }, new RegExp(`${dir}/cryptod.*0700`))
  })
  test('a state directory that is a link', async t => {
    const dir = scratch(t)
    fs.mkdirSync(path.join(dir, 'elsewhere'), { mode: 0o700 })
    fs.symlinkSync('elsewhere', path.join(dir, 'cryptod'))
    await fails(t, { stateDir: dir }, new RegExp(`${dir}/cryptod`))
  })

  const damages = {
    'a link': file => {
      fs.renameSync(file, `${file}.real`)
      fs.symlinkSync('identity.real', file)
    },
    'open to others': file => fs.chmodSync(file, 0o644),
    'cut': file => fs.truncateSync(file, 10),
    'empty': file => fs.truncateSync(file, 0),
    'too long': file => fs.appendFileSync(file, 'x'),
    'changed': file => {
      const bytes = fs.readFileSync(file)
      bytes[7] ^= 4
      fs.writeFileSync(file, bytes)
    },
    'a folder': file => {
      fs.rmSync(file)
      fs.mkdirSync(file)
    },
  }
  for (const [name, damage] of Object.entries(damages)) {
    test(`an identity that is ${name}`, async t => {
      const stateDir = path.join(scratch(t), 'state')
      const node = await startNode(t, { stateDir })
      await node.stop()
      const file = path.join(stateDir, 'cryptod', 'identity')
      damage(file)
      await fails(t, { stateDir }, new RegExp(`error cryptod .*${file}`))
    })
  }
})

describe('a bad backend', { concurrency: 3 }, () => {
  const host = (t, backend) => startNode(t, { backend })
  const state = async node => (await node.status()).backends[0]

  test('that is down, then up, then down', async t => {
    const first = await startBackend(t)
    await first.stop()
    const node = await host(t, first.url)
    await waitFor('its error', async () => (await state(node)).error)
    assert.equal((await state(node)).state, 'down')
    assert.deepEqual(await node.models(), [])
    assertRefused(await chat(node, WORDS), [404, 503])
    await node.waitLog(/warning proxyd backend-down .*reason=/)
    const second =
      await startBackend(t, ['--model', 'echo'], new URL(first.url).port)
    await node.waitModel('echo')
    await assertServes(node)
    await second.stop()
    assertRefused(await chat(node, WORDS), [502, 503])
    const one = await ask(`${node.baseUrl}/models/echo`)
    assertRefused(one, 503, 'backend_unavailable')
    assert.ok(Number(one.headers['retry-after']) > 0)
    assertRefused(await ask(`${node.baseUrl}/models/none`), 404,
      'model_not_found')
    await waitFor('it to be down', async () =>
      (await state(node)).state === 'down')
  })

  test('that is slow', async t => {
    const { backend, client } = await pair(t)
    for (const more of [{ demo_first_ms: 2500 }, { fault: 'slow_head' },
      { demo_first_ms: 2500, stream: true },
      { fault: 'slow_head', stream: true }]) {
      const answer = await chat(client, WORDS, { more })
      assert.equal(answer.status, 200)
      assert.equal(answer.complete, true)
    }
    assert.equal((await backend.stats()).aborted, 0)
  })

  test('that never answers does not hold others up', async t => {
    const { backend, client } = await pair(t)
    const controller = new AbortController()
    setMaxListeners(100, controller.signal)
    const waiting = Promise.allSettled(Array.from({ length: 50 }, () =>
      chat(client, WORDS, { more: { fault: 'never' },
        signal: controller.signal })))
    await waitFor('them at the backend', async () =>
      (await backend.stats()).answers_now >= 50 ||
      (await client.status()).counters.requests_now >= 50)
    await assertServes(client)
    controller.abort()
    await waiting
    await waitIdle(client)
  })

  for (const fault of ['garbage_head', 'huge_head', 'error_500',
    'close_before_head', 'eof_body']) {
    test(`that answers everything with ${fault}`, async t => {
      const backend = await startBackend(t, ['--model', 'echo', '--fault', fault])
      const node = await host(t, backend.url)
      if (fault === 'eof_body') return await node.waitModel('echo')
      const { error } = await waitFor('its error', async () => {
        const s = await state(node)
        return s.error && s
      })
      assert.ok(error.length > 4)
      assertRefused(await chat(node, WORDS), [404, 503])
      assert.deepEqual(await node.models(), [])
    })
  }

  const name = (id, more) => ({ id, object: 'model', ...more })
  const lists = {
    'is no JSON': '<html>', 'is no object': '[]', 'is no list': '{"data":{}}',
    'has no end': undefined,
    'has models without names': JSON.stringify({ data: [{}, 7, null] }),
    'has 10 000 models': JSON.stringify({ data: Array.from({ length: 10000 },
      (_, i) => name(`model-${i}`)) }),
    'has names that nobody could ask for': JSON.stringify({ data: [name(''),
      name('x'.repeat(1000)), name('a\nb'), name('\u001b[31m'), name('good')] }),
  }
  for (const [what, text] of Object.entries(lists)) {
    test(`whose list of models ${what}`, async t => {
      const server = http.createServer((req, res) => {
        if (text !== undefined) return res.end(text)
        const more = () => {
          while (res.write(' '.repeat(65536)));
        }
        res.on('drain', more)
        more()
      }).listen(0, '127.0.0.1')
      t.after(() => {
        server.closeAllConnections()
        server.close()
      })
      await new Promise(resolve => server.once('listening', resolve))
      const node = await host(t, `http://127.0.0.1:${server.address().port}`)
      const { error } = await waitFor('news', async () => {
        const s = await state(node)
        return (s.error || s.state === 'up') && s
      })
      const names = await node.models()
      if (/has/.test(what) && text !== undefined) {
        assert.equal(error, null)
        assert.equal(names.length, { 'has 10 000 models': 256,
          'has names that nobody could ask for': 1 }[what] ?? 0)
      } else {
        assert.ok(error.length > 4, error)
        assert.deepEqual(names, [])
      }
      assert.ok(!node.logText().includes('\u001b'))
      const health = await ask(`${node.managementUrl}/healthz`)
      assert.equal(health.status, 200)
    })
  }

  test('that is no HTTP server at all', async t => {
    const server = net.createServer(s => s.on('error', () => {})
      .end('220 smtp.example.com ESMTP\r\n')).listen(0, '127.0.0.1')
    t.after(() => server.close())
    await new Promise(resolve => server.once('listening', resolve))
    const node = await host(t, `http://127.0.0.1:${server.address().port}`)
    await waitFor('its error', async () => (await state(node)).error)
    assertRefused(await chat(node, WORDS), [404, 503])
  })

  test('whose answer has no end is relayed and can be left', async t => {
    const { backend, client } = await pair(t)
    const controller = new AbortController()
    let bytes = 0
    const response = await fetch(`${client.baseUrl}/chat/completions`, {
      method: 'POST', signal: controller.signal,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(chatBody(WORDS, { fault: 'huge_body' })) })
    assert.equal(response.status, 200)
    for await (const piece of response.body) {
      bytes += piece.length
      if (bytes > 20 << 20) break
    }
    controller.abort()
    await waitFor('end at the backend', async () =>
      (await backend.stats()).answers_now === 0)
    // Nobody kept what the client did not read.
    for (const pid of Object.values(await processesOf(client))) {
      assert.ok(rssKib(pid) < 100 << 10)
    }
    await assertServes(client)
  })

  test('that stalls mid-stream: the client decides', async t => {
    const { backend, client } = await pair(t)
    const controller = new AbortController()
    let seen = 0
    const waiting = chat(client, WORDS, { onEvent: () => seen++,
      signal: controller.signal,
      more: { stream: true, fault: 'stall', fault_after: 3 } })
    await waitFor('tokens', () => seen >= 3)
    await assertServes(client)
    controller.abort()
    await waiting.catch(() => {})
    await waitFor('end at the backend', async () =>
      (await backend.stats()).streams_now === 0)
  })

  test('that sends broken chunks to a host far away', async t => {
    const { client } = await pair(t)
    assertBroken(await chat(client, WORDS,
      { more: { stream: true, fault: 'bad_chunk', fault_after: 3,
        demo_delay_ms: 30 } }))
    await waitServes(client)
    const health = await ask(`${client.managementUrl}/healthz`)
    assert.equal(health.status, 200)
  })
})

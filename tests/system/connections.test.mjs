// All connections that there are, in the hands of somebody who does nothing
// with them, or too much: who else asks is served, or told at once.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'
import { ask, assertRefused, chat, chatBody } from './http.mjs'
import { runCommand, startBackend, startNode, suiteScope, waitFor }
  from './lib.mjs'
import { rssKib } from './processes.mjs'
import { startRaw, whole } from './raw.mjs'

const ALL = 4096
const AT_A_TIME = 256
const GET = 'GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n'
const HALF = 'POST /v1/chat/completions HT'
const BODY = JSON.stringify(chatBody('x'))
// Its body is asked for, so that we see when it is waited for.
const post = (...fields) => ['POST /v1/chat/completions HTTP/1.1',
  'Host: localhost', 'Content-Type: application/json', 'Expect: 100-continue',
  `Content-Length: ${BODY.length}`, ...fields, '', ''].join('\r\n')

const portOf = address => Number(address.slice(address.lastIndexOf(':') + 1))

// Connections of one client: { text, isClosed, socket } in the order in which
// they were opened.
async function open (scope, to, n, bytes = '') {
  const all = []
  scope.after(() => all.forEach(c => c.socket.destroy()))
  while (all.length < n) {
    const some = Array.from({ length: Math.min(AT_A_TIME, n - all.length) },
      () => {
        const c = { socket: net.connect(to), text: '', isClosed: false }
        c.socket.on('data', piece => { c.text += piece.toString('latin1') })
          .on('error', () => { c.isClosed = true })
          .on('close', () => { c.isClosed = true })
        if (bytes !== '') c.socket.write(bytes)
        return c
      })
    all.push(...some)
    await waitFor('connections', () =>
      some.every(c => !c.socket.connecting || c.isClosed), { every: 5 })
  }
  return all
}

const closed = all => all.filter(c => c.isClosed).length
const answers = c => c.text.match(/HTTP\/1\.1 200 /g)?.length ?? 0

async function metric (node, line) {
  const { body } = await ask(`${node.managementUrl}/metrics`)
  return Number(new RegExp(`^meshllm_${line} (\\d+)$`, 'm').exec(body)?.[1] ?? 0)
}

async function servedAtOnce (fn) {
  const from = Date.now()
  const answer = await fn()
  assert.equal(answer.status, 200, answer.body)
  assert.ok(Date.now() - from < 3000, `${Date.now() - from} ms`)
}

describe('all connections', () => {
  const kinds = {
    'that said nothing yet': '',
    'with half a head': HALF,
    'kept alive behind an answer': GET,
    'and half a head behind an answer': GET + HALF,
  }
  for (const [name, bytes] of Object.entries(kinds)) {
    test(`${name} leave room for others`, async t => {
      const backend = await startBackend(t)
      const node = await startNode(t, { backend: backend.url })
      await node.waitModel('echo')
      const to = { host: '127.0.0.1', port: portOf(node.ready.api) }
      const all = await open(t, to, ALL, bytes)
      await waitFor('answers', () => bytes.startsWith('GET')
        ? all.every(c => c.isClosed || answers(c) === 1)
        : true)
      // Ours is one of them.
      assert.equal((await node.status()).counters.connections_now, ALL)
      // A byte now and then makes it no younger.
      if (bytes.endsWith(HALF)) {
        all.slice(0, 8).forEach(c => c.socket.write('T'))
      }
      await servedAtOnce(() => chat(node, 'hi'))
      await servedAtOnce(() => ask(`${node.managementUrl}/healthz`))
      await waitFor('their end', () => closed(all) >= 1)
      assert.ok(closed(all) <= 8, `${closed(all)} were closed`)
      assert.equal(closed(all.slice(0, 8)), closed(all),
        'not those that were idle longest')
      assert.ok(await metric(node, 'connections_displaced_total') >= 3)
      assert.ok((await node.status()).counters.connections_displaced >= 4)
      await node.waitLog(/warning proxyd idle-connection-closed .*limit=connections holder=loopback/)
      // The others have lost nothing.
      const last = all.at(-1)
      last.socket.write(bytes.endsWith(HALF)
        ? `TP/1.1\r\n${post().split('\r\n').slice(1).join('\r\n')}${BODY}`
        : GET)
      await waitFor('its answer', () =>
        answers(last) === (bytes.startsWith('GET') ? 2 : 1))
    })
  }

  test('with requests are not touched, and others are told', async t => {
    const held = []
    const backend = await startRaw(t, { answer: s => held.push(s) })
    const node = await startNode(t, { backend: backend.url,
      args: ['--client-requests=4096', '--backend-requests=4096'] })
    await node.waitModel('echo')
    const to = { host: '127.0.0.1', port: portOf(node.ready.api) }
    const all = await open(t, to, ALL, post())
    await waitFor('the wish for their bodies', () =>
      all.every(c => c.text.includes('100 Continue')))
    const asked = all.slice(0, 64)
    asked.forEach(c => c.socket.write(BODY))
    await waitFor('them at the backend', () => held.length === asked.length)

    for (const url of [`${node.baseUrl}/models`, `${node.managementUrl}/healthz`]) {
      const answer = await ask(url)
      assertRefused(answer, 503, 'overloaded')
      assert.ok(Number(answer.headers['retry-after']) >= 1)
    }
    const { body: text } = await ask(`${node.baseUrl}/chat/completions`,
      { body: chatBody('x'.repeat(20000)) })
    assert.match(text, /too many connections/)
    await node.waitLog(/warning proxyd connection-refused .*limit=connections holder=loopback/)
    assert.equal(closed(all), 0)

    held.splice(0).forEach(s => s.write(whole('{}')))
    await waitFor('their answers', () => asked.every(c => answers(c) === 1))
    const later = all.slice(-8)
    later.forEach(c => c.socket.write(BODY))
    await waitFor('the next', () => held.length === later.length)
    held.splice(0).forEach(s => s.write(whole('{}')))
    await waitFor('their answers', () => later.every(c => answers(c) === 1))
    // Those have become idle.
    await servedAtOnce(() => ask(`${node.baseUrl}/models`))
    assert.equal(await metric(node, 'limited_total{limit="connections"}'), 3)
    assert.equal(closed(all.slice(64, -8)), 0)
  })
})

describe('a share of the connections', () => {
  const scope = suiteScope()

  // Four of a client whose share they are.
  async function limited (t, node, to, fields, holder) {
    const idle = await open(t, to, 4)
    await waitFor('four', async () =>
      (await node.status()).counters.connections_now === 5)
    const [fifth] = await open(t, to, 1, post(...fields))
    await waitFor('it', () => fifth.text.includes('100 Continue'))
    await waitFor('the end of one', () => closed(idle) === 1)
    assert.ok(idle[0].isClosed)
    await node.waitLog(new RegExp('warning proxyd idle-connection-closed ' +
      `.*limit=client-connections holder=${holder}`))

    const busy = [fifth, ...await open(t, to, 3, post(...fields))]
    await waitFor('all', () => busy.every(c => c.text.includes('100 Continue')))
    assert.equal(closed(idle), 4)
    const [more] = await open(t, to, 1, post(...fields))
    await waitFor('no', () => more.isClosed)
    assert.match(more.text, /^HTTP\/1\.1 429 [^]*"rate_limit_exceeded"/)
    assert.equal(
      await metric(node, 'limited_total{limit="client-connections"}'), 1)
    await node.waitLog(new RegExp('warning proxyd connection-refused ' +
      `.*limit=client-connections holder=${holder}`))
    busy.forEach(c => c.socket.write(BODY))
    await waitFor('their answers', () => busy.every(c => answers(c) === 1))
  }

  test('of a user', async t => {
    const dir = fs.mkdtempSync('/tmp/meshllm-connections-')
    t.after(() => fs.rmSync(dir, { recursive: true }))
    const socket = path.join(dir, 'api')
    fs.chmodSync(dir, 0o777)
    const backend = await startBackend(t)
    const node = await startNode(t, { backend: backend.url,
      api: `unix:${socket}`,
      args: ['--client-connections=4', '--api-socket-mode=0666'] })
    await waitFor('its model', async () =>
      (await node.status()).models.includes('echo'))
    await limited(t, node, { path: socket }, [], `user:${process.getuid()}`)
  })

  const far = Object.values(os.networkInterfaces()).flat()
    .find(a => !a.internal && a.family === 'IPv4')?.address

  async function keyed (t, ...args) {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'meshllm-keys-'))
    t.after(() => fs.rmSync(dir, { recursive: true }))
    fs.chmodSync(dir, 0o755)
    const file = path.join(dir, 'keys')
    const done = runCommand(['key', `--api-keys=${file}`, 'add', 'team'])
    assert.equal(done.status, 0, done.stderr)
    const key = done.stdout.trim()
    const backend = await startBackend(t)
    const node = await startNode(t, { backend: backend.url, api: '0.0.0.0:0',
      args: [`--api-keys=${file}`, ...args] })
    const port = portOf(node.ready.api)
    const headers = { authorization: `Bearer ${key}` }
    const models = () => ask(`http://127.0.0.1:${port}/v1/models`, { headers })
    await waitFor('its model', async () => (await models()).body.includes('echo'))
    return { node, port, key, models }
  }

  test('of an address', { skip: far === undefined && 'needs a network' },
    async t => {
      const { node, port, key, models } =
        await keyed(t, '--client-connections=4')
      await limited(t, node, { host: far, port },
        [`Authorization: Bearer ${key}`, 'X-Meshllm-Test: 1'], far)
      // Loopback has none.
      await open(t, { host: '127.0.0.1', port }, 16)
      await servedAtOnce(models)
    })

  test('of all: who holds most makes room, not who came first',
    { skip: far === undefined && 'needs a network' }, async () => {
      const { node, port, models } = await keyed(scope)
      const modest = await open(scope, { host: far, port }, 64)
      const greedy = await open(scope, { host: '127.0.0.1', port }, ALL)
      for (let i = 0; i < 8; i++) await servedAtOnce(models)
      await waitFor('their end', () => closed(greedy) >= 64)
      assert.equal(closed(modest), 0)
      assert.ok(greedy[0].isClosed && !greedy.at(-1).isClosed)
      assert.ok(await metric(node, 'connections_displaced_total') >= 64)
      // A line for each, but not for all of a flood.
      const lines = node.log.filter(l => /idle-connection-closed/.test(l))
      assert.ok(lines.length >= 64 && lines.length <= 100, `${lines.length}`)
    })
})

test('answers that nobody reads hold up what follows, not the memory',
  async t => {
    const node = await startNode(t)
    const pid = await node.processId('proxyd')
    const to = { host: '127.0.0.1', port: portOf(node.ready.api) }
    const [reader] = await open(t, to, 1, GET.repeat(5000))
    await waitFor('its answers', () => answers(reader) === 5000)
    const before = rssKib(pid)
    const n = 120000
    const [c] = await open(t, to, 1)
    c.socket.pause()
    let left = n
    const more = () => {
      while (left > 0) {
        const some = Math.min(left, 1000)
        left -= some
        if (!c.socket.write(GET.repeat(some))) {
          c.socket.once('drain', more)
          return
        }
      }
    }
    more()
    let written = -1
    await waitFor('rest', () => {
      const was = written
      written = c.socket.bytesWritten - c.socket.writableLength
      return was === written
    }, { every: 500 })
    const grown = rssKib(pid) - before
    t.diagnostic(`${grown} KiB more, ${left} requests not sent`)
    // With their answers it was 17 MB.  What one read brought is there at a
    // time, and where each allocation is a mapping that takes 12.
    const most = process.env.TEST_TUNABLES ? 20 : 12
    assert.ok(grown < most * 1024, `${grown} KiB`)
    await servedAtOnce(() => ask(`${node.baseUrl}/models`))
    c.socket.resume()
    await waitFor('all answers', () => answers(c) === n || c.isClosed,
      { ms: 60000, every: 500 })
    assert.equal(answers(c), n)
  })

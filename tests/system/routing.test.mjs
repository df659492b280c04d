// Which of several hosts answers, and what happens when one does not.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { startHosts } from './hosts.mjs'
import { ask, assertRefused, chat, chatBody } from './http.mjs'
import { runCommand, sleep, startNode, suiteScope, waitFor } from
  './lib.mjs'
import { SSE, chunk, event, listWith, startRaw, whole } from './raw.mjs'

const CHUNKED = `${SSE}Transfer-Encoding: chunked\r\n\r\n`
const END = '0\r\n\r\n'
const DONE = 'data: [DONE]\n\n'
const shortId = node => node.ready.id.slice(0, 10)

const hostOf = answer => answer.headers['x-meshllm-host']
const say = (client, messages, more) => ask(`${client.baseUrl}/chat/completions`,
  { body: { model: 'echo', messages, ...more } })
const user = content => ({ role: 'user', content })

describe('three hosts of a model', () => {
  const scope = suiteScope()
  let hosts, client
  before(async () => {
    ({ hosts, client } = await startHosts(scope, 3))
  }, { timeout: 60000 })

  test('a session stays where it is, sessions spread', async () => {
    const seen = new Set()
    for (let key = 0; key < 12; key++) {
      const mine = new Set()
      for (let i = 0; i < 4; i++) {
        mine.add(hostOf(await say(client, [user(`turn ${i}`)],
          { prompt_cache_key: `s${key}` })))
      }
      assert.equal(mine.size, 1, `session ${key}: ${[...mine]}`)
      seen.add([...mine][0])
    }
    assert.ok(seen.size >= 2, 'all sessions went to one host')
  })

  test('a conversation is known by how it begins', async () => {
    const seen = new Set()
    for (let k = 0; k < 12; k++) {
      const messages = [{ role: 'system', content: 'be brief' },
        user(`conversation ${k}`)]
      const mine = new Set()
      for (let i = 0; i < 4; i++) {
        mine.add(hostOf(await say(client, messages)))
        messages.push({ role: 'assistant', content: `a${i}` }, user(`t${i}`))
      }
      assert.equal(mine.size, 1)
      seen.add([...mine][0])
    }
    assert.ok(seen.size >= 2)
  })

  test('why is told to who asks', async () => {
    const answer = await ask(`${client.baseUrl}/chat/completions`, {
      body: chatBody('x'), headers: { 'x-meshllm-explain': '1' } })
    const route = answer.headers['x-meshllm-route']
    assert.match(route, new RegExp(`^${hostOf(answer)}=session load=0;`))
    for (const { node } of hosts) assert.ok(route.includes(shortId(node)))
    assert.equal((await chat(client, 'x')).headers['x-meshllm-route'],
      undefined)
  })

  test('a session leaves a host that has much more to do', async () => {
    const key = { prompt_cache_key: 'busy' }
    const home = hostOf(await say(client, [user('x')], key))
    const { backend } = hosts.find(h => shortId(h.node) === home)
    const usual = backend.answer
    const held = []
    backend.answer = socket => { held.push(socket) }
    const waiting = Array.from({ length: 6 }, () =>
      say(client, [user('x')], key))
    // Two stay at home, the others go on.
    const others = hosts.filter(h => shortId(h.node) !== home)
    const posts = others.map(h => h.backend.posts)
    await waitFor('the rest', () => held.length >= 1 &&
      others.some((h, i) => h.backend.posts > posts[i]))
    backend.answer = usual
    for (const socket of held) socket.write(whole('{}'))
    const answers = await Promise.all(waiting)
    assert.ok(answers.every(a => a.status === 200))
    assert.ok(new Set(answers.map(hostOf)).size > 1)
    assert.equal(hostOf(await say(client, [user('x')], key)), home)
  })

  test('one that fails is passed over, set aside, and comes back', async () => {
    const key = { prompt_cache_key: 'failing' }
    const home = hostOf(await say(client, [user('x')], key))
    const { backend, node } = hosts.find(h => shortId(h.node) === home)
    const usual = backend.answer
    const before = backend.posts
    backend.answer = socket => socket.destroy()
    for (let i = 0; i < 12; i++) {
      const answer = await say(client, [user('x')], key)
      assert.equal(answer.status, 200, answer.body)
      assert.notEqual(hostOf(answer), home)
    }
    assert.ok(backend.posts - before <= 6,
      `${backend.posts - before} requests went to a host that fails`)
    const peer = (await client.status()).peers.find(p =>
      p.id === node.ready.id)
    assert.equal(peer.failures, 3)
    await client.waitLog(/source-set-aside source=/)
    const { headers } = await ask(`${client.baseUrl}/chat/completions`, {
      body: { ...chatBody('x'), ...key },
      headers: { 'x-meshllm-explain': '1' } })
    assert.match(headers['x-meshllm-route'],
      new RegExp(`${home}=\\w[\\w-]* load=0 (set-aside|failed-before)`))
    backend.answer = usual
    await waitFor('its return', async () => hostOf(
      await say(client, [user('x')], key)) === home, { ms: 20000, every: 200 })
    await client.waitLog(/source-back source=/)
  })

  test('an answer that has begun is not begun elsewhere', async () => {
    const key = { prompt_cache_key: 'once', stream: true }
    const home = hostOf(await say(client, [user('x')], key))
    const { backend } = hosts.find(h => shortId(h.node) === home)
    const usual = backend.answer
    const posts = () => hosts.reduce((n, h) => n + h.backend.posts, 0)
    const before = posts()
    backend.answer = async socket => {
      socket.write(CHUNKED + chunk(event('a')))
      await sleep(100)
      socket.destroy()
    }
    const answer = await say(client, [user('x')], key)
    backend.answer = usual
    assert.equal(answer.complete, false)
    assert.equal(posts(), before + 1)
  })
})

describe('two clients that know nothing of each other', () => {
  const scope = suiteScope()
  const explain = { headers: { 'x-meshllm-explain': '1' } }
  let hosts, clients
  before(async () => {
    const all = await startHosts(scope, 2, {
      host: { args: ['--backend-requests=4'] } })
    const second = await startNode(scope, {
      join: await all.hosts[0].node.token() })
    hosts = all.hosts
    clients = [all.client, second]
    for (const { node } of hosts) {
      await second.waitPeer(node.ready.id, p => p.connected &&
        p.encryption === 'sealed' && p.models.includes('echo'))
    }
  }, { timeout: 60000 })

  // What the client calls a session that is at home at this host.
  async function sessionAt (client, host) {
    for (let k = 0; k < 100; k++) {
      const key = { prompt_cache_key: `at ${k}` }
      const answer = await say(client, [user('x')], key)
      assert.equal(answer.status, 200, answer.body)
      assert.equal(answer.headers['x-meshllm-load'], undefined)
      assert.ok(!/load/i.test(answer.body))
      if (hostOf(answer) === shortId(host.node)) return key
    }
    throw new Error('no session at this host')
  }
  const heard = async (client, host) => (await client.status()).peers
    .find(p => p.id === host.node.ready.id).others
    .map(({ age_ms: _, ...other }) => other)

  test('one keeps away from where the other has much to do', async () => {
    const [busy, idle] = hosts
    const [a, b] = clients
    const keyOfA = await sessionAt(a, busy)
    await sessionAt(b, idle)
    const keyOfB = await sessionAt(b, busy)
    const usual = busy.backend.answer
    const held = []
    busy.backend.answer = (socket, nth, request) =>
      request.includes('to be held') ? held.push(socket)
        : usual(socket, nth, request)
    const waiting = Array.from({ length: 3 }, () =>
      say(a, [user('to be held')], keyOfA))
    await waitFor('three at one host', () => held.length === 3)
    // The answer tells it; the news is used before it grows old.
    assert.equal(hostOf(await say(b, [user('x')], keyOfB)), shortId(busy.node))
    const answer = await ask(`${b.baseUrl}/chat/completions`, { ...explain,
      body: { ...chatBody('x'), ...keyOfB } })
    assert.equal(answer.headers['x-meshllm-route'],
      `${shortId(idle.node)}=load load=0; ` +
      `${shortId(busy.node)}=next load=3 others=3 above-average`)
    assert.equal(hostOf(answer), shortId(idle.node))
    assert.equal(answer.headers['x-meshllm-load'], undefined)
    const load = { model: 'echo', limit: 4, queued: 0 }
    assert.deepEqual(await heard(b, busy), [{ ...load, running: 3 }])
    assert.deepEqual(await heard(b, idle), [{ ...load, running: 0 }])
    const { stdout } = runCommand(
      ['status', `--management=${b.ready.management}`])
    assert.match(stdout, new RegExp(`${shortId(busy.node)} .* 0\\+3 `))

    for (const socket of held) socket.write(whole('{}'))
    assert.ok((await Promise.all(waiting)).every(a => a.status === 200 &&
      a.headers['x-meshllm-load'] === undefined))
    // Its own are not told to a client, and have ended.
    assert.deepEqual(await heard(a, busy), [{ ...load, running: 0 }])
    await waitFor('the session to be at home again', async () =>
      hostOf(await say(b, [user('x')], keyOfB)) === shortId(busy.node),
    { ms: 60000, every: 500 })
  })
})

test('a session leaves a host that said it has no place free', async t => {
  const { hosts, client } = await startHosts(t, 2, {
    host: { args: ['--backend-requests=1'] } })
  const key = { prompt_cache_key: 'home' }
  const home = hostOf(await say(client, [user('x')], key))
  const [busy, idle] = hosts[0].node.ready.id.startsWith(home)
    ? hosts : [hosts[1], hosts[0]]
  const held = []
  busy.backend.answer = socket => { held.push(socket) }
  const own = say(client, [user('held')], key)
  await waitFor('one that is held', () => held.length === 1)
  const answer = await ask(`${client.baseUrl}/chat/completions`, {
    body: { ...chatBody('x'), ...key },
    headers: { 'x-meshllm-explain': '1' } })
  assert.equal(answer.headers['x-meshllm-route'],
    `${shortId(idle.node)}=load load=0; ${home}=next load=1 busy`)
  assert.equal(held.length, 1)
  held[0].write(whole('{}'))
  assert.equal(hostOf(await own), home)
})

describe('hosts of different size', () => {
  const scope = suiteScope()
  let hosts, client
  const overflow = whole(JSON.stringify({ error: { code: 400,
    message: 'the request exceeds the available context size',
    type: 'exceed_context_size_error' } }), 'HTTP/1.1 400 Bad Request')
  before(async () => {
    ({ hosts, client } = await startHosts(scope, 3, { backends: [
      { list: listWith(1000) }, { list: listWith(100000) },
      { list: listWith(2000) }] }))
  }, { timeout: 60000 })

  test('a long request goes to the one that can take it', async () => {
    for (let i = 0; i < 8; i++) {
      const answer = await say(client, [user(`${i} ${'word '.repeat(4000)}`)])
      assert.equal(hostOf(answer), shortId(hosts[1].node))
    }
    for (let i = 0; i < 8; i++) {
      const answer = await say(client, [user(`${i}`)], { max_tokens: 50000 })
      assert.equal(hostOf(answer), shortId(hosts[1].node))
    }
  })

  test('a picture is no long text', async () => {
    const seen = new Set()
    for (let i = 0; i < 24; i++) {
      const answer = await say(client, [{ role: 'user', content: [
        { type: 'text', text: `${i}` }, { type: 'image_url', image_url: {
          url: `data:image/png;base64,${'A'.repeat(100000)}` } }] }])
      seen.add(hostOf(answer))
    }
    assert.ok(seen.size > 1, 'all went to the largest')
  })

  test('one that says it is too long is followed by a larger one', async () => {
    for (const i of [0, 2]) {
      hosts[i].backend.answer = socket => socket.write(overflow)
    }
    for (let i = 0; i < 10; i++) {
      const answer = await say(client, [user(`short ${i}`)])
      assert.equal(answer.status, 200, answer.body)
      assert.equal(hostOf(answer), shortId(hosts[1].node))
    }
    hosts[1].backend.answer = socket => socket.write(overflow)
    const posts = hosts.map(h => h.backend.posts)
    const answer = await say(client, [user(`a ${'word '.repeat(4000)}`)])
    assert.equal(answer.status, 400)
    assert.match(answer.body, /exceed_context_size_error/)
    // No smaller one was asked after it.
    assert.deepEqual(hosts.map(h => h.backend.posts),
      [posts[0], posts[1] + 1, posts[2]])
  })
})

describe('limits', () => {
  const scope = suiteScope()

  // The backend answers when told.
  function hold (backend) {
    const held = []
    backend.answer = socket => { held.push(socket) }
    return { held, let: n => held.splice(0, n).forEach(s =>
      s.write(whole('{}'))) }
  }

  test('requests wait for their turn, a few of them, not for ever',
    async () => {
      const { hosts: [{ backend }], client } = await startHosts(scope, 1, {
        client: { args: ['--host-requests=2', '--queue-requests=2',
          '--queue-seconds=3', '--keep-alive-seconds=1'] } })
      const gate = hold(backend)
      const all = Array.from({ length: 4 }, (_, i) => chat(client, `${i}`))
      await waitFor('two at the backend', () => gate.held.length === 2)
      await waitFor('two in the queue', async () =>
        (await client.status()).counters.queued_now === 2)
      const fifth = await chat(client, 'one too many')
      assertRefused(fifth, 503, 'overloaded')
      assert.equal(fifth.headers['retry-after'], '5')
      gate.let(1)
      await waitFor('the third', () => gate.held.length === 2)
      gate.let(2)
      await waitFor('the fourth', () => gate.held.length === 1)
      gate.let(1)
      for (const answer of await Promise.all(all)) {
        assert.equal(answer.status, 200, answer.body)
      }
      const late = Array.from({ length: 3 }, (_, i) => chat(client, `${i}`))
      const refused = await Promise.race(late)
      assertRefused(refused, 503, 'overloaded')
      gate.let(2)
      assert.deepEqual((await Promise.all(late)).map(a => a.status).sort(),
        [200, 200, 503])
    })

  test('who leaves the queue makes room', async () => {
    const { hosts: [{ backend }], client } = await startHosts(scope, 1, {
      client: { args: ['--host-requests=1', '--queue-requests=1'] } })
    const gate = hold(backend)
    const first = chat(client, 'first')
    await waitFor('one at the backend', () => gate.held.length === 1)
    const controller = new AbortController()
    const left = chat(client, 'left', { signal: controller.signal })
    const queued = async n => await waitFor(`${n} in the queue`, async () =>
      (await client.status()).counters.queued_now === n)
    await queued(1)
    controller.abort()
    await assert.rejects(left)
    await queued(0)
    const second = chat(client, 'second')
    await queued(1)
    gate.let(1)
    await waitFor('the second', () => gate.held.length === 1)
    gate.let(1)
    assert.equal((await first).status, 200)
    assert.equal((await second).status, 200)
  })

  test('a backend has no more than it may have', async () => {
    const backend = await startRaw(scope)
    const node = await startNode(scope, { backend: backend.url,
      args: ['--backend-requests=1'] })
    await node.waitModel('echo')
    const gate = hold(backend)
    const all = Array.from({ length: 3 }, (_, i) => chat(node, `${i}`))
    for (let i = 0; i < 3; i++) {
      await waitFor('one at the backend', () => gate.held.length === 1)
      await sleep(50)
      assert.equal(gate.held.length, 1)
      gate.let(1)
    }
    for (const answer of await Promise.all(all)) {
      assert.equal(answer.status, 200)
    }
  })

  test('a peer that has its share is told so, or goes elsewhere', async () => {
    const { hosts, client } = await startHosts(scope, 2, {
      host: { args: ['--peer-requests=1'] } })
    const gates = hosts.map(h => hold(h.backend))
    const all = Array.from({ length: 3 }, (_, i) => chat(client, `${i}`))
    await waitFor('one at each', () => gates.every(g => g.held.length === 1))
    const third = await Promise.race(all)
    assertRefused(third, 429, 'too_many_requests')
    assert.equal(third.headers['retry-after'], '5')
    gates.forEach(g => g.let(1))
    assert.deepEqual((await Promise.all(all)).map(a => a.status).sort(),
      [200, 200, 429])
  })

  test('a stream that waits for its turn is kept alive', async () => {
    const { hosts: [{ backend }], client } = await startHosts(scope, 1, {
      client: { args: ['--host-requests=1', '--keep-alive-seconds=1'] } })
    const gate = hold(backend)
    const first = chat(client, 'first')
    await waitFor('one at the backend', () => gate.held.length === 1)
    const second = chat(client, 'second', { more: { stream: true } })
    await sleep(6000)
    gate.let(1)
    await waitFor('the second', () => gate.held.length === 1)
    gate.held[0].write(CHUNKED + chunk(event('a') + DONE) + END)
    const answer = await second
    assert.equal((await first).status, 200)
    assert.equal(answer.complete, true)
    assert.match(answer.body, /^: keep-alive\n\n/)
    assert.ok(answer.body.includes(event('a') + DONE))
  })
})

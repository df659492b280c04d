// A host that hangs, and one whose model only takes its time.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { meet, startForeign } from './foreign.mjs'
import { startHosts } from './hosts.mjs'
import { ask, assertBroken, assertRefused, chatBody, said,
  waitIdle } from './http.mjs'
import { sleep, startNode, suiteScope, waitFor } from './lib.mjs'
import { SSE, chunk, event, whole } from './raw.mjs'

const CHUNKED = `${SSE}Transfer-Encoding: chunked\r\n\r\n`
const DONE = 'data: [DONE]\n\n'
const SILENCE_MS = 3000
const LONGER_MS = 2.5 * SILENCE_MS
const client = { args: [`--host-silence-seconds=${SILENCE_MS / 1000}`] }

const hostOf = answer => answer.headers['x-meshllm-host']
const say = (node, key, { model = 'echo', ...more } = {}) =>
  ask(`${node.baseUrl}/chat/completions`, { ms: 60000,
    body: { ...chatBody('a b', { model }), prompt_cache_key: key, ...more } })

// Both have answered once; a session is at home at one of them.
async function settle (all) {
  for (const { backend } of all.hosts) backend.posts = 0
  for (let k = 0; all.hosts.some(h => h.backend.posts === 0); k++) {
    assert.equal((await say(all.client, `first ${k}`)).status, 200)
  }
  const home = hostOf(await say(all.client, 'home'))
  const isHome = h => h.node.ready.id.startsWith(home)
  for (const { backend } of all.hosts) backend.posts = 0
  return { home: all.hosts.find(isHome), other: all.hosts.find(h => !isHome(h)) }
}

describe('a host whose backend takes its time', () => {
  const scope = suiteScope()
  let all, home, other
  before(async () => {
    all = await startHosts(scope, 2, { client })
    ;({ home, other } = await settle(all))
  }, { timeout: 60000 })

  const answers = {
    'before its answer': async socket => {
      await sleep(LONGER_MS)
      socket.write(whole('{}'))
    },
    'in the middle of a body': async socket => {
      const text = whole('{"a":1}')
      socket.write(text.slice(0, -3))
      await sleep(LONGER_MS)
      socket.write(text.slice(-3))
    },
    'in the middle of an event': async socket => {
      const text = event('word')
      socket.write(CHUNKED + chunk(text.slice(0, 20)))
      await sleep(LONGER_MS)
      socket.write(chunk(text.slice(20) + DONE) + '0\r\n\r\n')
    },
  }
  for (const [name, answer] of Object.entries(answers)) {
    test(`is waited for, ${name}`, async () => {
      const stream = name.includes('event')
      home.backend.answer = answer
      home.backend.posts = other.backend.posts = 0
      const got = await say(all.client, 'home', { stream })
      assert.equal(got.status, 200, got.body)
      assert.equal(got.complete, true)
      assert.equal(hostOf(got), home.node.ready.id.slice(0, 10))
      assert.equal(got.headers['x-meshllm-alive'], undefined)
      if (stream) assert.equal(said(got).text, 'word')
      else assert.ok(['{}', '{"a":1}'].includes(got.body))
      assert.deepEqual([home.backend.posts, other.backend.posts], [1, 0])
    })
  }
})

describe('a host that hangs', () => {
  for (const daemon of ['proxyd', 'cryptod', 'gossipd']) {
    test(`another one answers when its ${daemon} is stopped`, async t => {
      const all = await startHosts(t, 2, { client })
      const { home, other } = await settle(all)
      const pid = await home.node.processId(daemon)
      process.kill(pid, 'SIGSTOP')
      try {
        for (const stream of [false, true]) {
          const before = other.backend.posts
          other.backend.answer = socket => socket.write(stream
            ? CHUNKED + chunk(event('word') + DONE) + '0\r\n\r\n'
            : whole('{}'))
          const got = await say(all.client, 'home', { stream })
          assert.equal(got.status, 200, got.body)
          assert.equal(got.complete, true)
          assert.equal(hostOf(got), other.node.ready.id.slice(0, 10))
          assert.equal(other.backend.posts, before + 1)
        }
      } finally {
        process.kill(pid, 'SIGCONT')
      }
      // What it finds when it goes on is not wanted any more.
      await waitIdle(home.node, 20000)
    })

    if (daemon === 'cryptod') continue // an answer needs it no more
    test(`an answer that has begun is cut when its ${daemon} is stopped`,
      async t => {
        const all = await startHosts(t, 2, { client })
        const { home, other } = await settle(all)
        const pid = await home.node.processId(daemon)
        home.backend.answer = socket =>
          socket.write(CHUNKED + chunk(event('word')))
        const asked = ask(`${all.client.baseUrl}/chat/completions`, {
          ms: 60000, body: { ...chatBody('x'), prompt_cache_key: 'home',
            stream: true }, onEvent: (_, answer) => {
            if (answer.events.length === 1) process.kill(pid, 'SIGSTOP')
          } })
        try {
          const error = assertBroken(await asked)
          assert.ok(['host_timeout', 'host_failed'].includes(error.code),
            error.code)
        } finally {
          process.kill(pid, 'SIGCONT')
        }
        assert.deepEqual([home.backend.posts, other.backend.posts], [1, 0])
      })
  }

  test('without another one the client is told', async t => {
    const all = await startHosts(t, 1, { client })
    assert.equal((await say(all.client, 'x')).status, 200)
    const pid = await all.hosts[0].node.processId('proxyd')
    process.kill(pid, 'SIGSTOP')
    try {
      assertRefused(await say(all.client, 'x'), 504, 'host_timeout')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await waitFor('its return', async () =>
      (await say(all.client, 'x')).status === 200, { ms: 30000 })
  })
})

describe('what was given up is not begun when the host goes on', () => {
  const PAUSE_MS = 500
  const all3 = ['proxyd', 'cryptod', 'gossipd']
  // Stopped before the request and with the request in it; then continued one
  // after the other.
  const cases = {
    'its proxyd was stopped': { first: ['proxyd'] },
    'its cryptod was stopped': { first: ['cryptod'] },
    'its gossipd was stopped': { first: ['gossipd'] },
    'all of it was stopped': { first: all3,
      order: ['cryptod', 'gossipd', 'proxyd'] },
    'all of it was stopped, and proxyd goes on first': { first: all3,
      order: ['cryptod', 'proxyd', 'gossipd'] },
    'all of it was stopped with the request in it': { first: ['proxyd'],
      then: ['cryptod', 'gossipd'], order: ['cryptod', 'proxyd', 'gossipd'] },
  }
  for (const [name, { first, then = [], order = first }] of
    Object.entries(cases)) {
    test(name, async t => {
      const all = await startHosts(t, 2, { client })
      const { home, other } = await settle(all)
      const pids = Object.fromEntries(await Promise.all([...first, ...then]
        .map(async d => [d, await home.node.processId(d)])))
      const goOn = d => { try { process.kill(pids[d], 'SIGCONT') } catch {} }
      t.after(() => order.forEach(goOn))
      for (const d of first) process.kill(pids[d], 'SIGSTOP')
      const asked = say(all.client, 'home')
      await sleep(PAUSE_MS)
      for (const d of then) process.kill(pids[d], 'SIGSTOP')
      const got = await asked
      assert.equal(got.status, 200, got.body)
      assert.equal(hostOf(got), other.node.ready.id.slice(0, 10))
      for (const d of order) {
        goOn(d)
        await sleep(PAUSE_MS)
      }
      await waitIdle(home.node, 20000)
      await sleep(PAUSE_MS)
      assert.deepEqual([home.backend.posts, other.backend.posts], [0, 1])
    })
  }

  test('its proxyd was stopped with the request in its queue', async t => {
    const all = await startHosts(t, 1,
      { client, host: { args: ['--backend-requests=1'] } })
    const [home] = all.hosts
    assert.equal((await say(all.client, 'x')).status, 200)
    home.backend.posts = 0
    home.backend.answer = () => {}
    const asked = [say(all.client, 'x')]
    await waitFor('the first to begin', () => home.backend.posts === 1)
    asked.push(say(all.client, 'x'))
    await sleep(PAUSE_MS)
    const pid = await home.node.processId('proxyd')
    process.kill(pid, 'SIGSTOP')
    try {
      for (const got of await Promise.all(asked)) {
        assertRefused(got, 504, 'host_timeout')
      }
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await waitIdle(home.node, 20000)
    await sleep(PAUSE_MS)
    assert.equal(home.backend.posts, 1)
  })
})

test('a host that never answered before is held to what it announces',
  async t => {
    const all = await startHosts(t, 2, { client })
    const [hangs, other] = all.hosts
    const pid = await hangs.node.processId('proxyd')
    process.kill(pid, 'SIGSTOP')
    const begun = Date.now()
    try {
      const got = await Promise.all([1, 2, 3, 4].map(() =>
        say(all.client, undefined)))
      for (const one of got) {
        assert.equal(one.status, 200, one.body)
        assert.equal(hostOf(one), other.node.ready.id.slice(0, 10))
      }
      assert.ok(Date.now() - begun >= SILENCE_MS, 'it was never asked')
    } finally {
      process.kill(pid, 'SIGCONT')
    }
    await waitIdle(hangs.node, 20000)
    assert.deepEqual([hangs.backend.posts, other.backend.posts], [0, 4])
  })

test('a host that has promised nothing has all the time it needs', async t => {
  const foreign = await startForeign(t, { dialect: 'meshllm',
    serve: ['theirs'], tokenMs: LONGER_MS })
  const node = await startNode(t, client)
  await meet(foreign, node)
  await node.waitModel('theirs')
  for (let i = 0; i < 2; i++) {
    const got = await say(node, 'x', { model: 'theirs', stream: i === 1 })
    assert.equal(got.status, 200, got.body)
    assert.equal(got.complete, true)
  }
})

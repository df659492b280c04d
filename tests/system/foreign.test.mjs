// Our nodes and a peer that shares no code with them: a real iroh endpoint
// that follows the description of the existing network.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import { assertAnswered, foreignAsk, foreignChat, meet, rawStreams,
  startForeign } from './foreign.mjs'
import { assertBroken, assertFailed, assertRefused, assertServes, chat, said,
  waitIdle }
  from './http.mjs'
import { sleep, startBackend, startNode, suiteScope, waitFor }
  from './lib.mjs'

const WORDS = 'the quick brown fox'
const HOST = 2, CLIENT = 3

// A host of ours, and a foreign one that serves the model "theirs".
async function pair (t, { dialect, posture, framing, tokenMs, join = 'ours',
  options = {} }) {
  const backend = await startBackend(t)
  const foreign = await startForeign(t,
    { dialect, posture, framing, tokenMs, serve: ['theirs'] })
  const ours = await startNode(t, { backend: backend.url,
    join: join === 'theirs' ? foreign.token : undefined, ...options })
  if (join === 'ours') await meet(foreign, ours)
  await ours.waitPeer(foreign.id, p => p.direct)
  return { backend, foreign, ours }
}

const short = foreign => foreign.id.slice(0, 10)

async function counters (node) {
  return (await node.status()).counters
}

const kinds = [
  { dialect: 'meshllm', version: '0.66.0+meshllm.0.1.0' },
  { dialect: 'sealed', posture: 'mac', version: '0.65.1+skippy.20260504.kv.2' },
  { dialect: 'sealed', posture: 'linux',
    version: '0.65.1+skippy.20260504.kv.2' },
  { dialect: 'sealed', posture: 'none',
    version: '0.65.1+skippy.20260504.kv.2' },
  { dialect: 'plain', version: '0.66.0' },
]

describe('gossip', { concurrency: 2 }, () => {
  for (const { dialect, posture, version } of kinds) {
    for (const join of ['ours', 'theirs']) {
      test(`${dialect} ${posture ?? ''} joins, token of ${join}`, async t => {
        const { foreign, ours } = await pair(t, { dialect, posture, join })
        const peer = await ours.waitPeer(foreign.id, p => p.models.length === 1)
        assert.equal(peer.dialect, dialect)
        assert.equal(peer.version, version)
        assert.equal(peer.role, 'host')
        assert.deepEqual(peer.models, ['theirs'])
        assert.equal(peer.encryption, { meshllm: 'sealed',
          sealed: 'unsigned-key', plain: 'plain' }[dialect])
        // Whoever shows evidence first is known by it from then on.
        await ours.waitPeer(foreign.id, p => p.attestation.level ===
          (posture === 'mac' ? 'tofu' : 'none'))

        // What the foreign one got of us, first and after it was known.
        if (join === 'ours') {
          await waitFor('mesh id', async () => (await ours.status()).mesh_id)
        }
        await foreign.gossip(ours.ready.id)
        const status = await ours.status()
        const views = foreign.events.filter(
          e => e.event === 'peer_seen' && e.id === ours.ready.id)
        assert.ok(views.length >= 1)
        for (const { fields, role } of views) {
          assert.ok([HOST, CLIENT, 1].includes(role))
          assert.ok(fields.includes(36))
          assert.ok(fields.includes(1000) || dialect !== 'meshllm')
        }
        // 37 collides with another meaning there.
        for (const { fields } of dialect === 'plain'
          ? views : views.slice(0, join === 'ours' ? 0 : 1)) {
          assert.ok(!fields.includes(37) && !fields.includes(38), `${fields}`)
        }
        const seen = await foreign.until('peer_seen',
          { id: ours.ready.id, role: HOST, mesh_id: status.mesh_id ?? undefined })
        assert.deepEqual(seen.models, ['echo'])
        assert.deepEqual(seen.addrs, [ours.ready.mesh])
        assert.equal(seen.version, status.version)
        assert.equal(seen.mesh_id ?? null, status.mesh_id)
        if (dialect === 'plain') return
        assert.equal(seen.key, status.inference_key)
        if (dialect === 'meshllm') assert.equal(seen.signed, true)
      })
    }
  }

  test('who leaves is gone at once, on both sides', async t => {
    const { foreign, ours } = await pair(t, { dialect: 'sealed' })
    await foreign.leave()
    await waitFor('one peer less', async () =>
      (await ours.status()).peers.length === 0)
    await meet(foreign, ours)
    assert.deepEqual(await ours.stop(), { code: 0, signal: null })
    await foreign.until('peer_gone', { id: ours.ready.id, why: 'left' })
  })

  test('routes are told to whoever asks', async t => {
    const { foreign, ours } = await pair(t, { dialect: 'plain' })
    const own = async () => (await foreign.routes(ours.ready.id))
      .filter(([id]) => id === ours.ready.id).map(([, model]) => model)
    await waitFor('route', async () => (await own()).includes('echo'))
  })
})

describe('a request of theirs to our host', { concurrency: 2 }, () => {
  const cases = [
    ['meshllm', true, {}], ['sealed', true, {}],
    ['meshllm', false, { allowPlaintextPeers: true }],
    ['sealed', false, { allowPlaintextPeers: true }],
    ['plain', false, { allowPlaintextPeers: true }],
  ]
  for (const [dialect, sealed, options] of cases) {
    test(`${dialect}, ${sealed ? 'sealed' : 'plain'}`, async t => {
      const { foreign, ours, backend } = await pair(t, { dialect, options })
      for (const stream of [false, true]) {
        const answer = await foreignAsk(foreign, ours,
          { sealed, ...foreignChat(WORDS, 'echo', { stream }) })
        assertAnswered(answer, WORDS)
        if (stream) assert.ok(answer.chunks.length >= 5)
      }
      const list = await foreignAsk(foreign, ours,
        { sealed, method: 'GET', path: '/v1/models' })
      assert.deepEqual(JSON.parse(list.body).data.map(m => m.id), ['echo'])
      const c = await counters(ours)
      if (sealed) {
        assert.ok(c.sealed_served >= 2)
        assert.equal(c.plain_served, 0)
      } else {
        assert.ok(c.plain_served >= 2)
        assert.equal(c.sealed_served, 0)
        await ours.waitLog(
          new RegExp(`warning proxyd plain-request-served .*${short(foreign)}`))
      }
      assert.doesNotMatch(ours.logText(), /quick|brown/)
      assert.equal((await backend.stats()).bad, 0)
    })
  }

  for (const dialect of ['sealed', 'plain']) {
    test(`plain from ${dialect}, without the option: refused`, async t => {
      const { foreign, ours, backend } = await pair(t, { dialect })
      const answer = await foreignAsk(foreign, ours,
        { sealed: false, ...foreignChat(WORDS, 'echo') })
      assert.equal(answer.status, 403, answer.body ?? answer.error)
      assert.equal(JSON.parse(answer.body).error.code, 'plaintext_refused')
      assert.match(answer.body, /sealed/)
      assert.equal((await counters(ours)).plain_refused, 1)
      assert.equal((await backend.stats()).last_head, '')
      await ours.waitLog(new RegExp(
        `plain-request-refused .*${short(foreign)}`))
    })
  }

  test('plain, and nothing for them here: counted all the same', async t => {
    const { foreign, ours } = await pair(t,
      { dialect: 'plain', options: { allowPlaintextPeers: true } })
    for (const [status, more] of [[404, foreignChat(WORDS, 'gpt-4')],
      [404, { method: 'GET', path: '/mesh/load' }],
      [200, { method: 'GET', path: '/v1/models' }]]) {
      const answer = await foreignAsk(foreign, ours, { sealed: false, ...more })
      assert.equal(answer.status, status, answer.body ?? answer.error)
    }
    const { plain_in: all, plain_served: served } = await counters(ours)
    assert.deepEqual([all, served], [3, 0])
  })

  test('a replay is refused', async t => {
    const { foreign, ours, backend } = await pair(t, { dialect: 'sealed' })
    assertAnswered(await foreignAsk(foreign, ours,
      foreignChat(WORDS, 'echo')), WORDS)
    const { last_head: head } = await backend.stats()
    const again = await foreignAsk(foreign, ours,
      { ...foreignChat(WORDS, 'echo'), replay: true })
    assert.match(again.error, /33 of 33|stopped|reset/)
    assert.equal((await backend.stats()).last_head, head)
    await ours.waitLog(new RegExp(
      `-refused .*${short(foreign)}.*replay`))
    assertAnswered(await foreignAsk(foreign, ours,
      foreignChat(WORDS, 'echo')), WORDS)
  })

  test('what cannot be opened is refused', async t => {
    const { foreign, ours } = await pair(t, { dialect: 'sealed' })
    const other = await foreignAsk(foreign, ours,
      { ...foreignChat(WORDS, 'echo'), key_hex: '11'.repeat(31) + '01' })
    assert.match(other.error, /33 of 33|stopped|reset/)
    for (const text of ['', '{', '{}', '{"model":"echo"}', '{"model":"echo",' +
      '"ephemeral_public_key":"AAAA","ciphertext":"AAAA"}',
    `{"model":"echo","ephemeral_public_key":"${
      Buffer.alloc(32).toString('base64')}","ciphertext":"${
      Buffer.alloc(64).toString('base64')}"}`]) {
      const result = await rawStreams(foreign, { to: ours.ready.id, type: 4,
        bytes_hex: `e1${Buffer.from(text).toString('hex')}`, fin: true })
      assert.equal(result.open, 0, text)
      assert.equal(result.bytes, 0, text)
    }
    await ours.waitLog(/-refused .*reason=/)
    await assertServes(ours)
  })

  test('only the few paths exist, models of others do not', async t => {
    const { foreign, ours, backend } = await pair(t, { dialect: 'meshllm' })
    const { last_head: head } = await backend.stats()
    for (const [method, path] of [['POST', '/mesh/drop'], ['POST', '/mesh/load'],
      ['GET', '/api/status'], ['GET', '/healthz'], ['GET', '/'],
      ['POST', '/v1/chat/completions/../../stats'], ['GET', '/stats'],
      ['POST', 'http://127.0.0.1:1/v1/chat/completions'],
      ['DELETE', '/v1/models/echo'], ['GET', '/v1/chat/completions']]) {
      const answer = await foreignAsk(foreign, ours,
        { method, path, ...method === 'POST' ? { body: { model: 'echo' } } : {} })
      assert.ok([400, 404, 405].includes(answer.status),
        `${method} ${path}: ${answer.status} ${answer.error}`)
    }
    const answer = await foreignAsk(foreign, ours, foreignChat(WORDS, 'theirs'))
    assert.equal(answer.status, 404)
    assert.equal((await backend.stats()).last_head, head)
  })

  test('their credentials do not reach our backend', async t => {
    const { foreign, ours, backend } = await pair(t, { dialect: 'sealed' })
    assertAnswered(await foreignAsk(foreign, ours, {
      ...foreignChat(WORDS, 'echo'),
      headers: { Authorization: 'Bearer secret', Cookie: 'a=b', 'X-Odd': '1' },
    }), WORDS)
    const stats = await backend.stats()
    assert.equal(stats.authorization_seen + stats.cookie_seen, 0)
    assert.doesNotMatch(stats.last_head, /x-odd|secret/i)
  })

  test('a request that is not one is refused, sealed or not', async t => {
    const { foreign, ours } = await pair(t,
      { dialect: 'sealed', options: { allowPlaintextPeers: true } })
    for (const sealed of [true, false]) {
      for (const raw of ['GET\r\n\r\n', 'POST /v1/chat/completions HTTP/1.1\r\n' +
        'Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}']) {
        const answer = await foreignAsk(foreign, ours,
          { sealed, raw, fin: true })
        assert.ok(answer.error !== undefined || answer.status >= 400,
          `${answer.status}`)
      }
    }
    await assertServes(ours)
  })
})

describe('our request to their host', { concurrency: 2 }, () => {
  const cases = [
    ['meshllm', {}, 'sealed'],
    ['sealed', { allowUnsignedKeys: true }, 'sealed'],
    ['sealed', { allowPlaintextPeers: true }, 'sealed'],
    ['plain', { allowPlaintextPeers: true }, 'no'],
  ]
  for (const [dialect, options, encrypted] of cases) {
    for (const framing of ['http', 'eof']) {
      test(`${dialect}, ${Object.keys(options)}, ${framing}`, async t => {
        const { foreign, ours } = await pair(t, { dialect, options, framing })
        for (const stream of [false, true]) {
          const from = foreign.events.length
          const answer = await chat(ours, WORDS,
            { model: 'theirs', more: { stream } })
          assert.equal(answer.status, 200, answer.body)
          assert.equal(answer.complete, true)
          const text = stream ? said(answer).text
            : JSON.parse(answer.body).choices[0].message.content
          assert.equal(text, `you said: ${WORDS}`)
          assert.equal(answer.headers['x-meshllm-encrypted'], encrypted)
          assert.equal(answer.headers['x-meshllm-host'], short(foreign))
          const got = await foreign.until('request_in', {}, { from })
          assert.equal(got.sealed, encrypted === 'sealed')
          assert.equal(got.path, '/v1/chat/completions')
          assert.ok(!Object.keys(got.headers)
            .some(h => /authorization|cookie/i.test(h)))
        }
        const c = await counters(ours)
        assert.equal(encrypted === 'sealed' ? c.sealed_sent : c.plain_sent, 2)
        await ours.waitLog(new RegExp(encrypted === 'sealed'
          ? `info proxyd sealed-request-sent .*${short(foreign)}`
          : `warning proxyd plain-request-sent .*${short(foreign)}`))
      })
    }
  }

  for (const [dialect, options, why] of [
    ['sealed', {}, /not signed/], ['plain', {}, /no key/],
    ['plain', { allowUnsignedKeys: true }, /no key/],
    ['plain', { allowPlaintextPeers: true, requireAttestedHosts: true },
      /attest|key/]]) {
    test(`${dialect}, ${Object.keys(options)}: refused`, async t => {
      const { foreign, ours } = await pair(t, { dialect, options })
      const answer = await chat(ours, WORDS,
        { model: 'theirs', headers: { authorization: 'Bearer x' } })
      const error = assertRefused(answer, 503)
      assert.match(error.message, why)
      assert.match(error.message, new RegExp(short(foreign)))
      assert.equal(answer.headers['x-should-retry'], 'false')
      assert.ok(!foreign.events.some(e => e.event === 'request_in'))
      await ours.waitLog(/request-refused .*status=503/)
    })
  }
})

describe('a foreign host that misbehaves', () => {
  const scope = suiteScope()
  let foreign, ours
  before(async () => {
    ({ foreign, ours } =
      await pair(scope, { dialect: 'meshllm', tokenMs: 60 }))
  })
  const ask = (more, rest) =>
    chat(ours, WORDS, { model: 'theirs', more, ...rest })

  // At the head of the answer: an HTTP status says it.
  for (const name of ['cut', 'early_end', 'wrong_key', 'bad_length',
    'huge_length', 'bad_mac', 'plain_answer', 'drop', 'reset']) {
    for (const stream of [false, true]) {
      test(`${name} before the first byte, stream ${stream}`, async () => {
        foreign.fault = { name, at: 0 }
        const answer = await ask({ stream })
        const error = assertRefused(answer, [502, 503])
        assert.ok(!/quick|brown/.test(error.message))
        // Who got the request, and that it was sealed.
        assert.equal(answer.headers['x-meshllm-host'], short(foreign))
        assert.equal(answer.headers['x-meshllm-encrypted'], 'sealed')
        assert.equal(answer.headers['x-meshllm-attestation'], 'none')
        await ours.waitLog(new RegExp(`failed .*${short(foreign)}`))
      })
    }
  }
  // Later an event says it, and the end is broken.
  for (const name of ['cut', 'early_end', 'bad_length', 'huge_length',
    'bad_mac', 'reset']) {
    test(`${name} mid-stream`, async () => {
      foreign.fault = { name, at: 4 }
      const answer = await ask({ stream: true })
      assertBroken(answer)
      const { text } = said(answer)
      assert.ok(text !== '' && `you said: ${WORDS}`.startsWith(text), text)
    })
    test(`${name} in an answer that is not streamed`, async () => {
      foreign.fault = { name, at: 1 }
      assertFailed(await ask({}))
    })
  }
  test('everything came but the end mark', async () => {
    foreign.fault = { name: 'cut' }
    assertFailed(await ask({}))
    const answer = await ask({ stream: true })
    assert.equal(answer.status, 200)
    assert.equal(answer.complete, false)
  })
  test('silence: the client may leave, the host hears of it', async () => {
    foreign.fault = { name: 'silent', at: 4 }
    const from = foreign.events.length
    const controller = new AbortController()
    const waiting = ask({ stream: true }, { signal: controller.signal })
    await sleep(1000)
    controller.abort()
    await waiting.catch(() => {})
    await waitFor('the end at the foreign peer', () => foreign.events.slice(from)
      .some(e => /^(request_done|stream_error)$/.test(e.event)))
    await waitIdle(ours)
  })
  test('and behaves again', async () => {
    foreign.fault = undefined
    await waitFor('answer', async () => {
      const answer = await ask({ stream: true })
      return answer.complete && said(answer).text === `you said: ${WORDS}`
    })
    await assertServes(ours)
  })
})

describe('lies about others', () => {
  test('a third party changes nothing of a node that spoke for itself',
    async t => {
      const backend = await startBackend(t)
      const host = await startNode(t, { backend: backend.url })
      const ours = await startNode(t, { join: await host.token() })
      await ours.waitModel('echo')
      const liar = await startForeign(t, { dialect: 'meshllm' })
      await meet(liar, ours)
      const lie = liar.table.records.get(host.ready.id)
      assert.ok(lie, 'the host was not relayed')
      const { entry } = lie
      const honest = { ...entry }
      const before = await ours.waitPeer(host.ready.id)
      const facts = ({ role, models, dialect, encryption, version, address }) =>
        ({ role, models, dialect, encryption, version, address })
      const key = Buffer.alloc(32, 9).toString('base64')
      const damaged = Buffer.from(honest.signed_announcement)
      damaged[3] ^= 1
      for (const change of [
        { inference_public_key: key },
        { inference_public_key: key, signed_announcement: undefined },
        { signed_announcement: damaged },
        { signed_announcement: undefined, inference_public_key: undefined },
        { role: CLIENT }, { hosted_models: ['stolen'] },
        { hosted_models: [], serving_models: [] }, { version: '0.1.0' },
        { serialized_addr: Buffer.from(JSON.stringify({ id: host.ready.id,
          addrs: [{ Ip: '127.0.0.1:9' }] })) },
        { serialized_addr: Buffer.from(JSON.stringify({ id: liar.id,
          addrs: [{ Ip: '127.0.0.1:9' }] })) }]) {
        lie.entry = { ...honest, ...change }
        await liar.gossip(ours.ready.id)
        const now = await ours.waitPeer(host.ready.id)
        assert.deepEqual(facts(now), facts(before), JSON.stringify(change))
      }
      await assertServes(ours)
      const answer = await chat(ours, WORDS)
      assert.equal(answer.headers['x-meshllm-encrypted'], 'sealed')

      await liar.notice(ours.ready.id, 6, host.ready.id)
      await liar.notice(ours.ready.id, 7, host.ready.id)
      await liar.notice(ours.ready.id, 6, ours.ready.id)
      await sleep(500)
      await ours.waitPeer(host.ready.id)
      await assertServes(ours)
      assert.equal((await ours.status()).peers.length, 2)
    })

  test('a key that only others tell is used when it is signed, else not',
    async t => {
      const ours = await startNode(t, { allowUnsignedKeys: true })
      const between = await startForeign(t, { dialect: 'meshllm' })
      const [signed, unsigned] = [
        await startForeign(t, { dialect: 'meshllm', serve: ['signed'] }),
        await startForeign(t, { dialect: 'sealed', posture: 'none',
          serve: ['unsigned'] })]
      for (const host of [signed, unsigned]) {
        await host.gossip(await host.connect(between.token))
        await between.until('peer_seen', { id: host.id })
      }
      // Not reachable by what is told of it, so that hearsay is all there is.
      for (const host of [signed, unsigned]) {
        const record = between.table.records.get(host.id)
        record.entry = { ...record.entry, serialized_addr: Buffer.from(
          JSON.stringify({ id: host.id, addrs: [] })) }
      }
      await meet(between, ours)
      const heard = await ours.waitPeer(signed.id, () => true)
      assert.equal(heard.direct, false)
      assert.equal(heard.encryption, 'sealed')
      const hearsay = await ours.waitPeer(unsigned.id, () => true)
      assert.equal(hearsay.direct, false)
      assert.equal(hearsay.encryption, 'plain')
      assertRefused(await chat(ours, WORDS, { model: 'unsigned' }), 503)
    })

  test('a node of the mesh is found through another', async t => {
    const backend = await startBackend(t)
    const host = await startNode(t, { backend: backend.url })
    const between = await startForeign(t, { dialect: 'sealed', posture: 'none' })
    await meet(between, host)
    const ours = await startNode(t, { join: between.token })
    await ours.waitPeer(host.ready.id, p => p.direct && p.dialect === 'meshllm')
    await ours.waitModel('echo')
    await assertServes(ours)
  })
})

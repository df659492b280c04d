// Nodes that talk to each other, seen through the real OpenAI client.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import OpenAI from 'openai'
import { ask, assertBroken, assertFailed, assertRefused, assertServes, chat,
  chatBody, errorOf, said, waitServes } from './http.mjs'
import { Node, program, runCommand, sleep, startBackend, startNode,
  suiteScope, waitFor } from './lib.mjs'
import { killNode, processesOf } from './processes.mjs'

const WORDS = 'a quick brown fox jumps over the lazy dog'
const user = content => [{ role: 'user', content }]
const shortId = node => node.ready.id.slice(0, 10)

const openai = node => new OpenAI({
  baseURL: node.baseUrl, apiKey: 'sk-never-to-leave', maxRetries: 0,
  defaultHeaders: { cookie: 'session=never-to-leave-either' },
})

async function rejection (promise) {
  try {
    await promise
  } catch (e) {
    return e
  }
  return assert.fail('it did not fail')
}

async function collect (stream) {
  let text = ''
  const at = []
  let usage
  for await (const chunk of stream) {
    const delta = chunk.choices[0]?.delta?.content
    if (delta) {
      text += delta
      at.push(performance.now())
    }
    usage = chunk.usage ?? usage
  }
  return { text, at, usage }
}

describe('a client and a host', () => {
  const scope = suiteScope()
  let backend, host, client, sdk
  before(async () => {
    backend = await startBackend(scope,
      ['--model', 'echo', '--model', 'other', '--checksum'])
    host = await startNode(scope, { backend: backend.url })
    client = await startNode(scope, { join: await host.token() })
    await client.waitModel('echo')
    sdk = openai(client)
  })

  test('models.list', async () => {
    const ids = []
    for await (const model of sdk.models.list()) {
      assert.equal(model.object, 'model')
      ids.push(model.id)
    }
    assert.deepEqual(ids.sort(), ['echo', 'other'])
  })

  test('models.retrieve, also of one that does not exist', async () => {
    assert.equal((await sdk.models.retrieve('other')).id, 'other')
    const e = await rejection(sdk.models.retrieve('nobody/serves:this'))
    assert.ok(e instanceof OpenAI.NotFoundError, e)
    assert.equal(e.code, 'model_not_found')
  })

  test('chat, not streamed, with our response headers', async () => {
    const { data, response } = await sdk.chat.completions.create(
      { model: 'echo', messages: user(WORDS) }).withResponse()
    assert.equal(data.choices[0].message.content, WORDS)
    assert.equal(data.choices[0].finish_reason, 'stop')
    assert.ok(data.usage.total_tokens > 0)
    assert.match(data._request_id, /^\S+$/)
    assert.equal(response.headers.get('x-request-id'), data._request_id)
    assert.equal(response.headers.get('x-meshllm-host'), shortId(host))
    assert.equal(response.headers.get('x-meshllm-encrypted'), 'sealed')
    assert.equal(response.headers.get('x-meshllm-attestation'), 'none')
  })

  test('chat, streamed, arrives token by token', async () => {
    const { text, at, usage } = await collect(
      await sdk.chat.completions.create({
        model: 'echo', messages: user(WORDS), stream: true,
        stream_options: { include_usage: true }, demo_delay_ms: 200,
      }))
    assert.equal(text, WORDS)
    assert.ok(usage.completion_tokens > 0)
    assert.equal(at.length, 9)
    assert.ok(at.at(-1) - at[0] > 800, 'the tokens came all at once')
    const gaps = at.slice(1).map((t, i) => t - at[i])
    assert.ok(gaps.filter(g => g > 50).length >= 4, `gaps ${gaps}`)
  })

  test('completions, streamed and not', async () => {
    const whole = await sdk.completions.create({ model: 'echo', prompt: WORDS })
    assert.equal(whole.choices[0].text, WORDS)
    let text = ''
    for await (const chunk of await sdk.completions.create(
      { model: 'other', prompt: WORDS, stream: true })) {
      text += chunk.choices[0]?.text ?? ''
    }
    assert.equal(text, WORDS)
  })

  test('embeddings are those of the backend', async () => {
    const input = { model: 'echo', input: ['one', 'two'], dimensions: 8 }
    const got = await sdk.embeddings.create(input)
    const direct = JSON.parse((await ask(
      `${backend.url}/v1/embeddings`, { body: input })).body)
    assert.equal(got.data.length, 2)
    got.data.forEach(({ embedding }, i) => {
      assert.equal(embedding.length, 8)
      embedding.forEach((x, k) =>
        assert.ok(Math.abs(x - direct.data[i].embedding[k]) < 1e-6))
    })
  })

  test('any UTF-8 and any white space comes back as it went', async () => {
    const text = ' \n\tZażółć gęślą jaźń — 日本語 🦊 "quoted\\"  \u0001\u007f end '
    const { text: got } = await collect(await sdk.chat.completions.create(
      { model: 'echo', messages: user(text), stream: true }))
    assert.equal(got, text)
  })

  test('a client that leaves mid-stream stops the backend', async () => {
    const { aborted } = await backend.stats()
    const controller = new AbortController()
    const stream = await sdk.chat.completions.create({
      model: 'echo', messages: user(WORDS), stream: true, demo_tokens: 10000,
      demo_delay_ms: 20,
    }, { signal: controller.signal })
    let chunks = 0
    for await (const chunk of stream) {
      assert.ok(chunk)
      if (++chunks === 5) {
        assert.equal((await backend.stats()).streams_now, 1)
        controller.abort()
        break
      }
    }
    await waitFor('end of the stream at the backend',
      async () => (await backend.stats()).streams_now === 0)
    assert.equal((await backend.stats()).aborted, aborted + 1)
  })

  test('a client that leaves before the first byte does so too', async () => {
    const before = await backend.stats()
    const controller = new AbortController()
    const left = rejection(chat(client, WORDS, { ms: 60000,
      more: { demo_first_ms: 60000 }, signal: controller.signal }))
    await waitFor('the request at the backend', async () =>
      (await backend.stats()).answers_now === 1)
    controller.abort()
    assert.match((await left).name, /AbortError/)
    await waitFor('end of the answer at the backend', async () =>
      (await backend.stats()).answers_now === 0)
    assert.equal((await backend.stats()).aborted, before.aborted + 1)
  })

  test('2 MiB of prompt go and come back', async () => {
    const words = Array.from({ length: 2100 },
      (_, i) => `${i}`.padEnd(999, 'x')).join(' ')
    assert.ok(words.length >= 2 << 20)
    const whole = await sdk.chat.completions.create(
      { model: 'echo', messages: user(words) })
    assert.ok(whole.choices[0].message.content === words)
    const { text } = await collect(await sdk.chat.completions.create(
      { model: 'echo', messages: user(words), stream: true }))
    assert.ok(text === words)
    assert.ok((await backend.stats()).last_body_bytes > 2 << 20)
  })

  test('a model that nobody serves', async () => {
    const e = await rejection(sdk.chat.completions.create(
      { model: 'gpt-4', messages: user(WORDS) }))
    assert.ok(e instanceof OpenAI.NotFoundError, e)
    assert.equal(e.code, 'model_not_found')
    assert.equal(e.type, 'invalid_request_error')
    assert.match(e.message, /gpt-4/)
    assert.match(e.headers.get('x-request-id'), /^\S+$/)
  })

  test('errors of the backend are told truthfully', async () => {
    const kinds = [['error_400', OpenAI.BadRequestError, 400],
      ['error_429', OpenAI.RateLimitError, 429],
      ['error_500', OpenAI.InternalServerError, 500],
      ['context_overflow', OpenAI.BadRequestError, 400]]
    for (const [fault, kind, status] of kinds) {
      for (const stream of [false, true]) {
        const e = await rejection(sdk.chat.completions.create(
          { model: 'echo', messages: user(WORDS), stream, fault }))
        assert.ok(e instanceof kind, `${fault}: ${e}`)
        assert.equal(e.status, status)
        if (fault === 'context_overflow') {
          assert.equal(e.code, 'context_length_exceeded')
        }
      }
    }
  })

  test('an error event in a stream reaches the client', async () => {
    const e = await rejection(collect(await sdk.chat.completions.create({
      model: 'echo', messages: user(WORDS), stream: true,
      fault: 'error_event', fault_after: 3 })))
    assert.ok(e instanceof OpenAI.APIError, e)
  })

  for (const fault of ['cut', 'cut_reset', 'bad_chunk']) {
    test(`a backend that breaks off mid-stream: ${fault}`, async () => {
      const answer = await chat(client, WORDS,
        { more: { stream: true, fault, fault_after: 4, demo_delay_ms: 100 } })
      assertBroken(answer)
      // The last of it may be lost with the stream.
      const { text } = said(answer)
      assert.ok(text !== '' && WORDS.startsWith(text), text)
    })
  }

  for (const fault of ['cut', 'cut_reset', 'close_before_head',
    'reset_before_head', 'garbage_head', 'huge_head']) {
    test(`a backend that fails a whole answer: ${fault}`, async () => {
      const answer = await chat(client, WORDS, { more: { fault } })
      // Half of it may be under way already.
      const error = assertFailed(answer)
      assert.ok(fault.startsWith('cut') || error)
      assert.ok(!error?.message.includes('fox'))
      await assertServes(client)
    })
  }

  test('an error names the source that got the request, if one did',
    async () => {
      const names = a => ['host', 'encrypted', 'attestation']
        .map(name => a.headers[`x-meshllm-${name}`])
      const failed = await chat(host, WORDS,
        { more: { fault: 'close_before_head' } })
      assertRefused(failed, 502)
      assert.deepEqual(names(failed), ['local', 'local', 'local'])
      const refused = await chat(client, WORDS, { model: 'gpt-4' })
      assertRefused(refused, 404)
      assert.deepEqual(names(refused), [undefined, undefined, undefined])
    })

  test('a body that ends with the connection is complete', async () => {
    for (const demo_framing of ['eof', 'chunked', 'length']) {
      const answer = await chat(client, WORDS, { more: { demo_framing } })
      assert.equal(answer.status, 200)
      assert.equal(answer.complete, true)
      assert.equal(JSON.parse(answer.body).choices[0].message.content, WORDS)
    }
  })

  test('a model of the own backend is served here', async () => {
    const answer = await chat(host, WORDS)
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['x-meshllm-host'], 'local')
    assert.equal(answer.headers['x-meshllm-encrypted'], 'local')
    await host.waitLog(/local-request-served /)
    assert.equal((await host.status()).counters.sealed_sent, 0)
  })

  test('credentials of the client stay on its machine', async () => {
    for (const node of [client, host]) {
      await openai(node).chat.completions.create(
        { model: 'echo', messages: user(WORDS) })
    }
    const stats = await backend.stats()
    assert.equal(stats.authorization_seen, 0)
    assert.equal(stats.cookie_seen, 0)
    assert.doesNotMatch(stats.last_head, /never-to-leave/i)
    assert.match(stats.last_head, /content-type: application\/json/i)
  })

  test('what both logs say, and what they do not', async () => {
    const { _request_id } = await sdk.chat.completions.create(
      { model: 'echo', messages: user('xylophone quartz') })
    const sent = await client.waitLog(
      new RegExp(`sealed-request-sent .*${_request_id}`))
    assert.match(sent, new RegExp(`peer=${shortId(host)}.* model=echo`))
    const served = await host.waitLog(
      new RegExp(`sealed-request-served .*peer=${shortId(client)}`))
    assert.match(served, / model=echo .*bytes_in=\d+.*ms=\d+/)
    for (const node of [client, host]) {
      assert.doesNotMatch(node.logText(),
        /xylophone|quartz|brown|never-to-leave/)
    }
  })

  test('the status of both nodes', async () => {
    const mesh_id = await waitFor('name of the mesh',
      async () => (await client.status()).mesh_id)
    const [mine, theirs] = [await client.status(), await host.status()]
    assert.equal(mine.id, client.ready.id)
    assert.equal(mine.role, 'client')
    assert.equal(theirs.role, 'host')
    assert.deepEqual(theirs.models.slice().sort(), ['echo', 'other'])
    assert.equal(theirs.backends[0].url, backend.url)
    assert.equal(mesh_id, theirs.mesh_id)
    for (const name of ['meshllm', 'cryptod', 'gossipd', 'proxyd',
      'attestd-signer', 'attestd-verifier']) {
      assert.ok(mine.processes.some(p => p.name === name), name)
    }
    const peer = mine.peers.find(p => p.id === host.ready.id)
    assert.equal(peer.role, 'host')
    assert.equal(peer.dialect, 'meshllm')
    assert.equal(peer.encryption, 'sealed')
    assert.equal(peer.attestation.level, 'none')
    assert.equal(peer.connected, true)
    assert.equal(peer.direct, true)
    assert.equal(peer.address, host.ready.mesh)
    assert.match(peer.version, /^0\.66\.0\+meshllm\./)
    assert.ok(Math.abs(Date.now() - peer.last_seen_unix_ms) < 120e3)
    assert.ok(peer.rtt_ms >= 0)
    assert.deepEqual(peer.models.slice().sort(), ['echo', 'other'])
    assert.ok(mine.counters.sealed_sent > 0)
    assert.ok(theirs.counters.sealed_served > 0)
    assert.equal(mine.counters.plain_sent + theirs.counters.plain_served, 0)
  })

  test('meshllm status, status --json and invite', async () => {
    const at = `--management=${client.ready.management}`
    const json = runCommand(['status', '--json', at])
    assert.equal(json.status, 0, json.stderr)
    assert.equal(JSON.parse(json.stdout).id, client.ready.id)
    const table = runCommand(['status', at])
    assert.equal(table.status, 0, table.stderr)
    assert.match(table.stdout, new RegExp(shortId(host)))
    assert.match(table.stdout, /sealed/)
    const invite = runCommand(['invite', at])
    assert.equal(invite.status, 0, invite.stderr)
    assert.equal(invite.stdout, `${(await client.status()).token}\n`)
    const address = JSON.parse(
      Buffer.from(invite.stdout.trim(), 'base64url').toString())
    assert.deepEqual(address,
      { id: client.ready.id, addrs: [{ Ip: client.ready.mesh }] })
  })
})

describe('three nodes', () => {
  const scope = suiteScope()
  let one, two, client, b, c
  before(async () => {
    one = await startBackend(scope, ['--model', 'echo', '--model', 'b'])
    two = await startBackend(scope, ['--model', 'echo', '--model', 'c'])
    b = await startNode(scope, { backend: one.url })
    const join = await b.token()
    c = await startNode(scope, { backend: two.url, join })
    client = await startNode(scope, { join })
    for (const model of ['echo', 'b', 'c']) await client.waitModel(model)
  })

  test('each model is asked of the node that has it', async () => {
    for (const [model, node] of [['b', b], ['c', c]]) {
      const answer = await chat(client, WORDS, { model })
      assert.equal(answer.status, 200, answer.body)
      assert.equal(answer.headers['x-meshllm-host'], shortId(node))
      assert.equal(answer.headers['x-meshllm-encrypted'], 'sealed')
    }
    const { encryption, direct } =
      (await client.status()).peers.find(p => p.id === c.ready.id)
    assert.equal(encryption, 'sealed')
    assert.equal(direct, true)
  })

  test('hosts ask each other as well', async () => {
    assert.equal((await chat(b, WORDS, { model: 'c' })).status, 200)
    assert.equal((await chat(c, WORDS, { model: 'b' })).status, 200)
  })

  test('the load of a model that both have is shared', async () => {
    const answers = await Promise.all(Array.from({ length: 8 },
      () => chat(client, WORDS, { more: { demo_first_ms: 1000 } })))
    const hosts = new Set(answers.map(a => a.headers['x-meshllm-host']))
    assert.deepEqual(answers.map(a => a.status), Array(8).fill(200))
    assert.deepEqual(hosts, new Set([shortId(b), shortId(c)]))
  })

  test('a host whose backend dies is not asked any more', async () => {
    one.signal('SIGKILL')
    await client.waitPeer(b.ready.id, p => !p.models.includes('echo'))
    for (let i = 0; i < 4; i++) {
      const answer = await chat(client, WORDS)
      assert.equal(answer.status, 200, answer.body)
      assert.equal(answer.headers['x-meshllm-host'], shortId(c))
    }
    assertRefused(await chat(client, WORDS, { model: 'b' }),
      [404, 503])
  })

  test('a host that says goodbye is gone at once', async () => {
    assert.deepEqual(await c.stop(), { code: 0, signal: null })
    // Silence would be noticed later.
    await waitFor('one peer less', async () =>
      !(await client.status()).peers.some(p => p.id === c.ready.id))
    assertRefused(await chat(client, WORDS, { model: 'c' }), [404, 503])
  })
})

describe('what dies', { concurrency: true }, () => {
  async function pair (t) {
    const backend = await startBackend(t)
    const host = await startNode(t, { backend: backend.url })
    const client = await startNode(t, { join: await host.token() })
    await client.waitModel('echo')
    return { backend, host, client }
  }
  const long = { stream: true, demo_tokens: 100000, demo_delay_ms: 20 }

  // Resolves when the stream flows; `answer` is its end.
  async function flowing (node, ms) {
    let seen = 0
    const answer = chat(node, WORDS, { more: long, ms, onEvent: () => seen++ })
    await waitFor('five tokens', () => seen >= 5)
    return { answer }
  }

  test('the backend, mid-stream; it comes back', async t => {
    const { backend, host, client } = await pair(t)
    const [mine, theirs] = [await flowing(client), await flowing(host)]
    const died = Date.now()
    backend.signal('SIGKILL')
    for (const { answer } of [mine, theirs]) {
      const got = await answer
      assertBroken(got)
      assert.ok(got.ended - died < 15000)
    }
    const refused = await chat(client, WORDS)
    assertRefused(refused, [404, 502, 503])
    await startBackend(t, ['--model', 'echo'], new URL(backend.url).port)
    await waitServes(client)
  })

  test('the host, mid-stream', async t => {
    const { host, client } = await pair(t)
    const { answer } = await flowing(client, 90000)
    await killNode(host)
    const died = Date.now()
    const got = await answer
    assertBroken(got)
    assert.ok(got.ended - died < 60000, `told after ${got.ended - died} ms`)
    assertRefused(await chat(client, WORDS, { ms: 60000 }), [404, 503])
  })

  test('the host, mid-stream; it is started again', async t => {
    const { backend, host, client } = await pair(t)
    const { answer } = await flowing(client, 60000)
    await killNode(host)
    const again = await startNode(t, { backend: backend.url,
      stateDir: host.stateDir, mesh: host.ready.mesh, api: host.ready.api })
    assert.equal(again.ready.id, host.ready.id)
    assertBroken(await answer)
    await waitServes(client, 'echo', { ms: 20000 })
    assert.equal((await chat(client, WORDS)).headers['x-meshllm-encrypted'],
      'sealed')
  })

  test('one of two hosts, silently: requests reach the other', async t => {
    const { backend, host, client } = await pair(t)
    await startNode(t, { backend: backend.url, join: await host.token() })
    await waitFor('second host', async () => (await client.status()).peers
      .filter(p => p.models.includes('echo') && p.direct).length === 2)
    await killNode(host)
    const answers = await Promise.all(Array.from({ length: 6 },
      () => chat(client, WORDS, { ms: 60000 })))
    assert.deepEqual(answers.map(a => a.status), Array(6).fill(200))
  })

  test('SIGTERM lets the stream end for the client, and exit is 0',
    async t => {
      const { host, client } = await pair(t)
      const { answer } = await flowing(client, 60000)
      assert.deepEqual(await host.stop(), { code: 0, signal: null })
      assertBroken(await answer)
      assert.deepEqual(await client.stop(), { code: 0, signal: null })
    })

  for (const signal of ['SIGTERM', 'SIGINT']) {
    test(`${signal}: a planned end logs no error and no warning`, async t => {
      const { host, client } = await pair(t)
      assert.equal((await chat(client, WORDS)).status, 200)
      for (const node of [host, client]) {
        const before = node.log.length
        node.signal(signal)
        assert.deepEqual(await node.ended, { code: 0, signal: null })
        const told = node.log.slice(before)
        assert.ok(told.some(l => / stopping/.test(l)), node.logText())
        assert.deepEqual(told.filter(l => /^(error|warning) /.test(l)), [])
      }
    })
  }

  for (const name of ['cryptod', 'gossipd', 'proxyd', 'attestd-signer',
    'attestd-verifier']) {
    test(`${name}: the node ends and says so`, async t => {
      const node = await startNode(t)
      process.kill((await processesOf(node))[name], 'SIGKILL')
      const { code } = await node.ended
      assert.ok(code !== 0 && code !== null, `exit status ${code}`)
      assert.match(node.logText(),
        new RegExp(`error meshllm daemon-died daemon=${name} .*SIGKILL`))
    })
  }
})

describe('--only-host', () => {
  test('a prompt goes to the nodes of the list and nowhere else', async t => {
    const backend = await startBackend(t)
    const host = await startNode(t, { backend: backend.url })
    const join = await host.token()
    const listed = await startNode(t,
      { join, args: [`--only-host=${host.ready.id}`] })
    const other = await startNode(t,
      { join, args: [`--only-host=${listed.ready.id}`] })
    await listed.waitModel('echo')
    assert.equal((await chat(listed, 'hello')).status, 200)
    await other.waitPeer(host.ready.id, p => p.models?.length > 0)
    assertRefused(await chat(other, 'hello'), 503, 'host_not_listed')
  })

  test('what is no endpoint id ends the start', () => {
    const done = runCommand(['run', '--only-host=abc'])
    assert.equal(done.status, 2)
    assert.match(done.stderr, /only-host: the value "abc" is not an endpoint id/)
  })
})

describe('--require-attested-hosts', () => {
  test('without evidence nobody is good enough', async t => {
    const backend = await startBackend(t)
    const host = await startNode(t, { backend: backend.url })
    const client = await startNode(t,
      { join: await host.token(), requireAttestedHosts: true })
    await client.waitPeer(host.ready.id, p => p.models.includes('echo'))
    const { last_head: head } = await backend.stats()
    for (const stream of [false, true]) {
      const answer = await chat(client, WORDS, { more: { stream } })
      const error = assertRefused(answer, 503, 'host_not_attested')
      assert.match(error.message, new RegExp(shortId(host)))
      assert.equal(answer.headers['x-should-retry'], 'false')
    }
    assert.equal((await client.status()).require_attested, 'hardware')
    assert.equal((await backend.stats()).last_head, head)
    await client.waitLog(/request-failed .*outcome=host_not_attested.* reason=/)
    // The SDK takes x-should-retry at its word.
    const begin = Date.now()
    const e = await rejection(new OpenAI(
      { baseURL: client.baseUrl, apiKey: 'x', maxRetries: 5 })
      .chat.completions.create({ model: 'echo', messages: user(WORDS) }))
    assert.equal(e.code, 'host_not_attested')
    assert.ok(Date.now() - begin < 7000) // five more take 11 s at least
  })

  test('an unknown level is no level', async t => {
    const node = new Node({ requireAttestedHosts: 'perhaps' })
    t.after(() => node.stop())
    const { code } = await node.ended
    assert.ok(code > 0)
    assert.match(node.logText(), /perhaps/)
    assert.match(node.logText(), /hardware/)
  })

  test('meshllm-proxyd by hand says how to start it', () => {
    const { status, stderr } = spawnSync(program('meshllm-proxyd'),
      ['--require-attested-hosts'],
      { encoding: 'utf8', timeout: 30000, stdio: ['ignore', 'pipe', 'pipe'] })
    assert.ok(status !== 0 && status !== null, `exit status ${status}`)
    assert.match(stderr, /meshllm run/)
  })
})

describe('a node alone', () => {
  test('has no models and says so', async t => {
    const node = await startNode(t)
    assert.deepEqual(await node.models(), [])
    assertRefused(await chat(node, WORDS), 404, 'model_not_found')
    const health = await ask(`${node.managementUrl}/healthz`)
    assert.equal(health.status, 200)
    await sleep(0)
    assert.deepEqual(await node.stop(), { code: 0, signal: null })
  })

  test('keeps its identity, not its inference key', async t => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'meshllm-state-'))
    t.after(() => fs.rmSync(dir, { recursive: true }))
    const stateDir = path.join(dir, 'state')
    const first = await startNode(t, { stateDir })
    const { inference_key: key } = await first.status()
    await first.stop()
    const second = await startNode(t, { stateDir })
    assert.equal(second.ready.id, first.ready.id)
    assert.notEqual((await second.status()).inference_key, key)
    const body = chatBody(WORDS)
    assert.equal(errorOf(await ask(
      `${second.baseUrl}/chat/completions`, { body })).code, 'model_not_found')
  })
})

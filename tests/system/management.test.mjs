// The management port: metrics that Prometheus reads, health, readiness,
// version; each number against what was really done.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { before, describe, test } from 'node:test'
import { ask, assertRefused, chat } from './http.mjs'
import { getJson, runCommand, startBackend, startNode, startPair, suiteScope,
  waitFor } from './lib.mjs'
import { parseMetrics } from './prometheus.mjs'
import { processesOf } from './processes.mjs'

async function metricsOf (node) {
  const answer = await ask(`${node.managementUrl}/metrics`)
  assert.equal(answer.status, 200)
  assert.equal(answer.headers['content-type'],
    'text/plain; version=0.0.4; charset=utf-8')
  return parseMetrics(answer.body)
}

// The sum of the samples with these labels.
function valueOf (metrics, name, labels = {}) {
  const family = metrics[name.replace(/_(sum|count|bucket)$/, '')] ??
    metrics[name]
  assert.ok(family, `no ${name}`)
  return family.samples.filter(s => s.name === name &&
    Object.entries(labels).every(([k, v]) => s.labels[k] === v))
    .reduce((sum, s) => sum + s.value, 0)
}

describe('metrics', () => {
  const scope = suiteScope()
  let host, client
  before(async () => {
    ({ host, client } = await startPair(scope))
  })

  test('all have our prefix, and a node without work has them too', async () => {
    for (const node of [host, client]) {
      const metrics = await metricsOf(node)
      for (const name of Object.keys(metrics)) assert.match(name, /^meshllm_/)
      assert.ok(Object.keys(metrics).length >= 20)
      assert.equal(valueOf(metrics, 'meshllm_build_info'), 1)
    }
  })

  test('requests and tokens, sealed, on both nodes', async () => {
    const words = 'one two three four'
    await chat(client, words)
    await chat(client, words, { more: { stream: true, demo_delay_ms: 30,
      stream_options: { include_usage: true } } })
    const reply = JSON.parse((await chat(client, words)).body).usage
    await chat(client, words, { more: { stream: true } }) // tells no usage
    const at = await metricsOf(client)
    const there = await metricsOf(host)
    const answered = { outcome: 'answered' }
    assert.equal(valueOf(at, 'meshllm_requests_total',
      { route: 'sealed', ...answered }), 4)
    assert.equal(valueOf(at, 'meshllm_requests_total', answered), 4)
    assert.equal(valueOf(there, 'meshllm_requests_total',
      { route: 'served', ...answered }), 4)
    for (const [metrics, route] of [[at, 'sealed'], [there, 'served']]) {
      assert.equal(valueOf(metrics, 'meshllm_tokens_total',
        { route, kind: 'completion' }), 3 * reply.completion_tokens)
      assert.equal(valueOf(metrics, 'meshllm_tokens_total',
        { route, kind: 'prompt' }), 3 * reply.prompt_tokens)
      assert.equal(valueOf(metrics,
        'meshllm_time_to_first_byte_seconds_count'), 4)
      assert.ok(valueOf(metrics,
        'meshllm_time_between_tokens_seconds_count') >= 2)
    }
    assert.equal(valueOf(at, 'meshllm_peers', { encryption: 'sealed' }), 1)
    assert.equal(valueOf(at, 'meshllm_hosts'), 1)
    assert.equal(valueOf(there, 'meshllm_backend_up'), 1)
  })

  test('errors by their code', async () => {
    const before = await metricsOf(client)
    await chat(client, 'hi', { model: 'none' })
    await chat(client, 'hi', { model: 'none' })
    await ask(`${client.baseUrl}/nothing`)
    const now = await metricsOf(client)
    for (const [code, n] of [['model_not_found', 2], ['not_found', 1]]) {
      assert.equal(valueOf(now, 'meshllm_errors_total', { code }) -
        valueOf(before, 'meshllm_errors_total', { code }), n, code)
    }
    assert.equal(valueOf(now, 'meshllm_requests_total',
      { route: 'none', outcome: 'refused' }), 3)
  })

  test('a client that leaves', async () => {
    const controller = new AbortController()
    const waiting = chat(client, 'a b c', { signal: controller.signal,
      more: { stream: true, demo_delay_ms: 200, demo_tokens: 50 },
      onEvent: () => controller.abort() })
    await waiting.catch(() => {})
    await waitFor('it to be counted', async () =>
      valueOf(await metricsOf(client), 'meshllm_requests_total',
        { outcome: 'aborted' }) === 1)
  })

  test('memory and time of each process', async () => {
    const metrics = await waitFor('them', async () => {
      const m = await metricsOf(host)
      return m.meshllm_process_resident_bytes.samples.length > 0 && m
    })
    for (const name of Object.keys(await processesOf(host))) {
      const bytes = valueOf(metrics, 'meshllm_process_resident_bytes',
        { process: name })
      assert.ok(bytes > 1 << 20 && bytes < 1 << 30, `${name}: ${bytes}`)
    }
    assert.equal(metrics.meshllm_process_cpu_milliseconds_total.type, 'counter')
  })

  test('what a label says is escaped', async t => {
    const node = await startNode(t, { backend: 'http://127.0.0.1:1/a"b\\c' })
    const metrics = await metricsOf(node)
    assert.deepEqual(metrics.meshllm_backend_up.samples.map(s => s.labels),
      [{ backend: 'http://127.0.0.1:1/a"b\\c' }])
  })
})

// Listens; until(event, test) resolves with the first that fits, from now on.
async function subscribe (t, node) {
  const controller = new AbortController()
  t.after(() => controller.abort())
  const answer = await fetch(`${node.managementUrl}/api/events`,
    { signal: controller.signal })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-type'), 'text/event-stream')
  const seen = []
  const reading = (async () => {
    let rest = ''
    for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + piece).split('\n\n')
      rest = parts.pop()
      for (const part of parts) {
        const [, event, data] =
          /^event: (node|backends|peers)\ndata: (.*)$/.exec(part) ?? []
        if (event) seen.push({ event, data: JSON.parse(data) })
        else assert.match(part, /^: /)
      }
    }
    return 'ended'
  })().catch(() => 'cut')
  return { seen, reading, until: (event, fits = () => true) =>
    waitFor(`an event ${event}`, () =>
      seen.find(e => e.event === event && fits(e.data))) }
}

describe('events', () => {
  test('all at the start, then what changes', async t => {
    const backend = await startBackend(t)
    const host = await startNode(t, { backend: backend.url })
    await host.waitModel('echo')
    const events = await subscribe(t, host)
    const first = await events.until('node')
    assert.equal(first.data.id, host.ready.id)
    await events.until('backends', d => d.models.includes('echo'))
    await events.until('peers', d => d.peers.length === 0)
    assert.equal(events.seen.length, 3)
    const client = await startNode(t, { join: await host.token() })
    const { data } = await events.until('peers',
      d => d.peers.some(p => p.id === client.ready.id && p.connected))
    assert.equal(data.peers[0].rtt_ms, undefined)
    await backend.stop()
    await chat(host, 'hi')
    await events.until('backends', d => d.backends[0].state === 'down')
    await client.stop()
    await waitFor('the peer to be away', () => events.seen.findLast(
      e => e.event === 'peers')?.data.peers.every(p => !p.connected))
    // Nothing is told twice in a row.
    for (const kind of ['node', 'backends', 'peers']) {
      const all = events.seen.filter(e => e.event === kind)
        .map(e => JSON.stringify(e.data))
      assert.ok(all.every((e, i) => i === 0 || i === 1 || e !== all[i - 1]))
    }
    await host.stop()
    assert.equal(await events.reading, 'ended')
  })

  test('sixteen may listen, and one that leaves makes room', async t => {
    const node = await startNode(t)
    const controllers = []
    for (let i = 0; i < 16; i++) {
      const controller = new AbortController()
      controllers.push(controller)
      const answer = await fetch(`${node.managementUrl}/api/events`,
        { signal: controller.signal })
      assert.equal(answer.status, 200)
    }
    const url = `${node.managementUrl}/api/events`
    assertRefused(await ask(url), 503, 'overloaded')
    controllers[3].abort()
    const last = new AbortController()
    await waitFor('room', async () =>
      (await fetch(url, { signal: last.signal })).status === 200)
    controllers.forEach(c => c.abort())
    last.abort()
    await waitFor('their end', async () =>
      (await node.status()).counters.requests_now === 1)
    assert.equal((await node.status()).counters.aborted, 0)
  })
})

test('every field of the status is in the manual', async t => {
  const { host, client } = await startPair(t)
  const manual = fs.readFileSync(
    new URL('../../docs/management.md', import.meta.url), 'utf8')
  const names = new Set()
  const walk = value => {
    if (Array.isArray(value)) return value.forEach(walk)
    if (value === null || typeof value !== 'object') return
    for (const [name, inner] of Object.entries(value)) {
      names.add(name)
      if (name !== 'images') walk(inner)
    }
  }
  for (const node of [host, client]) walk(await node.status())
  assert.ok(names.size > 50)
  for (const name of names) {
    assert.match(manual, new RegExp('`([a-z_]+\\.)?' + name + '(\\[\\])?`'))
  }
})

describe('health', () => {
  test('alive is not ready: a host waits for its backend', async t => {
    const first = await startBackend(t)
    await first.stop()
    const node = await startNode(t, { backend: first.url })
    const get = path => ask(`${node.managementUrl}${path}`)
    assert.equal((await get('/healthz')).status, 200)
    assertRefused(await get('/readyz'), 503, 'node_not_ready')
    await startBackend(t, ['--model', 'echo'], new URL(first.url).port)
    await waitFor('readiness', async () => (await get('/readyz')).status === 200)
    const { version } = await getJson(`${node.managementUrl}/version`)
    assert.equal(runCommand(['version']).stdout, `meshllm ${version}\n`)
  })

  test('a client is ready by itself', async t => {
    const node = await startNode(t)
    assert.equal((await ask(`${node.managementUrl}/readyz`)).status, 200)
  })

  test('none of it is on the API port', async t => {
    const node = await startNode(t)
    for (const path of ['/metrics', '/healthz', '/readyz', '/version',
      '/api/status', '/api/events']) {
      assertRefused(await ask(`${node.api}${path}`), 404, 'not_found')
    }
  })
})

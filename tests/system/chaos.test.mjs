// Everything that can die, hang or be slow, at each stage of a request: the
// client always gets a truthful outcome in time, and nothing is asked twice
// once a byte of an answer has arrived.
//
// Two hosts, each with a backend that the test writes byte by byte, and a
// client node.  CHAOS=all runs every stage of every actor (ten minutes); else
// those that differ.
import assert from 'node:assert/strict'
import net from 'node:net'
import { before, describe, test } from 'node:test'
import { ask } from './http.mjs'
import { isAlive, patience, sleep, startNode, suiteScope, waitFor } from
  './lib.mjs'
import { processesOf } from './processes.mjs'
import { SSE, chunk, event, startRaw } from './raw.mjs'

const all = process.env.CHAOS === 'all'
const SILENCE_S = 2 // a node gives a silent source up
const IN_TIME_MS = 30000 // a client its node
const STOPPED_MS = 5000 // the same, when that is stopped
const CHUNKED = `${SSE}Transfer-Encoding: chunked\r\n\r\n`
const END = '0\r\n\r\n'
const DONE = 'data: [DONE]\n\n'
const WORDS = ['a', 'b', 'c', 'd']
const TEXT = WORDS.map(event).join('') + DONE

// A promise that somebody else keeps.
function gate () {
  const g = {}
  g.promise = new Promise(resolve => { g.open = resolve })
  return g
}

class Cluster {
  constructor (scope) { this.scope = scope; this.hosts = []; this.nth = 0 }

  // What died is started again; the client knows both hosts afterwards.
  async repair () {
    const args = [`--answer-seconds=${SILENCE_S}`]
    for (let i = 0; i < 2; i++) {
      const host = this.hosts[i] ??= { backend: await startRaw(this.scope) }
      if (host.backend.close === undefined) this.prepare(host.backend)
      if (!host.backend.isUp) await host.backend.open()
      if (host.node !== undefined && host.node.end === undefined) continue
      const other = this.hosts[1 - i]?.node
      host.node = await startNode(this.scope, { backend: host.backend.url,
        args, join: other?.end === undefined && other !== undefined
          ? await other.token() : undefined })
      await host.node.waitModel('echo')
    }
    if (this.client === undefined || this.client.end !== undefined) {
      this.client = await startNode(this.scope, { args,
        join: await this.hosts[0].node.token() })
    }
    for (const { node } of this.hosts) {
      await this.client.waitPeer(node.ready.id, p => p.connected &&
        p.encryption === 'sealed' && p.models.includes('echo'), { ms: 30000 })
    }
    await this.findKeys()
  }

  // A raw backend that can be taken away and brought back.
  prepare (backend) {
    const sockets = new Set()
    const { server } = backend
    backend.isUp = true
    server.on('connection', s => {
      sockets.add(s)
      s.on('close', () => sockets.delete(s))
    })
    const { port } = server.address()
    backend.close = () => {
      backend.isUp = false
      server.close()
      for (const s of sockets) s.resetAndDestroy()
    }
    backend.open = async () => {
      await new Promise(resolve => server.listen(port, '127.0.0.1', resolve))
      backend.isUp = true
    }
  }

  ask (key, { ms = IN_TIME_MS, ...rest } = {}) {
    return ask(`${this.client.baseUrl}/chat/completions`, { ms,
      body: { model: 'echo', stream: true, prompt_cache_key: key,
        messages: [{ role: 'user', content: 'x' }] }, ...rest })
  }

  // A session for each host, and both of them well.
  async findKeys () {
    const quick = socket => socket.write(CHUNKED + chunk(TEXT) + END)
    for (const { backend } of this.hosts) backend.answer = quick
    this.keys = []
    await waitFor('both hosts to answer', async () => {
      const key = `s${this.nth++}`
      const answer = await this.ask(key)
      const at = this.hosts.findIndex(h =>
        h.node.ready.id.startsWith(answer.headers['x-meshllm-host'] ?? '-'))
      if (at !== -1 && answer.complete) this.keys[at] ??= key
      return this.keys[0] !== undefined && this.keys[1] !== undefined
    }, { ms: 40000 })
  }
}

const signal = (pids, name) => {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // went with its parent
    }
  }
}

// Who is hurt: its processes, given the cluster and the host that is asked.
const daemonOf = name => node => async () => {
  const found = Object.entries(await processesOf(node))
    .filter(([n]) => n === name || n === `meshllm-${name}`)
  assert.ok(found.length > 0, `no process ${name}`)
  return found.map(([, pid]) => pid)
}
const DAEMONS = ['gossipd', 'proxyd', 'cryptod', 'attestd-verifier',
  'attestd-signer']
const actors = {
  backend: null,
  'host node': c => async () => Object.values(await processesOf(c.home.node)),
  ...Object.fromEntries(DAEMONS.map(d =>
    [`host's ${d}`, c => daemonOf(d)(c.home.node)])),
  ...Object.fromEntries(DAEMONS.map(d =>
    [`client's ${d}`, c => daemonOf(d)(c.client)])),
}

// What is done to it; resolves to what undoes it.
const actions = {
  killed: async pids => { signal(pids, 'SIGKILL'); return () => {} },
  stopped: async pids => {
    signal(pids, 'SIGSTOP')
    return () => signal(pids, 'SIGCONT')
  },
  slow: async pids => {
    let runs = true
    const loop = (async () => {
      while (runs) {
        signal(pids, 'SIGSTOP')
        await sleep(60)
        signal(pids, 'SIGCONT')
        await sleep(20)
      }
    })()
    return async () => { runs = false; await loop }
  },
}
const backendActions = {
  killed: async b => { b.close(); return () => {} },
  stopped: async b => { b.isStuck = true; return () => { b.isStuck = false } },
  slow: async b => { b.isSlow = true; return () => { b.isSlow = false } },
}
const stages = ['before the request', 'before the head', 'between tokens',
  'before the end']

// The backend's side of one request, up to the stage, then the rest.
function play (backend, stage, reached, goOn) {
  backend.isStuck = backend.isSlow = false
  backend.answer = async socket => {
    const parts = [CHUNKED, ...WORDS.map(w => chunk(event(w))), chunk(DONE),
      END]
    const at = { 'before the head': 0, 'between tokens': 3,
      'before the end': parts.length - 1 }[stage] ?? -1
    for (const [i, part] of parts.entries()) {
      if (i === at) {
        reached.open()
        await goOn.promise
      }
      if (backend.isStuck) return
      for (const piece of backend.isSlow ? part : [part]) {
        if (!socket.writable) return
        socket.write(piece)
        if (backend.isSlow) await sleep(2)
      }
      await new Promise(setImmediate)
    }
  }
}

function outcomeOf (answer) {
  if (answer.error !== undefined) {
    return /no end in/.test(answer.error.message) ? 'late' : 'cut'
  }
  if (answer.status !== 200) {
    assert.equal(answer.complete, true)
    assert.ok(answer.status >= 500, `status ${answer.status}`)
    assert.equal(typeof JSON.parse(answer.body).error.message, 'string')
    return 'refused'
  }
  if (answer.complete) {
    assert.equal(answer.body, TEXT, 'a complete answer that is not whole')
    return 'complete'
  }
  // What came is the beginning of the answer, or an error behind it.
  const before = answer.body.split('\n\n\n')[0].split('data: {"error"')[0]
    .trimEnd()
  assert.ok(TEXT.startsWith(before), `not the beginning: ${answer.body}`)
  return 'broken'
}

const hurtsHost = actor => actor === 'backend' || actor.startsWith('host')

function isWorthIt (actor, action, stage) {
  if (all) return true
  if (/signer|verifier/.test(actor)) return stage === 'before the head' &&
    action !== 'slow'
  if (stage === 'before the end') return !/cryptod/.test(actor) &&
    action !== 'slow'
  if (stage === 'before the request') return action === 'stopped'
  return true
}

describe('a request while', () => {
  const scope = suiteScope()
  const cluster = new Cluster(scope)
  before(() => cluster.repair(), { timeout: 60000 })

  async function hurt (actor, action, stage) {
    cluster.home = cluster.hosts[0]
    const [key] = cluster.keys
    const { backend } = cluster.home
    const posts = () => cluster.hosts.map(h => h.backend.posts)
    const reached = gate()
    const goOn = gate()
    for (const h of cluster.hosts) play(h.backend, stage, gate(), goOn)
    play(backend, stage, reached, goOn)
    const at = posts()
    const pids = actor === 'backend' ? [] : await actors[actor](cluster)()
    const act = () => actor === 'backend'
      ? backendActions[action](backend) : actions[action](pids)
    let seen = ''
    const isDeaf = actor === 'client\'s proxyd' && action === 'stopped'
    const begin = () => cluster.ask(key, {
      ms: isDeaf ? STOPPED_MS : IN_TIME_MS,
      onEvent: e => { seen += e } }).catch(error => ({ error }))
    let undo
    let answer
    if (stage === 'before the request') {
      undo = await act()
      goOn.open()
      answer = begin()
    } else {
      answer = begin()
      await reached.promise
      const want = { 'between tokens': '"b"', 'before the end': '[DONE]' }[stage]
      if (want) await waitFor('the tokens', () => seen.includes(want))
      undo = await act()
      // A node ends with any of its daemons, but not at once: what it could
      // still pass on meanwhile would be up to chance.
      if (action === 'killed' && actor !== 'backend') await nodeOf(actor).ended
      goOn.open()
    }
    answer = await answer
    await undo()
    return { outcome: outcomeOf(answer), answer,
      asked: posts().map((n, i) => n - at[i]) }
  }

  const nodeOf = actor =>
    hurtsHost(actor) ? cluster.home.node : cluster.client

  for (const actor of Object.keys(actors)) {
    for (const action of Object.keys(actions)) {
      for (const stage of stages.filter(s => isWorthIt(actor, action, s))) {
        test(`${actor} is ${action} ${stage}`, { timeout: 90000 }, async t => {
          t.after(() => cluster.repair())
          const { outcome, answer, asked } = await hurt(actor, action, stage)
          const told = `${outcome}, asked ${asked}: ${answer.status} ` +
            `${answer.error ?? answer.body}`
          // Only the node that a client talks to can leave it without a word.
          if (outcome === 'late') {
            assert.equal(actor, 'client\'s proxyd', told)
            assert.equal(action, 'stopped', told)
          }
          if (outcome === 'cut') assert.match(actor, /^client/, told)
          if (/between|end/.test(stage)) {
            assert.deepEqual(asked, [1, 0], told)
          } else {
            assert.ok(asked[0] <= 1 && asked[1] <= 1, told)
          }
          if (action === 'slow') assert.equal(outcome, 'complete', told)
          if (hurtsHost(actor) && /request|head/.test(stage)) {
            assert.equal(outcome, 'complete', told)
          }
          if (action === 'killed' && actor !== 'backend') {
            await nodeOf(actor).ended
          }
        })
      }
    }
  }

  test('a client that hangs holds nobody up', async () => {
    const { backend } = cluster.hosts[0]
    const done = gate()
    backend.answer = async socket => {
      socket.write(CHUNKED)
      const big = chunk(event('x'.repeat(60000)))
      for (let i = 0; i < 400 && socket.writable; i++) {
        if (!socket.write(big)) {
          await new Promise(resolve => {
            socket.once('drain', resolve)
            socket.once('close', resolve)
          })
        }
      }
      done.open()
    }
    const [host, port] = cluster.client.ready.api.split(':')
    const text = JSON.stringify({ model: 'echo', stream: true,
      prompt_cache_key: cluster.keys[0], messages: [] })
    const socket = net.connect({ host, port })
    socket.pause()
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n' +
      `Content-Type: application/json\r\nContent-Length: ${text.length}\r\n` +
      `\r\n${text}`)
    await sleep(500)
    cluster.hosts[0].backend.answer = s =>
      s.write(CHUNKED + chunk(TEXT) + END)
    assert.equal((await cluster.ask(cluster.keys[0])).complete, true)
    // Nothing takes its bytes: it is given up like a silent source.
    await Promise.race([done.promise, patience().then(() =>
      assert.fail('the backend is still writing to a client that hangs'))])
    socket.destroy()
  })

  test('nobody is left over', async () => {
    for (const node of [cluster.client, ...cluster.hosts.map(h => h.node)]) {
      const pids = Object.values(await processesOf(node))
      await node.stop()
      await waitFor('the end of all', () => !pids.some(isAlive))
    }
  })
})


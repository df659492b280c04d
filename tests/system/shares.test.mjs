// A greedy client and a modest one: what each of them gets.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { describe, test } from 'node:test'
import { assertRefused, chatBody } from './http.mjs'
import { runCommand, sleep, startNode, suiteScope, waitFor } from './lib.mjs'
import { startRaw, whole } from './raw.mjs'

const GREEDY = '127.0.0.1'
const MODEST = '127.0.0.2'

// As ask(), from an address of this machine.
function askFrom (localAddress, node, content, { headers, ...more } = {}) {
  const text = JSON.stringify(chatBody(content))
  return new Promise((resolve, reject) => {
    const req = http.request(`${node.baseUrl}/chat/completions`, {
      agent: false, method: 'POST', localAddress, headers: {
        'content-type': 'application/json', 'content-length': text.length,
        ...headers }, ...more })
    req.on('error', reject)
    req.on('response', res => {
      let body = ''
      res.setEncoding('utf8')
      res.on('data', piece => { body += piece })
      res.on('close', () => resolve({ status: res.statusCode, body,
        headers: res.headers, complete: res.complete }))
    })
    req.end(text)
  })
}

const contentOf = request =>
  JSON.parse(request.slice(request.indexOf('\r\n\r\n'))).messages[0].content

// The backend answers when told; asked is what it was asked, in order.
async function holding (scope) {
  const held = []
  const asked = []
  const backend = await startRaw(scope, { answer: (socket, _, request) => {
    asked.push(contentOf(request))
    held.push(socket)
  } })
  const let_ = n => held.splice(0, n).forEach(s => s.write(whole('{}')))
  return { backend, held, asked, let: let_ }
}

async function startWith (scope, ...args) {
  const gate = await holding(scope)
  const node = await startNode(scope, { backend: gate.backend.url, args })
  await node.waitModel('echo')
  return { ...gate, node }
}

const queued = async (node, n) => await waitFor(`${n} in the queue`,
  async () => (await node.status()).counters.queued_now === n)

async function limited (node, limit) {
  const text = await (await fetch(`${node.managementUrl}/metrics`)).text()
  const found = new RegExp(`^meshllm_limited_total{limit="${limit}"} (\\d+)$`,
    'm').exec(text)
  return Number(found?.[1] ?? 0)
}

// Lets one after the other go until all are answered.
async function letAll (gate, all) {
  let left = all.length
  for (const one of all) one.then(() => left--, () => left--)
  await waitFor('the end', () => {
    gate.let(1)
    return left === 0
  }, { every: 5 })
  return await Promise.all(all)
}

describe('a limit for each client', () => {
  const scope = suiteScope()

  test('who has its share under way is told so, others are served',
    async () => {
      const gate = await startWith(scope, '--client-requests=2')
      const greedy = ['a', 'b'].map(s => askFrom(GREEDY, gate.node, s))
      await waitFor('both', () => gate.held.length === 2)
      const third = await askFrom(GREEDY, gate.node, 'c')
      assertRefused(third, 429, 'rate_limit_exceeded')
      assert.match(third.body, /2 requests under way/)
      assert.ok(Number(third.headers['retry-after']) >= 1)
      assert.equal(await limited(gate.node, 'client-requests'), 1)
      const modest = askFrom(MODEST, gate.node, 'd')
      await waitFor('it as well', () => gate.held.length === 3)
      gate.let(3)
      for (const answer of await Promise.all([...greedy, modest])) {
        assert.equal(answer.status, 200)
      }
      const again = askFrom(GREEDY, gate.node, 'e')
      await waitFor('the next', () => gate.held.length === 1)
      gate.let(1)
      assert.equal((await again).status, 200)
      assert.deepEqual(gate.asked.sort(), ['a', 'b', 'd', 'e'])
    })

  test('on a socket in the file system a client is a user',
    { skip: process.getuid() !== 0 && 'needs root' }, async () => {
      const gate = await holding(scope)
      const dir = fs.mkdtempSync('/tmp/meshllm-shares-')
      scope.after(() => fs.rmSync(dir, { recursive: true }))
      fs.chmodSync(dir, 0o777)
      const socket = path.join(dir, 'api')
      const node = await startNode(scope, { backend: gate.backend.url,
        api: `unix:${socket}`,
        args: ['--api-socket-mode=0666', '--client-requests=1'] })
      await waitFor('its model', async () =>
        (await node.status()).models.includes('echo'))
      const as = uid => new Promise(resolve => {
        const curl = spawn('curl', ['-s', '-o', '/dev/null', '-w',
          '%{http_code}', '--unix-socket', socket, '--json',
          JSON.stringify(chatBody('x')), 'http://x/v1/chat/completions'],
        { uid, gid: uid, cwd: '/' })
        let out = ''
        curl.stdout.on('data', piece => { out += piece })
        curl.on('close', () => resolve(out))
      })
      const first = as(20001)
      await waitFor('one', () => gate.held.length === 1)
      assert.equal(await as(20001), '429')
      const other = as(20002)
      await waitFor('the other', () => gate.held.length === 2)
      gate.let(2)
      assert.deepEqual(await Promise.all([first, other]), ['200', '200'])
    })
})

describe('turns in the queue', () => {
  const scope = suiteScope()

  // Ten of one are there before the first of the other.
  async function compete (gate, node, greedy, modest) {
    const all = Array.from({ length: 10 }, (_, i) => greedy(`g${i}`))
    await waitFor('one', () => gate.held.length === 1)
    await queued(node, 9)
    for (const i of [0, 1]) {
      all.push(modest(`m${i}`))
      await queued(node, 10 + i)
    }
    for (const answer of await letAll(gate, all)) {
      assert.equal(answer.status, 200, answer.body)
    }
    assert.equal(gate.asked.length, 12)
    const at = gate.asked.map((s, i) => s[0] === 'm' ? i : -1)
      .filter(i => i !== -1)
    assert.deepEqual(at, [2, 4], `served in this order: ${gate.asked}`)
  }

  test('two addresses', async () => {
    const gate = await startWith(scope, '--backend-requests=1')
    await compete(gate, gate.node, s => askFrom(GREEDY, gate.node, s),
      s => askFrom(MODEST, gate.node, s))
  })

  test('two API keys', async () => {
    const dir = fs.mkdtempSync('/tmp/meshllm-shares-')
    scope.after(() => fs.rmSync(dir, { recursive: true }))
    const file = path.join(dir, 'keys')
    const keys = ['greedy', 'modest'].map(name => runCommand(['key',
      `--api-keys=${file}`, 'add', name]).stdout.trim())
    const gate = await holding(scope)
    const node = await startNode(scope, { backend: gate.backend.url,
      args: [`--api-keys=${file}`, '--backend-requests=1'] })
    await waitFor('its model', async () =>
      (await node.status()).models.includes('echo'))
    const [greedy, modest] = keys.map(key => s => askFrom(GREEDY, node, s,
      { headers: { authorization: `Bearer ${key}` } }))
    await compete(gate, node, greedy, modest)
  })

  test('two peers of a host', async () => {
    const gate = await startWith(scope, '--backend-requests=1')
    const join = await gate.node.token()
    const clients = await Promise.all([1, 2].map(async () => {
      const client = await startNode(scope, { join })
      await client.waitModel('echo')
      return client
    }))
    const [greedy, modest] = clients.map(c => s => askFrom(GREEDY, c, s))
    await compete(gate, gate.node, greedy, modest)
  })

  test('who comes when a place is free overtakes nobody', async () => {
    const gate = await startWith(scope, '--backend-requests=1')
    const pid = await gate.node.processId('proxyd')
    const agent = new http.Agent({ keepAlive: true })
    scope.after(() => agent.destroy())
    await letAll(gate, [askFrom(GREEDY, gate.node, 'open', { agent })])
    const first = askFrom(GREEDY, gate.node, 'g0')
    await waitFor('one', () => gate.held.length === 1)
    const modest = askFrom(MODEST, gate.node, 'm0')
    await queued(gate.node, 1)
    // The place and the next request are there at the same moment.
    process.kill(pid, 'SIGSTOP')
    gate.let(1)
    const next = askFrom(GREEDY, gate.node, 'g1', { agent })
    await sleep(100)
    process.kill(pid, 'SIGCONT')
    for (const answer of await letAll(gate, [first, modest, next])) {
      assert.equal(answer.status, 200)
    }
    assert.deepEqual(gate.asked, ['open', 'g0', 'm0', 'g1'])
  })

  test('a full queue has room for who has less in it', async () => {
    const gate = await startWith(scope, '--backend-requests=1',
      '--queue-requests=4')
    const greedy = []
    for (let i = 0; i < 5; i++) {
      greedy.push(askFrom(GREEDY, gate.node, `g${i}`))
      if (i === 0) await waitFor('one', () => gate.held.length === 1)
      else await queued(gate.node, i)
    }
    assertRefused(await askFrom(GREEDY, gate.node, 'g5'), 503, 'overloaded')
    assert.equal(await limited(gate.node, 'queue-requests'), 1)
    const modest = askFrom(MODEST, gate.node, 'm0')
    const last = await greedy.pop()
    assertRefused(last, 503, 'overloaded')
    assert.match(last.body, /others wait that have asked for less/)
    assert.equal(last.headers['retry-after'], '5')
    assert.equal(await limited(gate.node, 'queue-share'), 1)
    // The other way round it does not go.
    assertRefused(await askFrom(GREEDY, gate.node, 'g6'), 503, 'overloaded')
    for (const answer of await letAll(gate, [...greedy, modest])) {
      assert.equal(answer.status, 200)
    }
    assert.deepEqual(gate.asked, ['g0', 'g1', 'm0', 'g2', 'g3'])
  })
})

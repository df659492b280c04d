// Who may ask at the API: keys, names, pages, a socket in the file system;
// each with what is kept out, and with what gets in as the control.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import http from 'node:http'
import os from 'node:os'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import { ask, assertRefused, chatBody, errorOf } from './http.mjs'
import { Node, patience, runCommand, sleep, startBackend, startNode,
  suiteScope, waitFor } from './lib.mjs'
import { processesOf } from './processes.mjs'

const PAGE = 'https://chat.example.com'
const EVIL = 'https://evil.example.com'

function scratch (t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'meshllm-keys-'))
  fs.chmodSync(dir, 0o755)
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }))
  return dir
}

function addKey (file, name, ...options) {
  const done = runCommand(['key', `--api-keys=${file}`, ...options, 'add', name])
  assert.equal(done.status, 0, done.stderr)
  return done.stdout.trim()
}

const bearer = key => ({ authorization: `Bearer ${key}` })
const post = (node, headers = {}, content = 'hello', more) =>
  ask(`${node.baseUrl}/chat/completions`,
    { body: chatBody(content, more), headers })

async function doesNotStart (t, options, pattern) {
  const node = new Node(options)
  t.after(() => node.stop())
  const end = await Promise.race([node.ended, patience()])
  assert.ok(end, `it runs: ${node.out}`)
  assert.ok(end.code > 0)
  assert.match(node.logText(), pattern)
}

describe('API keys', () => {
  const scope = suiteScope()
  let file, node, alice, bob, backend
  before(async () => {
    file = path.join(scratch(scope), 'keys')
    alice = addKey(file, 'alice')
    bob = addKey(file, 'bob', '--requests=1', '--model=echo')
    backend = await startBackend(scope,
      ['--model', 'echo', '--model', 'other'])
    node = await startNode(scope, { api: '0.0.0.0:0', backend: backend.url,
      args: [`--api-keys=${file}`] })
    node.baseUrl = `http://127.0.0.1:${node.ready.api.split(':')[1]}/v1`
    await waitFor('its models', async () => (await ask(`${node.baseUrl}/models`,
      { headers: bearer(alice) })).body.includes('other'))
  })

  test('others than this machine are only heard with keys', async t => {
    await doesNotStart(t, { api: '0.0.0.0:0' },
      /--api 0\.0\.0\.0:0.*loopback.*--api-keys/)
    const empty = path.join(scratch(t), 'empty')
    fs.writeFileSync(empty, '# nobody yet\n')
    await doesNotStart(t, { api: '[::]:0', args: [`--api-keys=${empty}`] },
      /no key yet/)
    await doesNotStart(t, { api: '0.0.0.0:0',
      args: [`--api-keys=${empty}.missing`] }, /empty\.missing.*No such file/)
    fs.writeFileSync(empty, 'alice sha256:00\n')
    await doesNotStart(t, { args: [`--api-keys=${empty}`] },
      /empty.*line 1.*64 hexadecimal/)
    fs.writeFileSync(empty, '')
    fs.chmodSync(empty, 0o666)
    await doesNotStart(t, { args: [`--api-keys=${empty}`] },
      /others than its owner/)
    await doesNotStart(t, { management: '0.0.0.0:0',
      args: [`--api-keys=${file}`] }, /--management.*loopback/)
    assert.match(node.logText(), /warning proxyd api-not-local .*keys=2/)
  })

  test('who has none, or another, is not served', async () => {
    for (const headers of [{}, bearer('wrong'), bearer(''),
      bearer(`${alice}x`), bearer(alice.slice(0, -1)),
      { authorization: alice }, { authorization: `Basic ${alice}` },
      { 'x-api-key': `${alice}x` }]) {
      const answer = await post(node, headers)
      assertRefused(answer, 401, 'invalid_api_key')
      assert.equal(answer.headers['www-authenticate'], 'Bearer')
      assertRefused(await ask(`${node.baseUrl}/models`, { headers }), 401)
      assertRefused(await ask(`${node.baseUrl}/nothing`, { headers }), 401)
    }
    for (const headers of [bearer(alice), { 'x-api-key': alice }]) {
      assert.equal((await post(node, headers)).status, 200)
    }
  })

  test('a key of some models sees and gets no others', async () => {
    const models = async key => JSON.parse((await ask(`${node.baseUrl}/models`,
      { headers: bearer(key) })).body).data.map(m => m.id)
    assert.deepEqual(await models(alice), ['echo', 'other'])
    assert.deepEqual(await models(bob), ['echo'])
    assert.equal((await ask(`${node.baseUrl}/models/other`,
      { headers: bearer(bob) })).status, 404)
    assertRefused(await post(node, bearer(bob), 'hi', { model: 'other' }), 403,
      'model_not_allowed')
    assert.equal((await post(node, bearer(alice), 'hi', { model: 'other' }))
      .status, 200)
  })

  test('a key has its limits', async t => {
    const slow = post(node, bearer(bob), 'slow', { demo_first_ms: 1500 })
    await waitFor('it at the backend',
      async () => (await node.status()).counters.requests_now > 1)
    const answer = await post(node, bearer(bob))
    assertRefused(answer, 429, 'rate_limit_exceeded')
    assert.ok(Number(answer.headers['retry-after']) >= 1)
    assert.equal((await post(node, bearer(alice))).status, 200)
    assert.equal((await slow).status, 200)
    assert.equal((await post(node, bearer(bob))).status, 200)
  })

  test('no key reaches the backend, the log or the status', async () => {
    const seen = []
    const server = http.createServer((req, res) => {
      seen.push(JSON.stringify(req.headers))
      res.end('{"data":[{"id":"spy"}]}')
    }).listen(0, '127.0.0.1')
    await new Promise(resolve => server.once('listening', resolve))
    const spied = await startNode(undefined, { args: [`--api-keys=${file}`],
      backend: `http://127.0.0.1:${server.address().port}` })
    try {
      await waitFor('its model', async () => (await ask(
        `${spied.baseUrl}/models`, { headers: bearer(alice) }))
        .body.includes('spy'))
      await post(spied, bearer(alice), 'hi', { model: 'spy' })
      await post(spied, bearer('meshllm_of_a_stranger'), 'hi')
      assert.ok(seen.length > 1)
      const all = seen.join('') + spied.logText() +
        JSON.stringify(await spied.status())
      assert.ok(!all.includes(alice) && !all.includes('of_a_stranger'))
    } finally {
      await spied.stop()
      server.close()
    }
  })
})

describe('web pages and names', () => {
  const scope = suiteScope()
  let node
  before(async () => {
    const file = path.join(scratch(scope), 'keys')
    const key = addKey(file, 'page')
    const backend = await startBackend(scope)
    node = await startNode(scope, { backend: backend.url, args: [
      `--api-keys=${file}`, `--allow-origin=${PAGE}`, '--allow-host=gpu.lan'] })
    node.key = key
    await waitFor('its model', async () => (await ask(`${node.baseUrl}/models`,
      { headers: bearer(key) })).body.includes('echo'))
  })
  const preflight = (url, origin, more = {}) => ask(url, { method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': 'POST', ...more } })
  const corsOf = answer => Object.keys(answer.headers)
    .filter(h => h.startsWith('access-control-'))

  test('a preflight of the allowed page is answered without a key', async () => {
    const answer = await preflight(`${node.baseUrl}/chat/completions`, PAGE, {
      'access-control-request-headers': 'authorization,content-type,' +
        'x-stainless-lang,x-stainless-retry-count,x-evil,cookie',
      'access-control-request-private-network': 'true' })
    assert.equal(answer.status, 204)
    assert.equal(answer.headers['access-control-allow-origin'], PAGE)
    assert.match(answer.headers.vary, /Origin/)
    assert.equal(answer.headers['access-control-allow-methods'], 'GET, POST')
    assert.equal(answer.headers['access-control-allow-headers'],
      'authorization, content-type, x-stainless-lang, x-stainless-retry-count')
    assert.equal(answer.headers['access-control-allow-private-network'], 'true')
    assert.equal(answer.headers['access-control-allow-credentials'], undefined)
  })

  test('its requests are answered, and it may read errors too', async () => {
    for (const [headers, status] of [[bearer(node.key), 200], [{}, 401]]) {
      const answer = await post(node, { origin: PAGE,
        'sec-fetch-site': 'cross-site', ...headers })
      assert.equal(answer.status, status, answer.body)
      assert.equal(answer.headers['access-control-allow-origin'], PAGE)
    }
    const stream = await post(node, { origin: PAGE, ...bearer(node.key) }, 'hi',
      { stream: true })
    assert.equal(stream.headers['access-control-allow-origin'], PAGE)
    assert.equal(stream.events.at(-1), '[DONE]')
    const plain = await post(node, bearer(node.key))
    assert.deepEqual(corsOf(plain), [])
  })

  test('a page of another origin gets nothing, not even with a key', async () => {
    for (const origin of [EVIL, 'null', `${PAGE}.evil.example`, 'http://localhost',
      PAGE.replace('https', 'http'), `${PAGE}:444`]) {
      const answer = await preflight(`${node.baseUrl}/models`, origin)
      assertRefused(answer, 403, 'origin_not_allowed')
      assert.deepEqual(corsOf(answer), [])
      const real = await post(node, { origin, ...bearer(node.key) })
      assertRefused(real, 403, 'origin_not_allowed')
      assert.deepEqual(corsOf(real), [])
    }
    assertRefused(await post(node, { 'sec-fetch-site': 'cross-site',
      ...bearer(node.key) }), 403)
  })

  test('the management port knows no page at all', async () => {
    for (const origin of [PAGE, EVIL]) {
      for (const method of ['OPTIONS', 'GET']) {
        const answer = await ask(`${node.managementUrl}/api/status`, { method,
          headers: { origin, 'access-control-request-method': 'GET' } })
        assertRefused(answer, 403, 'origin_not_allowed')
        assert.deepEqual(corsOf(answer), [])
      }
    }
    assertRefused(await ask(`${node.managementUrl}/api/status`,
      { headers: { 'sec-fetch-site': 'same-site' } }), 403)
    assertRefused(await ask(`${node.managementUrl}/api/status`,
      { headers: { host: 'rebind.example.com' } }), 403, 'host_not_allowed')
  })

  test('names are those of the list', async () => {
    const with_ = host => post(node, { host, ...bearer(node.key) })
    for (const host of ['gpu.lan', 'GPU.lan:9337', 'localhost:1', '[::1]:9']) {
      assert.equal((await with_(host)).status, 200, host)
    }
    for (const host of ['rebind.example.com', 'gpu.lan.example.com', 'lan',
      '192.0.2.1', 'gpu.lan:x']) {
      assertRefused(await with_(host), 403, 'host_not_allowed')
    }
  })

  test('bad names and origins are no configuration', async t => {
    await doesNotStart(t, { args: ['--allow-origin=*'] }, /allow-origin.*\*/)
    await doesNotStart(t, { args: [`--allow-origin=${PAGE}/`] }, /allow-origin/)
    await doesNotStart(t, { args: ['--allow-host=*.lan'] }, /allow-host/)
    await doesNotStart(t, { args: ['--api-socket-mode=0600'] },
      /for --api=unix/)
  })
})

describe('a socket in the file system', () => {
  const over = (socketPath, options = {}) => new Promise((resolve, reject) => {
    const req = http.request({ socketPath, path: '/v1/models', ...options },
      res => {
        let body = ''
        res.on('data', d => { body += d })
        res.on('end', () => resolve({ status: res.statusCode, body,
          headers: res.headers }))
      })
    req.on('error', reject)
    req.end(options.body)
  })

  test('is made with its mode, serves, and replaces a stale one', async t => {
    const dir = scratch(t)
    const file = path.join(dir, 'api.sock')
    const backend = await startBackend(t)
    const options = { api: `unix:${file}`, backend: backend.url,
      args: ['--api-socket-mode=0660', '--api-socket-group=nogroup'] }
    const start = async () => {
      const node = new Node(options)
      t.after(() => node.stop())
      const line = await node.line(/^ready /, 20000)
      assert.match(line, new RegExp(` api=unix:${file} `))
      return node
    }
    const first = await start()
    assert.equal(fs.statSync(file).mode & 0o777, 0o660)
    await waitFor('model', async () => (await over(file)).body.includes('echo'))
    const body = JSON.stringify(chatBody('hello'))
    const send = headers => over(file, { method: 'POST', body,
      path: '/v1/chat/completions', headers: { 'content-type':
        'application/json', 'content-length': body.length, ...headers } })
    assert.equal((await send({ host: 'any-name' })).status, 200)
    assert.equal(errorOf(await send({ origin: EVIL })).code,
      'origin_not_allowed')
    // Somebody listens there.
    await doesNotStart(t, options, /api\.sock.*in use/)
    assert.equal((await over(file)).status, 200)
    await first.stop()
    // What it left is no obstacle; what is not a socket is not touched.
    const second = await start()
    assert.equal((await over(file)).status, 200)
    await second.stop()
    fs.rmSync(file, { force: true })
    fs.writeFileSync(file, 'precious')
    await doesNotStart(t, options, /api\.sock.*File exists/)
    assert.equal(fs.readFileSync(file, 'utf8'), 'precious')
  })

  test('cannot be where it cannot be', async t => {
    await doesNotStart(t, { api: 'unix:relative' }, /unix:relative/)
    await doesNotStart(t, { api: 'unix:/nowhere/at/all' }, /No such file/)
    await doesNotStart(t, { api: `unix:/${'x'.repeat(200)}` }, /at most/)
    await doesNotStart(t, { api: 'unix:/tmp/x', args: ['--api-socket-mode=999'] },
      /api-socket-mode.*999/)
    await doesNotStart(t, { api: 'unix:/tmp/x',
      args: ['--api-socket-group=no-such-group'] }, /no such group/)
  })
})

describe('SIGHUP', () => {
  const scope = suiteScope()
  let dir, keys, config, node, backend
  const write = text => fs.writeFileSync(config, text)
  const reload = async pattern => {
    const from = node.log.length
    node.signal('SIGHUP')
    return await node.waitLog(pattern, { from })
  }
  before(async () => {
    dir = scratch(scope)
    keys = path.join(dir, 'keys')
    backend = await startBackend(scope)
    addKey(keys, 'first')
    node = new Node({ backend: backend.url, args: [] })
    config = path.join(node.home, 'meshllm.conf')
    scope.after(() => node.stop())
    await node.started()
    await node.waitModel('echo')
  })

  test('a stream runs through all of them', async () => {
    let tokens = 0
    const stream = ask(`${node.baseUrl}/chat/completions`, {
      body: chatBody('one two three', { stream: true, demo_tokens: 60,
        demo_delay_ms: 25 }), onEvent: () => tokens++ })
    await waitFor('tokens', () => tokens > 2)
    // Keys are wanted from now on.
    write(`[proxyd]\napi-keys = ${keys}\nallow-origin = ${PAGE}\n`)
    await reload(/info proxyd reloaded .*keys=1 .*origins=1/)
    assertRefused(await post(node), 401, 'invalid_api_key')
    const second = addKey(keys, 'second')
    assertRefused(await post(node, bearer(second)), 401)
    await reload(/info proxyd reloaded .*keys=2/)
    const answer = await post(node, { origin: PAGE, ...bearer(second) })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers['access-control-allow-origin'], PAGE)
    runCommand(['key', `--api-keys=${keys}`, 'remove', 'second'])
    await reload(/info proxyd reloaded .*keys=1/)
    assertRefused(await post(node, bearer(second)), 401)

    // What is wrong is named, and changes nothing.
    const third = addKey(keys, 'third')
    write(`[proxyd]\napi-keys = ${keys}\nnonsense = 1\n`)
    assert.match(await reload(/error meshllm reload-refused/),
      /meshllm\.conf:3: .*nonsense/)
    write(`[proxyd]\napi-keys = ${keys}.missing\n`)
    assert.match(await reload(/error meshllm reload-refused/),
      /keys\.missing.*No such file/)
    write(`[proxyd]\napi-keys = ${keys}\nallow-origin = *\n`)
    assert.match(await reload(/reload-refused/), /allow-origin/)
    const text = fs.readFileSync(keys, 'utf8')
    fs.writeFileSync(keys, `${text}broken\n`)
    write(`[proxyd]\napi-keys = ${keys}\n`)
    assert.match(await reload(/error proxyd reload-refused/), /line 3/)
    assertRefused(await post(node, bearer(third)), 401)
    fs.writeFileSync(keys, text)

    // What cannot change is said; the rest does.
    write('[gossipd]\nadvertise = 192.0.2.1:9\n[proxyd]\n' +
      `api-keys = ${keys}\nallow-plaintext-peers = yes\n` +
      'allow-host = gpu.lan\n')
    const from = node.log.length
    await reload(/info proxyd reloaded .*hosts=1/)
    await node.waitLog(/reload-needs-restart option=allow-plaintext-peers/,
      { from })
    await node.waitLog(/reload-needs-restart daemon=gossipd/, { from })
    assert.equal((await post(node, { host: 'gpu.lan', ...bearer(third) }))
      .status, 200)
    assert.equal((await node.status()).allow_plaintext_peers, false)

    // An answer that began before a page was taken from the list.
    write(`[proxyd]\napi-keys = ${keys}\nallow-origin = ${PAGE}\n`)
    await reload(/info proxyd reloaded .*origins=1/)
    const slow = post(node, { origin: PAGE, ...bearer(third) }, 'slow',
      { demo_first_ms: 700 })
    await waitFor('it at the backend', async () =>
      (await node.status()).counters.requests_now >= 3)
    for (let i = 0; i < 3; i++) {
      write(`[proxyd]\napi-keys = ${keys}\nallow-host = host-${i}.lan\n`)
      await reload(/info proxyd reloaded .*origins=0/)
    }
    assert.equal((await slow).headers['access-control-allow-origin'], PAGE)
    assertRefused(await post(node, { origin: PAGE, ...bearer(third) }), 403)

    // And without a key file everybody on this machine is let in again.
    write('')
    await reload(/info proxyd reloaded .*keys=0/)
    assert.equal((await post(node)).status, 200)
    const done = await stream
    assert.equal(done.complete, true)
    assert.equal(done.events.at(-1), '[DONE]')
    assert.equal(done.events.length >= 60, true)
  })

  test('changes what all daemons log, no more and no less', async () => {
    const work = async () => {
      const at = node.log.length
      assert.equal((await post(node)).status, 200)
      assertRefused(await post(node, { host: 'evil.example.com' }), 403)
      await sleep(300)
      return node.log.slice(at).map(l => l.split(' ').slice(0, 2))
    }
    const at = async (level, most) => {
      write(level === undefined ? '' : `[meshllm]\nlog-level = ${level}\n`)
      const from = node.log.length
      await reload(/info proxyd reloaded/)
      assert.ok(!node.log.slice(from).some(l => /needs-restart/.test(l)))
      const rank = ['error', 'warning', 'info', 'debug']
      // What was on its way when the level changed.
      const lines = await waitFor(`lines at ${level}`, async () => {
        const lines = await work()
        return lines.every(([l]) => rank.indexOf(l) <= rank.indexOf(most)) &&
          lines
      })
      return lines.map(l => l.join(' '))
    }
    assert.deepEqual(await at('error', 'error'), [])
    assert.ok((await at('debug', 'debug')).includes('info proxyd'))
    assert.deepEqual(await at('warning', 'warning'), [])
    const usual = await at(undefined, 'info')
    assert.ok(usual.includes('info proxyd'), `${usual}`)

    // One that is refused changes nothing, whoever refuses it.
    write(`[meshllm]\nlog-level = error\n[proxyd]\napi-keys = ${config}\n`)
    await reload(/error proxyd reload-refused/)
    write('[meshllm]\nlog-level = error\n[proxyd]\nqueue-seconds = no\n')
    await reload(/error meshllm reload-refused/)
    assert.ok((await work()).some(([l]) => l === 'info'))
    write('')
    await reload(/info proxyd reloaded/)
  })

  test('to a daemon is nothing', async () => {
    const processes = await processesOf(node)
    for (const [name, pid] of Object.entries(processes)) {
      if (name !== 'meshllm') process.kill(pid, 'SIGHUP')
    }
    await sleep(300)
    assert.deepEqual(await processesOf(node), processes)
    assert.equal((await post(node)).status, 200)
  })

  test('the last key of an API that others reach cannot be taken', async t => {
    const file = path.join(dir, 'open-keys')
    const key = addKey(file, 'only')
    const open = await startNode(t, { api: '0.0.0.0:0', backend: backend.url,
      args: [`--api-keys=${file}`] })
    runCommand(['key', `--api-keys=${file}`, 'remove', 'only'])
    open.signal('SIGHUP')
    await open.waitLog(/error proxyd reload-refused .*no key.*not loopback/)
    const url = `http://127.0.0.1:${open.ready.api.split(':')[1]}/v1/models`
    assert.equal((await ask(url, { headers: bearer(key) })).status, 200)
    assert.equal((await ask(url)).status, 401)
  })

})

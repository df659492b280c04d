// The words of prompts and answers are nowhere but where they must be: not in
// the memory of gossipd, not in what passes through it, not on the wire.
// Each search has a positive control: it finds them where they are.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import crypto from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ask, assertServes, chat, chatBody, said } from './http.mjs'
import { sleep, startBackend, startNode, waitFor } from './lib.mjs'
import { processesOf, searchMemory } from './processes.mjs'

const here = path.dirname(fileURLToPath(import.meta.url))

// Distinctive, and never whole in the memory of anything but this request.
const newWords = n => Array.from({ length: n },
  () => `w${crypto.randomBytes(9).toString('hex')}`)

// As text, and as base64 at each of its three alignments.
function needlesFor (words) {
  return words.flatMap(word => {
    const inside = k => Buffer.concat([Buffer.alloc(k), Buffer.from(word)])
      .toString('base64').slice(k && 4, -4)
    return [word, ...[0, 1, 2].map(inside)].map(s => Buffer.from(s))
  })
}

const canRead = pid => {
  try {
    fs.closeSync(fs.openSync(`/proc/${pid}/mem`, 'r'))
    return true
  } catch {
    return false
  }
}

async function pair (t) {
  const backend = await startBackend(t)
  const host = await startNode(t, { backend: backend.url })
  const client = await startNode(t, { join: await host.token() })
  await client.waitModel('echo')
  return { backend, host, client, nodes: [host, client] }
}

// A stream of `seconds` that says the words over and over.
const longStream = (node, words, seconds) => chat(node, words.join(' '), {
  ms: 60000,
  more: { stream: true, demo_delay_ms: 20, demo_tokens: seconds * 50 } })

// Soon: the client has its answer before the node is done with the request.
const forgets = (pid, needles) => waitFor('memory without the words', () => {
  const { found } = searchMemory(pid, needles)
  if (found.size > 0) throw new Error(`there are still ${[...found]}`)
  return true
})

describe('memory', () => {
  test('of gossipd holds no word, during and after', async t => {
    const { client, nodes } = await pair(t)
    const pids = []
    for (const node of nodes) pids.push(await processesOf(node))
    if (!canRead(pids[0].gossipd)) {
      return t.skip('reading the memory of others needs root')
    }
    const words = newWords(6)
    const needles = needlesFor(words)
    let over = false
    const stream = longStream(client, words, 6).then(a => {
      over = true
      return a
    })
    await sleep(1000)
    let rounds = 0
    while (!over) {
      for (const { gossipd } of pids) {
        const { found, bytes } = searchMemory(gossipd, needles)
        assert.ok(bytes > 1 << 20, `only ${bytes} bytes were read`)
        assert.deepEqual([...found], [], 'gossipd holds words, during')
        await sleep(10)
      }
      rounds++
    }
    assert.ok(rounds >= 1)
    const answer = await stream
    assert.equal(answer.complete, true)
    assert.ok(said(answer).text.includes(words[0]))

    for (const p of pids) {
      assert.deepEqual([...searchMemory(p.gossipd, needles).found], [],
        'gossipd holds words, after')
      for (const name of ['cryptod', 'attestd-signer', 'attestd-verifier',
        'meshllm']) {
        assert.deepEqual([...searchMemory(p[name], needles).found], [], name)
      }
    }
  })

  test('of proxyd holds them only while it must: the control', async t => {
    const { client, nodes } = await pair(t)
    const [host, mine] = await Promise.all(nodes.map(processesOf))
    if (!canRead(host.proxyd)) {
      return t.skip('reading the memory of others needs root')
    }
    const words = newWords(6)
    const needles = words.map(w => Buffer.from(w))
    const clean = () => {
      for (const { gossipd } of [host, mine]) {
        assert.deepEqual([...searchMemory(gossipd, needles).found], [])
      }
    }
    // The client's, when half of the request has come.
    const body = JSON.stringify(chatBody(words.join(' '), { demo_first_ms: 5000 }))
    const at = body.lastIndexOf('}') - 10
    const socket = net.connect(Number(client.ready.api.split(':').at(-1)))
    let text = ''
    socket.on('data', piece => { text += piece })
    t.after(() => socket.destroy())
    socket.write('POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n' +
      `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n` +
      `\r\n${body.slice(0, at)}`)
    const holds = pid => waitFor('the words', () =>
      searchMemory(pid, needles).found.size === words.length)
    await holds(mine.proxyd)
    clean()
    // The host's, while its backend thinks.
    socket.write(body.slice(at))
    await holds(host.proxyd)
    clean()
    await waitFor('answer', () => text.includes(words.at(-1)))
    clean()
    await assertServes(client)
    for (const { proxyd } of [host, mine]) await forgets(proxyd, needles)
  })

  test('of proxyd is wiped when a request has ended', async t => {
    const { client, nodes } = await pair(t)
    const pids = []
    for (const node of nodes) pids.push(await processesOf(node))
    if (!canRead(pids[0].proxyd)) {
      return t.skip('reading the memory of others needs root')
    }
    const words = newWords(40)
    const needles = words.map(w => Buffer.from(w))
    for (const stream of [true, false]) {
      const answer = await chat(client, words.join(' '), { more: { stream } })
      assert.equal(answer.complete, true)
    }
    // Translated into a chat completion, and back.
    for (const stream of [true, false]) {
      const answer = await ask(`${client.baseUrl}/responses`, { body: {
        model: 'echo', stream, input: [{ role: 'user', content: [
          { type: 'input_text', text: words.join(' ') }] }],
        instructions: words.join(' ') } })
      assert.equal(answer.complete, true)
      assert.ok(answer.body.includes(words.at(-1)))
    }
    await assertServes(client)
    for (const { proxyd } of pids) await forgets(proxyd, needles)
  })
})

describe('traffic', () => {
  // All packets on the loopback interface while fn runs.
  async function captured (t, fn) {
    const child = spawn('python3', [path.join(here, 'capture.py')],
      { stdio: ['pipe', 'pipe', 'inherit'] })
    t.after(() => child.kill('SIGKILL'))
    let text = ''
    let code
    child.stdout.on('data', piece => { text += piece })
    child.on('exit', c => { code = c })
    child.on('error', () => { code = 77 })
    await waitFor('capture', () => text.startsWith('ready') || code !== undefined)
    if (code === 77) return undefined
    await fn()
    await sleep(300)
    child.stdin.end()
    await waitFor('end of the capture', () => code !== undefined)
    assert.match(text, /\nend 0\n$/, 'the capture lost packets')
    return text.split('\n').slice(1, -2).map(line => {
      const [protocol, from, to, hex] = line.split(' ')
      return { protocol, ports: [from, to], bytes: Buffer.from(hex, 'hex') }
    })
  }

  test('between the nodes holds no word', async t => {
    const { client, nodes } = await pair(t)
    const words = newWords(8)
    const needles = needlesFor(words)
    const packets = await captured(t, async () => {
      for (const stream of [false, true]) {
        const answer = await chat(client, words.join(' '), { more: { stream } })
        assert.equal(answer.complete, true)
      }
    })
    if (packets === undefined) return t.skip('capturing needs CAP_NET_RAW')
    const of = (protocol, port) => Buffer.concat(packets.filter(
      p => p.protocol === protocol && p.ports.includes(port))
      .map(p => p.bytes))
    const port = address => address.split(':').at(-1)
    for (const { ready } of nodes) {
      const mesh = of('udp', port(ready.mesh))
      assert.ok(mesh.length > 4000, `${mesh.length} bytes of mesh traffic`)
      assert.deepEqual(needles.filter(n => mesh.includes(n)), [])
    }
    // Control: between the SDK and its own node they are to be seen.
    const api = of('tcp', port(client.ready.api))
    assert.ok(words.every(w => api.includes(w)), 'control')
  })

  // What every system call of the process read and wrote.
  async function traced (t, pid, fn) {
    const file = path.join(
      fs.mkdtempSync(path.join(os.tmpdir(), 'meshllm-trace-')), 'trace')
    t.after(() => fs.rmSync(path.dirname(file), { recursive: true }))
    const child = spawn('strace', ['-f', '-q', '-p', String(pid), '-s',
      '1000000', '-e', 'trace=%network,read,write,readv,writev', '-o', file],
    { stdio: ['ignore', 'ignore', 'pipe'] })
    t.after(() => child.kill('SIGINT'))
    const ended = new Promise(resolve => child.on('close', resolve))
    // Detached when the first line would say so; there is none to wait for.
    await waitFor('strace to attach', () => /TracerPid:\s+[1-9]/.test(
      fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ||
      child.exitCode !== null)
    await fn()
    child.kill('SIGINT')
    await ended
    return fs.readFileSync(file, 'latin1')
  }

  test('through gossipd, on every descriptor it has, holds no word',
    async t => {
      if (spawnSync('strace', ['-V']).status !== 0) {
        return t.skip('strace is not installed')
      }
      const { client, host, nodes } = await pair(t)
      if (!canRead(client.pid) || process.getuid() !== 0) {
        return t.skip('tracing others needs root')
      }
      const run = async (node, name, words) => await traced(
        t, (await processesOf(node))[name], async () => {
          for (const stream of [false, true]) {
            const answer =
              await chat(client, words.join(' '), { more: { stream } })
            assert.equal(answer.complete, true)
          }
        })
      for (const node of nodes) {
        const words = newWords(8)
        const trace = await run(node, 'gossipd', words)
        assert.match(trace, /sendmsg|sendto|sendmmsg/)
        // The sealed envelope passes here; what it holds does not show.
        assert.match(trace, /ephemeral_public_key/)
        assert.deepEqual(
          needlesFor(words).filter(n => trace.includes(n.toString())), [])
      }
      for (const node of [client, host]) {
        const words = newWords(8)
        const trace = await run(node, 'proxyd', words)
        assert.ok(words.every(w => trace.includes(w)), 'control')
      }
    })

  test('logs at the finest level hold no word', async t => {
    const backend = await startBackend(t)
    const host = await startNode(t, { backend: backend.url, logLevel: 'debug' })
    const client = await startNode(t,
      { join: await host.token(), logLevel: 'debug' })
    await client.waitModel('echo')
    const words = newWords(4)
    for (const more of [{}, { stream: true }, { fault: 'error_500' },
      { fault: 'garbage_head' }, { stream: true, fault: 'cut' },
      { stream: true, fault: 'error_event' }]) {
      await chat(client, words.join(' '), { more })
    }
    const body = JSON.stringify(chatBody(words.join(' '))).slice(0, -2)
    await fetch(`${client.baseUrl}/chat/completions`, { method: 'POST', body,
      headers: { 'content-type': 'application/json',
        authorization: `Bearer ${words[0]}` } })
    await fetch(`${client.api}/${words[1]}?${words[2]}`)
    for (const node of [client, host]) {
      for (const word of words) assert.ok(!node.logText().includes(word))
    }
  })
})

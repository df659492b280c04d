// Where keys and words are while requests run, and where they are soon
// after: every page of every process of a node that root can read is searched.
// A foreign peer at the other end knows the keys of the requests.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import crypto from 'node:crypto'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { foreignAsk, foreignChat, meet, startForeign } from './foreign.mjs'
import { program, startNode, waitFor } from './lib.mjs'
import { SSE, chunk, event, startRaw } from './raw.mjs'

const isRoot = process.getuid() === 0
const run = promisify(execFile)

// The peer computes the key of a request with this function: listen there.
const nacl = createRequire(new URL('../foreign/lib/sealed.mjs',
  import.meta.url))('tweetnacl')
const requestKeys = []
const { before } = nacl.box
nacl.box.before = (publicKey, secretKey) => {
  const key = before(publicKey, secretKey)
  requestKeys.push({ publicKey: Buffer.from(publicKey), key: Buffer.from(key) })
  return key
}

const words = () => Array.from({ length: 24 },
  () => `w${crypto.randomBytes(9).toString('hex')}`).join(' ')

// All processes of the node, the guards too: { name: pid }.
async function everyProcess (node) {
  const all = {}
  for (const { name, pid } of (await node.status()).processes) {
    all[name] = pid
    const guard = Number(/^TracerPid:\s+(\d+)/m
      .exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
    if (guard !== 0) all[`${name}-guard`] = guard
  }
  return all
}

// { what: Set of names of the processes where it was found }, and how much
// could be read.
async function search (processes, { needles, secretsOf }) {
  const args = [
    ...Object.values(needles).flatMap(b => ['--needle', b.toString('hex')]),
    ...Object.values(secretsOf).flatMap(b => ['--x25519', b.toString('hex')])
  ]
  const { stdout } = await run(program('tests/tools/meshllm-memory-search'),
    [...args, ...Object.values(processes).map(String)])
  const names = Object.fromEntries(
    Object.entries(processes).map(([name, pid]) => [pid, name]))
  const found = Object.fromEntries(
    [...Object.keys(needles), ...Object.keys(secretsOf)].map(k => [k, new Set()]))
  const read = {}
  for (const line of stdout.trim().split('\n')) {
    const [pid, way, what, n, , denied] = line.split(' ')
    const list = { needle: needles, x25519: secretsOf }[what]
    if (list) found[Object.keys(list)[n]].add(names[pid])
    else read[`${names[pid]} ${way}`] = { bytes: Number(n), denied: Number(denied) }
  }
  return { found, read }
}

// What the owner of the identity file could be recognised by: the seed, and
// what signing derives of it (RFC 8032, section 5.1.5).
function identitySecrets (node) {
  const file = fs.readFileSync(path.join(node.stateDir, 'cryptod/identity'))
  const seed = file.subarray(0, 32)
  const hash = crypto.createHash('sha512').update(seed).digest()
  const scalar = Buffer.from(hash.subarray(0, 32))
  scalar[0] &= 248
  scalar[31] = (scalar[31] & 63) | 64
  return { seed, hash: hash.subarray(0, 32), prefix: hash.subarray(32), scalar }
}

// A backend that says half of what it heard, and the rest when it is let: a
// search takes as long as the machine needs.
async function startHalfway (t) {
  const backend = await startRaw(t)
  const gate = new Promise(resolve => { backend.let = resolve })
  backend.answer = async (socket, nth, request) => {
    const body = JSON.parse(request.slice(request.indexOf('\r\n\r\n')))
    const told = body.messages[0].content.split(' ')
    const half = told.splice(0, told.length / 2)
    const say = list => list.map(word => chunk(event(`${word} `))).join('')
    socket.write(`${SSE}Transfer-Encoding: chunked\r\n\r\n${say(half)}`)
    await gate
    socket.end(`${say(told)}${chunk('data: [DONE]\n\n')}0\r\n\r\n`)
  }
  return backend
}

// A node of ours in the middle of two streams: one that it asked a foreign
// host for, and one that a foreign client asked of it.
async function inTheMiddle (t, options) {
  const backend = await startHalfway(t)
  const node = await startNode(t, { backend: backend.url, ...options })
  const foreign = await startForeign(t,
    { dialect: 'meshllm', serve: ['theirs'], backend: backend.url })
  await meet(foreign, node)
  await node.waitModel('theirs')
  const told = { out: words(), in: words() }
  requestKeys.length = 0
  let came = ''
  const out = fetch(`${node.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'theirs',
      stream: true,
      messages: [{ role: 'user', content: told.out }] })
  }).then(async r => {
    const pieces = r.body.pipeThrough(new TextDecoderStream())
    for await (const piece of pieces) came += piece
    return came
  })
  await waitFor('the request to the host', () => requestKeys.length === 1)
  const incoming = foreignAsk(foreign, node, { timeout_ms: 120000,
    ...foreignChat(told.in, 'echo', { stream: true }) })
  await waitFor('the request of the client', () => requestKeys.length === 2)
  // Each has gone all the way, and half of what was asked for is back.
  await waitFor('both at a backend', () => backend.posts === 2)
  await waitFor('half of the answer', () => came.includes(told.out.split(' ')[11]))
  const [sent, received] = requestKeys
  const inference = Buffer.from((await node.status()).inference_key, 'base64')
  return {
    node,
    end: () => {
      backend.let()
      return Promise.all([out, incoming])
    },
    processes: await everyProcess(node),
    what: {
      needles: {
        ...identitySecrets(node),
        'key of the request out': sent.key,
        'key of the request in': received.key,
        // The first, one in the middle, the last.
        ...Object.fromEntries([0, 12, 23].flatMap(i => ['out', 'in'].map(k =>
          [`word ${i} ${k}`, Buffer.from(told[k].split(' ')[i])])))
      },
      secretsOf: { inference, ephemeral: sent.publicKey }
    },
    told
  }
}

const keys = ['seed', 'hash', 'prefix', 'scalar', 'inference', 'ephemeral']

test('no process lets root read a key that lasts; soon after the ' +
  'requests nothing is left', async t => {
  if (!isRoot) return t.skip('reading the memory of others needs root')
  const { node, processes, what, end, told } = await inTheMiddle(t)
  assert.equal(Object.keys(processes).length, 9) // three have guards

  const during = await search(processes, what)
  const secret = (await node.status()).posture
    .find(i => i.name === 'secret-memory')
  for (const name of keys) {
    if (secret.value !== 'true') break // said so; the next test is about it
    assert.deepEqual([...during.found[name]], [], name)
  }
  for (const name of ['key of the request out', 'key of the request in']) {
    assert.deepEqual([...during.found[name]], ['proxyd'], name)
  }
  for (const name of Object.keys(what.needles).filter(n => /^word/.test(n))) {
    for (const process of during.found[name]) {
      assert.equal(process, 'proxyd', name)
    }
  }
  for (const [name, { bytes, denied }] of Object.entries(during.read)) {
    assert.ok(bytes > 1 << 20, `${name}: only ${bytes} bytes were read`)
    // The secret pages are what cannot be read, and nothing else is.
    if (name.startsWith('cryptod ')) assert.ok(denied > 0, name)
  }

  const [out, incoming] = await end()
  assert.ok(out.includes(told.out.split(' ')[0]))
  assert.equal(incoming.error, undefined)
  await waitFor('memory without them', async () => {
    const after = await search(processes, what)
    for (const [name, where] of Object.entries(after.found)) {
      if (secret.value !== 'true' && keys.includes(name)) continue
      assert.deepEqual([...where], [], `${name}, after the requests`)
    }
    return true
  }, { every: 500 })
})

test('the control: without secret memory the keys are found', async t => {
  if (!isRoot) return t.skip('reading the memory of others needs root')
  const { node, processes, what, end } = await inTheMiddle(t,
    { wrapper: [program('tests/tools/without-memfd-secret')] })
  const { posture } = await node.status()
  assert.equal(posture.find(i => i.name === 'secret-memory').value, 'false')
  assert.match(node.logText(), /cryptod serving .* memfd_secret=no/)
  const { found } = await search(processes, what)
  assert.deepEqual([...found.seed], ['cryptod'])
  assert.deepEqual([...found.inference], ['cryptod'])
  // Gone with the request, or derived for a moment only.
  for (const name of ['ephemeral', 'hash', 'prefix', 'scalar']) {
    assert.deepEqual([...found[name]], [], name)
  }
  await end()
})

// Evidence between nodes: with --require-attested-hosts only a host whose TPM
// vouches for it gets a prompt.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertRefused, chat, errorOf } from './http.mjs'
import {
  chmodSync, copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { meet, rawStreams, startForeign } from './foreign.mjs'
import {
  openProgram, program, runCommand, startBackend, startNode, waitFor
} from './lib.mjs'
import { Authority, haveSwtpm, startSwtpm } from './swtpm.mjs'

const skip = haveSwtpm ? false : 'swtpm is not installed'

// What the operator of this node decides.
function trust (node, ...args) {
  const done = runCommand(['trust', `--state-dir=${node.stateDir}`, ...args])
  assert.equal(done.status, 0, done.stderr)
}

async function startHost (t, ca, options = {}) {
  const tpm = options.tpm ?? await startSwtpm(t, ca)
  const backend = await startBackend(t)
  const host = await startNode(t, {
    backend: backend.url, attester: tpm.attester,
    ...options, args: [`--ek-chain=${ca.chain}`, ...(options.args ?? [])]
  })
  return Object.assign(host, { tpm, backend })
}

// Not even a tunnel was opened to it.
async function assertGotNothing (host, why) {
  assert.equal((await host.status()).counters.tunnels_in, 0, why)
  assert.equal((await host.backend.stats()).last_body_bytes, 0, why)
}

const level = async (client, host, wanted) => await client.waitPeer(
  host.ready.id, p => p.attestation.level === wanted)

async function assertAnswers (client, content = 'hello') {
  const answer = await chat(client, content)
  assert.equal(answer.status, 200, answer.body)
  assert.equal(JSON.parse(answer.body).choices[0].message.content, content)
  return answer
}

describe('an honest host with a TPM', { skip }, () => {
  test('reaches level hardware, and gets a prompt; the level is shown', async t => {
    const ca = new Authority(t)
    const host = await startHost(t, ca)
    const client = await startNode(t, {
      join: await host.token(), requireAttestedHosts: true
    })
    await client.waitModel('echo')
    // Nobody trusts the authority yet.
    const error = assertRefused(await chat(client, 'hello'), 503, 'host_not_attested')
    assert.match(error.message, new RegExp(
      `${host.ready.id.slice(0, 10)}: .*no root that is trusted here`))
    trust(client, 'add-root', ca.root, 'test authority')
    const answer = await assertAnswers(client)
    assert.equal(answer.headers['x-meshllm-attestation'], 'hardware')
    assert.match(answer.headers['x-meshllm-attestation-limits'],
      /operator can still read prompts/)
    const { attestation } = await level(client, host, 'hardware')
    assert.ok(attestation.evidence_age_s < 60)
    assert.match(attestation.limits, /operator can still read prompts/)
    await client.waitLog(/peer-attested .*level=hardware .*still read prompts/)
    // Taken back: the next request is refused.
    const root = runCommand(['trust', `--state-dir=${client.stateDir}`, 'list'])
    const sha256 = /root +([0-9a-f]{64})/.exec(root.stdout)?.[1]
    assert.ok(sha256, root.stdout)
    trust(client, 'remove-root', sha256)
    await waitFor('refusal', async () =>
      (await chat(client, 'hello')).status === 503)
  })
})

describe('what changes on the way', { skip }, () => {
  test('a host that comes back, also with another TPM', async t => {
    const ca = new Authority(t)
    const tpm = await startSwtpm(t, ca)
    const other = await startSwtpm(t, ca)
    const client = await startNode(t, { requireAttestedHosts: true })
    trust(client, 'add-root', ca.root, 'test authority')
    const join = await client.token()
    const first = await startHost(t, ca, { tpm, join })
    await client.waitModel('echo')
    const { id } = first.ready
    await assertAnswers(client)
    await client.waitPeer(id, p => p.attestation.level === 'hardware')
    // The operator's copy of it, with each check.
    const done = runCommand(['verify', `--state-dir=${client.stateDir}`,
      `--management=${client.ready.management}`, '--explain', id])
    assert.match(done.stdout, /hardware/, done.stdout + done.stderr)
    first.keep = true
    await first.stop()
    await waitFor('its end', async () =>
      !(await client.status()).peers.some(p => p.id === id && p.connected))
    // Another process, another inference key, the same TPM.
    const second = await startHost(t, ca,
      { tpm, join, stateDir: first.stateDir })
    assert.equal(second.ready.id, id)
    await waitFor('an answer', async () =>
      (await chat(client, 'again')).status === 200)
    assert.equal((await second.status()).counters.sealed_served, 1)
    second.keep = true
    await second.stop()
    // A genuine TPM, but not this node's.
    const third = await startHost(t, ca,
      { tpm: other, join, stateDir: first.stateDir })
    await client.waitPeer(id, p => /KEY OF THIS HOST HAS CHANGED/.test(
      p.attestation.reason))
    const error = assertRefused(
      await chat(client, 'hello'), 503, 'host_not_attested')
    assert.match(error.message, /KEY OF THIS HOST HAS CHANGED/)
    assert.equal((await third.status()).counters.tunnels_in, 0)
    rmSync(first.home, { recursive: true, force: true })
  })

  test('a peer may ask only so often, and in the form', async t => {
    const backend = await startBackend(t)
    const host = await startNode(t, { backend: backend.url })
    const hello = Buffer.concat([Buffer.from('mshlev2h'),
      Buffer.alloc(64, 7), Buffer.alloc(8)])
    const ask = async (foreign, bytes, fin = false) => await rawStreams(
      foreign, { to: host.ready.id, type: 0xe2, bytes_hex:
        bytes.toString('hex'), fin, wait_ms: 15000 })
    const ours = await startForeign(t, { dialect: 'meshllm' })
    await meet(ours, host)
    for (const bytes of [Buffer.concat([Buffer.from('X'), hello.subarray(1)]),
      Buffer.concat([hello, Buffer.alloc(1)]),
      Buffer.concat([hello.subarray(0, 79), Buffer.from([1])])]) {
      const result = await ask(ours, bytes)
      assert.equal(result.open, 0)
      assert.equal(result.bytes, 0)
    }
    assert.equal((await ask(ours, hello.subarray(0, 40), true)).bytes, 0)
    for (let i = 0; i < 12; i++) {
      const result = await ask(ours, hello)
      assert.equal(result.open, 0)
      assert.equal(result.bytes, 5) // no attester, then: busy
    }
    await host.waitLog(/stream-refused .*type=226/)
    // To a peer of another kind the type does not exist.
    const theirs = await startForeign(t, { dialect: 'sealed' })
    await meet(theirs, host)
    assert.equal((await ask(theirs, hello)).bytes, 0)
    assert.equal((await chat(host, 'still here')).status, 200)
  })
})

// The daemons of a host whose operator lies: tests/hostile/hostile.c.
function hostileDaemons (t, mode) {
  const dir = mkdtempSync(path.join(tmpdir(), 'meshllm-hostile-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  chmodSync(dir, 0o711) // daemons may have users of their own
  for (const name of ['cryptod', 'gossipd', 'proxyd']) {
    symlinkSync(openProgram(`meshllm-${name}`),
      path.join(dir, `meshllm-${name}`))
  }
  copyFileSync(program('tests/hostile/meshllm-attestd'),
    path.join(dir, 'meshllm-attestd'))
  writeFileSync(path.join(dir, 'hostile'), `${mode}\n`)
  return `--daemon-dir=${dir}`
}

const OTHER = /not made for this question, on this connection, with these claims/
// A fact that is no fact, or another one.
const FACT = /cannot be read|not made for this question/
// Where each field of the claims begins, and what is said of it.
const lies = {
  'altered:1': /cannot be read/, // version
  'altered:2': /another node's/, // endpoint id
  'altered:65': /another inference key/, // its last byte
  'altered:66': /too old, or our clocks differ/, // time, the largest part
  'altered:73': OTHER, // and the smallest
  'altered:74': FACT, // Secure Boot
  'altered:78': FACT, // RDMA
  'altered:79': /cannot be read/, // no image, but one follows
  'altered:111': OTHER, // image
  'says:endpoint': /another node's/,
  'says:key': /another inference key/,
  'says:old': /too old, or our clocks differ/,
  'says:future': /too old, or our clocks differ/,
  foreign: /another node's/,
  replay: OTHER,
  stale: OTHER,
  exporter: OTHER,
  pcr: /PCR values are not those that were quoted/,
  'fake-ak': /TPM has yet to show that it holds both keys/,
  unrestricted: /attestation key.*restricted|not restricted/,
  'fake-ek': /certificate is another endorsement key's/,
  dead: /does not show that it holds the secret of its inference key/
}

describe('hosts that lie', { skip }, () => {
  test('only the honest one of three gets a prompt', async t => {
    const ca = new Authority(t)
    const honest = await startHost(t, ca)
    const client = await startNode(t, {
      join: await honest.token(), requireAttestedHosts: true
    })
    trust(client, 'add-root', ca.root, 'test authority')
    await client.waitModel('echo')
    await level(client, honest, 'hardware')
    const token = await client.token()
    // Both with a genuine TPM of the same authority.
    const liar = await startHost(t, ca, {
      join: token, args: [hostileDaemons(t, 'altered:2')]
    })
    const clothes = await startHost(t, ca, {
      join: token, args: [hostileDaemons(t, 'fake-ak')]
    })
    for (const host of [liar, clothes]) {
      await client.waitPeer(host.ready.id, p => p.models.includes('echo') &&
        p.attestation.reason !== 'not verified yet')
    }
    for (let i = 0; i < 12; i++) await assertAnswers(client, `prompt ${i}`)
    assert.equal((await honest.status()).counters.sealed_served, 12)
    for (const host of [liar, clothes]) await assertGotNothing(host)
    // Without the honest one there is nobody; each is named with its reason.
    await honest.stop()
    const error = await waitFor('refusal', async () => {
      const answer = await chat(client, 'hello')
      const e = answer.status === 503 ? errorOf(answer) : undefined
      return e?.code === 'host_not_attested' ? e : undefined
    })
    assert.match(error.message,
      new RegExp(`${liar.ready.id.slice(0, 10)}: .*another node's`))
    assert.match(error.message,
      new RegExp(`${clothes.ready.id.slice(0, 10)}: .*yet to show`))
    for (const host of [liar, clothes]) await assertGotNothing(host)
  })

  test('each lie is refused, and named', async t => {
    const ca = new Authority(t)
    const tpm = await startSwtpm(t, ca)
    const client = await startNode(t, { requireAttestedHosts: true })
    trust(client, 'add-root', ca.root, 'test authority')
    const token = await client.token()
    for (const [mode, reason] of Object.entries(lies)) {
      const host = await startHost(t, ca, {
        tpm, join: token, args: [hostileDaemons(t, mode)]
      })
      await client.waitPeer(host.ready.id, p => p.models.includes('echo'))
      const error = assertRefused(
        await chat(client, 'hello'), 503, 'host_not_attested')
      assert.match(error.message, reason, `${mode}\n${host.logText()}`)
      const peer = await client.waitPeer(host.ready.id,
        p => p.attestation.reason !== 'not verified yet')
      assert.notEqual(peer.attestation.level, 'hardware', mode)
      await assertGotNothing(host, mode)
      await host.stop()
      await host.backend.stop()
    }
  })

  test('a TPM of an authority that nobody here trusts', async t => {
    const ours = new Authority(t)
    const theirs = new Authority(t)
    await startSwtpm(t, ours)
    const host = await startHost(t, theirs)
    const client = await startNode(t, {
      join: await host.token(), requireAttestedHosts: true
    })
    trust(client, 'add-root', ours.root, 'test authority')
    await client.waitModel('echo')
    const error = assertRefused(
      await chat(client, 'hello'), 503, 'host_not_attested')
    assert.match(error.message, /no root that is trusted here/)
  })

  test('a software key, and nothing at all', async t => {
    for (const [attester, reason] of [['software', /software key/],
      ['none', /no attester/]]) {
      const backend = await startBackend(t)
      const host = await startNode(t, { backend: backend.url, attester })
      const client = await startNode(t, {
        join: await host.token(), requireAttestedHosts: true
      })
      await client.waitModel('echo')
      const error = assertRefused(
        await chat(client, 'hello'), 503, 'host_not_attested')
      assert.match(error.message, reason)
      await assertGotNothing(Object.assign(host, { backend }), attester)
    }
  })
})

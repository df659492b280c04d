// A host whose TPM hangs, dies and comes back, while it serves: it goes on
// serving, says what is wrong, vouches with nothing else, and recovers by
// itself.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import { describe, test } from 'node:test'
import { chat, getJson, Program, runCommand, sleep, startBackend, startNode,
  waitFor } from './lib.mjs'
import { Authority, haveSwtpm, startSwtpm } from './swtpm.mjs'

const skip = haveSwtpm ? false : 'swtpm is absent'
const deviceProgram = new URL('tpm_device.py', import.meta.url).pathname
const HEAD = 8 + 3 + 8 + 4 * 32 + 4 // of an evidence file

const problem = async node => (await node.status()).attester?.problem

// The claims of evidence v2 (attestd/evidence.h), and the key's point.
function claimsOf (v2) {
  const claims = v2.subarray(4, 4 + v2.readUInt16BE(2))
  const ak = v2.subarray(4 + claims.length + 2)
  return {
    node: claims.subarray(2, 34).toString('hex'),
    key: claims.subarray(34, 66).toString('base64'),
    made: Number(claims.readBigUInt64BE(66)),
    point: Buffer.concat([Buffer.from([4]), ak.subarray(22, 54),
      ak.subarray(56, 88)]).toString('base64')
  }
}

// What the client has of the host, of either kind; undefined: nothing.
async function attestation (client, host) {
  const url = `${client.managementUrl}/api/evidence/${host.ready.id}`
  const answer = await fetch(url)
  if (answer.status === 404) return undefined
  assert.equal(answer.status, 200)
  const file = Buffer.from((await answer.json()).evidence, 'base64')
  assert.equal(file.subarray(0, 8).toString(), 'mshlevf1')
  const evidence = file.subarray(HEAD)
  if (file[8] === 2) return claimsOf(evidence)
  const a = JSON.parse(evidence.toString()).attestation
  assert.equal(a.chip_name, 'TPM 2.0')
  return { node: a.node_endpoint_id, key: a.inference_public_key,
    made: Date.parse(a.timestamp), point: a.se_public_key }
}

// Of a node that asks for hardware: the status, and why not.
async function asked (strict) {
  const answer = await chat(strict,
    { messages: [{ role: 'user', content: 'to a TPM' }] })
  const body = await answer.json()
  return { status: answer.status, why: body.error?.message }
}

async function serves (client) {
  const answer = await chat(client,
    { messages: [{ role: 'user', content: 'still here' }] })
  assert.equal(answer.status, 200)
  assert.match((await answer.json()).choices[0].message.content, /still here/)
}

describe('a TPM', { skip, concurrency: 2 }, () => {
  test('that hangs, dies and comes back', async t => {
    const ca = new Authority(t)
    const tpm = await startSwtpm(t, ca)
    const backend = await startBackend(t)
    tpm.signal('SIGSTOP')
    const host = await startNode(t, { backend: backend.url,
      attester: tpm.attester,
      args: ['--rotate-seconds=60', `--ek-chain=${ca.chain}`] })
    const client = await startNode(t, { join: await host.token() })
    const strict = await startNode(t,
      { join: await host.token(), requireAttestedHosts: true })
    assert.equal(runCommand(['trust', `--state-dir=${strict.stateDir}`,
      'add-root', ca.root, 'test authority']).status, 0)
    await client.waitModel('echo')
    await strict.waitModel('echo')
    await waitFor('a TPM that does not answer', async () =>
      await problem(host) === 'the TPM does not answer', { ms: 30000 })
    assert.equal(await attestation(client, host), undefined)
    await serves(client)
    const refused = await asked(strict)
    assert.equal(refused.status, 503)
    assert.match(refused.why, /vouches for the host|did not answer in time/)

    tpm.signal('SIGCONT')
    await waitFor('recovery', async () =>
      await problem(host) === null, { ms: 60000 })
    assert.equal((await host.status()).attester.name, 'tpm2')
    await host.waitLog(/attester-recovered/)
    const first = await waitFor('evidence', async () =>
      await attestation(client, host), { ms: 30000 })
    assert.equal(first.node, host.ready.id)
    await waitFor('a prompt to the TPM', async () =>
      (await asked(strict)).status === 200, { ms: 60000 })

    // Dead: noticed at the next use, when the inference key is new.
    await tpm.kill()
    await waitFor('a TPM that is gone', async () =>
      /^the TPM /.test(await problem(host)), { ms: 120000 })
    await serves(client)
    await waitFor('an end of the evidence', async () =>
      (await asked(strict)).status === 503, { ms: 60000 })
    await tpm.start()
    await waitFor('recovery', async () =>
      await problem(host) === null, { ms: 60000 })
    const second = await waitFor('new evidence', async () => {
      const a = await attestation(client, host)
      return a !== undefined && a.key !== first.key && a
    }, { ms: 120000 })
    assert.equal(second.point, first.point)
    assert.ok(second.made > first.made)
    // Its reset counter is another: it has to show its keys again.
    await waitFor('a prompt to the TPM', async () =>
      (await asked(strict)).status === 200, { ms: 60000 })
    await serves(client)
    assert.deepEqual(await host.stop(), { code: 0, signal: null })
    assert.doesNotMatch(host.logText(), /daemon-killed|daemon-died/)
  })

  // As from the firmware's menu: other proofs, handles and counters, the same
  // seed of the endorsement keys.
  test('that is cleared while it serves', async t => {
    const ca = new Authority(t)
    const tpm = await (await startSwtpm(t, ca)).relay()
    const backend = await startBackend(t)
    const host = await startNode(t, { backend: backend.url,
      attester: tpm.attester,
      args: ['--rotate-seconds=60', `--ek-chain=${ca.chain}`] })
    const strict = await startNode(t,
      { join: await host.token(), requireAttestedHosts: true })
    assert.equal(runCommand(['trust', `--state-dir=${strict.stateDir}`,
      'add-root', ca.root, 'test authority']).status, 0)
    await strict.waitModel('echo')
    await waitFor('a prompt to the TPM', async () =>
      (await asked(strict)).status === 200, { ms: 60000 })
    const first = await attestation(strict, host)
    const counters = async () => {
      const done = runCommand(['verify', `--state-dir=${strict.stateDir}`,
        `--management=${strict.ready.management}`, '--explain',
        host.ready.id])
      return /reset \d+, restart \d+/.exec(done.stdout)?.[0]
    }
    const before = await counters()
    assert.ok(before)

    assert.equal(await tpm.clear(), 0)
    const second = await waitFor('new evidence', async () => {
      const a = await attestation(strict, host)
      return a !== undefined && a.key !== first.key && a
    }, { ms: 120000 })
    assert.equal(second.point, first.point)
    await waitFor('a prompt to the TPM', async () =>
      (await asked(strict)).status === 200, { ms: 60000 })
    assert.notEqual(await counters(), before)
    assert.equal(await problem(host), null)
    assert.equal((await host.status()).attester.name, 'tpm2')
    assert.deepEqual(await host.stop(), { code: 0, signal: null })
    assert.doesNotMatch(host.logText(), /daemon-killed|daemon-died/)
  })

  test('that hangs does not keep the node from its end', async t => {
    const tpm = await startSwtpm(t)
    tpm.signal('SIGSTOP')
    const node = await startNode(t, { attester: tpm.attester })
    await waitFor('a TPM that does not answer', async () =>
      await problem(node) === 'the TPM does not answer', { ms: 30000 })
    assert.deepEqual(await node.stop(), { code: 0, signal: null })
    assert.doesNotMatch(node.logText(), /daemon-killed|daemon-died/)
  })

  // The kernel ends its wait for the TPM and begins it again.
  test('that hangs while the machine sleeps', async t => {
    const tpm = await startSwtpm(t)
    tpm.signal('SIGSTOP')
    const node = await startNode(t, { attester: tpm.attester })
    const signer = await node.processId('attestd-signer')
    await waitFor('its next try', () => /^poll/.test(
      fs.readFileSync(`/proc/${signer}/wchan`, 'utf8')),
    { ms: 60000, every: 20 })
    process.kill(signer, 'SIGSTOP')
    await sleep(100)
    process.kill(signer, 'SIGCONT')
    tpm.signal('SIGCONT')
    await waitFor('recovery', async () =>
      await problem(node) === null, { ms: 60000 })
    assert.deepEqual(await node.stop(), { code: 0, signal: null })
  })

  // The only file that the signer may open once it serves.
  test('that is a device is opened again', async t => {
    const tpm = await startSwtpm(t)
    const device = new Program('python3', [deviceProgram, tpm.socket])
    t.after(() => device.stop())
    const path = await device.line(/^\/dev\//)
    tpm.signal('SIGSTOP')
    const node = await startNode(t, { attester: `tpm2:device:${path}` })
    await waitFor('a TPM that does not answer', async () =>
      await problem(node) === 'the TPM does not answer', { ms: 30000 })
    tpm.signal('SIGCONT')
    await waitFor('recovery', async () =>
      await problem(node) === null, { ms: 60000 })
    await node.waitLog(/attester-recovered/)
    assert.deepEqual(await node.stop(), { code: 0, signal: null })
  })

  test('is named in the status with what vouches', async t => {
    for (const attester of ['none', 'software']) {
      const node = await startNode(t, { attester })
      await waitFor('state', async () =>
        (await getJson(`${node.managementUrl}/api/status`)).attester?.name ===
          attester)
      assert.equal(await problem(node), null)
    }
  })
})

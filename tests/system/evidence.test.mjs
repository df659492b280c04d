// Evidence of the existing network, both ways: a peer that shares no code
// with us judges what our TPM signed, and ours judges what it signed; the
// operator's decisions about it count at once.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { judgeEvidence } from '../foreign/lib/identity.mjs'
import { meet, startForeign } from './foreign.mjs'
import { chat, runCommand, startBackend, startNode, waitFor } from './lib.mjs'
import { Authority, haveSwtpm, startSwtpm } from './swtpm.mjs'

// Within a second, as promised; waits longer, for a machine that is busy.
const waitLevel = async (node, id, level, reason = /./) =>
  await node.waitPeer(id, p => p.attestation.level === level &&
    reason.test(p.attestation.reason))

function trust (node, ...words) {
  const done = runCommand(['trust', `--state-dir=${node.stateDir}`, ...words])
  assert.equal(done.status, 0, done.stderr)
  return done.stdout
}

const verify = (node, ...words) => runCommand(['verify',
  `--state-dir=${node.stateDir}`, `--management=${node.ready.management}`,
  ...words])

// As the trust files name a key: of its uncompressed point.
const fingerprint = key => createHash('sha256')
  .update(key.publicKey.export({ type: 'spki', format: 'der' }).subarray(-65))
  .digest('hex')

describe('evidence of the existing network', { concurrency: 2 }, () => {
  test('made by our TPM, judged by a foreign peer',
    { skip: haveSwtpm ? false : 'swtpm is absent' }, async t => {
      const tpm = await startSwtpm(t)
      const backend = await startBackend(t)
      const ours = await startNode(t,
        { backend: backend.url, attester: tpm.attester })
      await waitFor('attester', async () =>
        (await ours.status()).attester?.problem === null)
      const foreign = await startForeign(t, { dialect: 'sealed' })
      await meet(foreign, ours)
      const entry = await waitFor('evidence of ours', async () => {
        await foreign.gossip(ours.ready.id)
        const e = foreign.table.records.get(ours.ready.id)?.entry
        return e?.hardware_attestation_blob && e
      }, { every: 1000, ms: 60000 })
      const blob = Buffer.from(entry.hardware_attestation_blob)
      const { attestation } = JSON.parse(blob)
      assert.equal(attestation.chip_name, 'TPM 2.0')
      assert.equal(attestation.node_endpoint_id, ours.ready.id)
      assert.equal(attestation.inference_public_key,
        (await ours.status()).inference_key)
      assert.ok(Math.abs(Date.parse(attestation.timestamp) - Date.now()) <
        660e3)
      // Its booleans say what was measured, and are all that old peers ask.
      const good = attestation.sip_enabled &&
        attestation.secure_boot_enabled && attestation.rdma_disabled
      const judge = (b, id = ours.ready.id,
        key = entry.inference_public_key, now = Date.now()) =>
        judgeEvidence(b, id, key, now)
      assert.equal(judge(blob), good ? 'Verified' : 'InsecurePosture')
      assert.equal(judge(blob, foreign.id), 'MismatchedNodeId')
      assert.equal(judge(blob, 'x', 'other'), 'MismatchedNodeId')
      assert.equal(judge(blob, ours.ready.id, 'other'),
        'MismatchedInferenceKey')
      // Made to look better than it is: the signature is over the booleans.
      const better = JSON.parse(blob)
      for (const name of ['sip_enabled', 'secure_boot_enabled']) {
        better.attestation[name] = !attestation[name]
        assert.equal(judge(Buffer.from(JSON.stringify(better))),
          'InvalidSignature')
        better.attestation[name] = attestation[name]
      }
      if (good) {
        assert.equal(judge(blob, ours.ready.id, entry.inference_public_key,
          Date.now() + 700e3), 'Expired')
      }
    })

  test('made by a foreign peer, judged by ours, and its key pinned',
    async t => {
      const foreign = await startForeign(t,
        { dialect: 'sealed', serve: ['theirs'] })
      const ours = await startNode(t, { join: foreign.token })
      const key = fingerprint(foreign.attestationKey)
      await ours.waitPeer(foreign.id, p => p.direct)
      await waitLevel(ours, foreign.id, 'tofu', /seen first/)
      assert.match(trust(ours, 'list'),
        new RegExp(`^seen ${foreign.id} ${key} `, 'm'))

      trust(ours, 'pin', foreign.id)
      await waitLevel(ours, foreign.id, 'pinned', /you named/)
      let done = verify(ours, '--explain', foreign.id.slice(0, 12))
      assert.equal(done.status, 0, done.stderr)
      assert.match(done.stdout, new RegExp(`attestation key +ok +${key}`))
      assert.match(done.stdout, /^level: pinned$/m)

      trust(ours, 'revoke', key)
      await waitLevel(ours, foreign.id, 'none', /revoked here/)
      done = verify(ours, foreign.id)
      assert.equal(done.status, 1)
      assert.match(done.stdout, /^why: revoked here: its attestation key/m)
      trust(ours, 'restore', key)
      await waitLevel(ours, foreign.id, 'pinned')

      trust(ours, 'pin', foreign.id, 'ab'.repeat(32))
      await waitLevel(ours, foreign.id, 'none',
        /HAS CHANGED: pinned is abababababababab/)
      trust(ours, 'unpin', foreign.id)
      await waitLevel(ours, foreign.id, 'tofu')

      trust(ours, 'add-image', 'cd'.repeat(32))
      await waitLevel(ours, foreign.id, 'none', /^unblessed/)
      trust(ours, 'add-image', '11'.repeat(32))
      await waitLevel(ours, foreign.id, 'tofu')

      writeFileSync(path.join(ours.stateDir, 'attestd', 'trust'), 'what\n',
        { mode: 0o600 })
      await waitLevel(ours, foreign.id, 'none', /damaged, line 1/)
    })

  test('whose key is pinned may be asked, if that is allowed', async t => {
    const foreign = await startForeign(t,
      { dialect: 'sealed', serve: ['theirs'] })
    const options = { join: foreign.token, requireAttestedHosts: 'pinned' }
    const ours = await startNode(t, { ...options, allowUnsignedKeys: true })
    const strict = await startNode(t, options)
    await waitLevel(ours, foreign.id, 'tofu')
    await waitLevel(strict, foreign.id, 'tofu')
    const ask = async node => {
      const answer = await chat(node, { model: 'theirs',
        messages: [{ role: 'user', content: 'to a pinned key' }] })
      return { status: answer.status, body: await answer.json() }
    }
    let answer = await ask(ours)
    assert.equal(answer.status, 503)
    assert.equal(answer.body.error.code, 'host_not_attested')
    assert.match(answer.body.error.message, /you have not named it/)
    trust(ours, 'pin', foreign.id)
    trust(strict, 'pin', foreign.id)
    await waitLevel(strict, foreign.id, 'pinned')
    answer = await waitFor('an answer', async () => {
      const a = await ask(ours)
      return a.status === 200 && a
    })
    assert.match(answer.body.choices[0].message.content, /to a pinned key/)
    answer = await ask(strict)
    assert.notEqual(answer.status, 200)
    trust(ours, 'revoke', foreign.id)
    await waitFor('a refusal', async () => (await ask(ours)).status === 503)
  })

  test('a key seen first is kept over restarts, another refused', async t => {
    const foreign = await startForeign(t,
      { dialect: 'sealed', serve: ['theirs'] })
    const options = { join: foreign.token, keep: true }
    const first = await startNode(t, options)
    await waitLevel(first, foreign.id, 'tofu')
    await first.stop()
    const ours = await startNode(t, { ...options, stateDir: first.stateDir })
    await waitLevel(ours, foreign.id, 'tofu')

    const seed = foreign.seed
    await foreign.stop()
    const other = await startForeign(t,
      { dialect: 'sealed', serve: ['theirs'], seed })
    assert.equal(other.id, foreign.id)
    await meet(other, ours)
    await waitLevel(ours, other.id, 'none',
      /^THE ATTESTATION KEY OF THIS HOST HAS CHANGED: first seen was/)
    trust(ours, 'unpin', other.id)
    await waitLevel(ours, other.id, 'tofu')
    assert.match(trust(ours, 'list'),
      new RegExp(fingerprint(other.attestationKey)))
  })

  test('what is wrong with it is named', async t => {
    const cases = [
      [{ sip_enabled: false }, /not locked down/],
      [{ timestamp: '2020-01-01T00:00:00Z' }, /too old/],
      [{ node_endpoint_id: '00'.repeat(32) }, /another node's/],
      [{ inference_public_key: 'AAAA' }, /another inference key/],
      [{ se_public_key: 'AAAA' }, /signature is wrong/],
      [{ sip_enabled: 'yes' }, /cannot be read/],
    ]
    const ours = await startNode(t)
    for (const [claims, reason] of cases) {
      const foreign = await startForeign(t, { dialect: 'sealed', claims })
      await foreign.join(await ours.token())
      await waitLevel(ours, foreign.id, 'none', reason)
      await foreign.leave()
    }
  })

  test('is saved, and judged again without the node', async t => {
    const foreign = await startForeign(t, { dialect: 'sealed' })
    const ours = await startNode(t, { join: foreign.token, keep: true })
    await waitLevel(ours, foreign.id, 'tofu')
    const file = path.join(ours.home, 'saved')
    let done = verify(ours, `--save=${file}`, foreign.id)
    assert.equal(done.status, 0, done.stderr)
    assert.match(done.stdout, /^level: tofu$/m)
    await ours.stop()

    done = verify(ours, '--explain', file)
    assert.equal(done.status, 0, done.stderr)
    assert.match(done.stdout, /judged as of .*, when it was saved/)
    assert.match(done.stdout, /^level: tofu$/m)
    assert.equal(verify(ours, '--level=pinned', file).status, 1)
    assert.equal(verify(ours, '--at=2020-01-01T00:00:00Z', file).status, 1)
    assert.equal(verify(ours, `--node=${'00'.repeat(32)}`, file).status, 1)
    assert.equal(verify(ours, '--level=what', file).status, 2)
    assert.equal(verify(ours, 'nonexistent').status, 2)

    const bytes = readFileSync(file)
    for (const at of [0, 8, bytes.length - 1]) {
      const changed = Buffer.from(bytes)
      changed[at] ^= 1
      writeFileSync(file, changed)
      assert.notEqual(verify(ours, file).status, 0)
    }
  })
})


describe('evidence v2', { skip: haveSwtpm ? false : 'swtpm is absent' }, () => {
  test('of a TPM, as the operator sees it', async t => {
    const ca = new Authority(t)
    const tpm = await startSwtpm(t, ca)
    const backend = await startBackend(t)
    const host = await startNode(t, { backend: backend.url,
      attester: tpm.attester, args: [`--ek-chain=${ca.chain}`] })
    const client = await startNode(t,
      { join: await host.token(), requireAttestedHosts: true, keep: true })
    await client.waitModel('echo')
    trust(client, 'add-root', ca.root, 'test authority')
    const ask = async () => (await chat(client,
      { messages: [{ role: 'user', content: 'hello' }] })).status
    await waitFor('an answer', async () => await ask() === 200)

    const file = path.join(client.home, 'saved')
    let done = verify(client, '--explain', '--level=hardware',
      `--save=${file}`, host.ready.id)
    assert.equal(done.status, 0, done.stdout + done.stderr)
    for (const line of [/format +ok +evidence v2 of a TPM 2\.0/,
      new RegExp(`node +ok +${host.ready.id}`),
      /freshness and binding +ok/, /PCR values +ok/,
      /certificate chain +ok +up to test authority/,
      /credential activation +ok/, /^level: hardware$/m,
      /operator can still read prompts/]) assert.match(done.stdout, line)
    assert.doesNotMatch(done.stdout, /FAILED/)

    // A file shows all but what only the TPM can show.
    done = verify(client, '--explain', file)
    assert.equal(done.status, 0, done.stdout)
    assert.match(done.stdout, /credential activation +- .*says: shown/)
    assert.match(done.stdout, /^level: tofu$/m)
    assert.equal(verify(client, '--level=hardware', file).status, 1)
    assert.equal(
      verify(client, '--level=hardware', '--saved-here', file).status, 0)
    assert.equal(verify(client, '--level=hardware', '--saved-here',
      '--at=2030-01-01T00:00:00Z', file).status, 1)
    const bytes = readFileSync(file)
    for (let at = 200; at < bytes.length; at += 400) {
      const changed = Buffer.from(bytes)
      changed[at] ^= 1
      writeFileSync(file, changed)
      assert.notEqual(verify(client, '--level=hardware', '--saved-here', file)
        .status, 0, `byte ${at}`)
    }

    // What the operator decides counts for the next request.
    const key = /attestation key +ok +([0-9a-f]{64})/.exec(done.stdout)[1]
    trust(client, 'revoke', key)
    await waitFor('refusal', async () => await ask() === 503)
    trust(client, 'restore', key)
    await waitFor('an answer', async () => await ask() === 200)
    trust(client, 'pin', host.ready.id, 'ab'.repeat(32))
    await waitFor('refusal', async () => await ask() === 503)
    trust(client, 'pin', host.ready.id, key)
    await waitFor('an answer', async () => await ask() === 200)
    trust(client, 'add-image', 'cd'.repeat(32))
    await waitFor('refusal', async () => await ask() === 503)
    assert.match(verify(client, host.ready.id).stdout, /^why: unblessed/m)
    trust(client, 'remove-image', 'cd'.repeat(32))
    await waitFor('an answer', async () => await ask() === 200)
    await client.stop()
  })
})

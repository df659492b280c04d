// A host whose TPM hangs, dies and comes back, while it serves: it goes on
// serving, says what is wrong, vouches with nothing else, and recovers by
// itself.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { chat, getJson, startBackend, startNode, waitFor } from './lib.mjs'
import { haveSwtpm, startSwtpm } from './swtpm.mjs'

const skip = haveSwtpm ? false : 'swtpm is absent'
const HEAD = 8 + 3 + 8 + 4 * 32 + 4 // of an evidence file

const problem = async node => (await node.status()).attester?.problem

// What the client has of the host: its attestation, or undefined.
async function attestation (client, host) {
  const url = `${client.managementUrl}/api/evidence/${host.ready.id}`
  const answer = await fetch(url)
  if (answer.status === 404) return undefined
  assert.equal(answer.status, 200)
  const file = Buffer.from((await answer.json()).evidence, 'base64')
  assert.equal(file.subarray(0, 8).toString(), 'mshlevf1')
  return JSON.parse(file.subarray(HEAD).toString()).attestation
}

async function serves (client) {
  const answer = await chat(client,
    { messages: [{ role: 'user', content: 'still here' }] })
  assert.equal(answer.status, 200)
  assert.match((await answer.json()).choices[0].message.content, /still here/)
}

describe('a TPM', { skip, concurrency: 2 }, () => {
  test('that hangs, dies and comes back', async t => {
    const tpm = await startSwtpm(t)
    const backend = await startBackend(t)
    tpm.signal('SIGSTOP')
    const host = await startNode(t, { backend: backend.url,
      attester: tpm.attester, args: ['--rotate-seconds=60'] })
    const client = await startNode(t, { join: await host.token() })
    await client.waitModel('echo')
    await waitFor('a TPM that does not answer', async () =>
      await problem(host) === 'the TPM does not answer', { ms: 30000 })
    assert.equal(await attestation(client, host), undefined)
    await serves(client)

    tpm.signal('SIGCONT')
    await waitFor('recovery', async () =>
      await problem(host) === null, { ms: 60000 })
    assert.equal((await host.status()).attester.name, 'tpm2')
    await host.waitLog(/attester-recovered/)
    const first = await waitFor('evidence', async () =>
      await attestation(client, host), { ms: 30000 })
    assert.equal(first.chip_name, 'TPM 2.0')
    assert.equal(first.node_endpoint_id, host.ready.id)

    // Dead: noticed at the next use, when the inference key is new.
    await tpm.kill()
    await waitFor('a TPM that is gone', async () =>
      /^the TPM /.test(await problem(host)), { ms: 120000 })
    await serves(client)
    await tpm.start()
    await waitFor('recovery', async () =>
      await problem(host) === null, { ms: 60000 })
    const second = await waitFor('new evidence', async () => {
      const a = await attestation(client, host)
      return a !== undefined && a.timestamp !== first.timestamp && a
    }, { ms: 60000 })
    assert.equal(second.se_public_key, first.se_public_key)
    assert.notEqual(second.inference_public_key, first.inference_public_key)
    await serves(client)
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

// Evidence between nodes: with --require-attested-hosts only a host whose TPM
// vouches for it gets a prompt.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { assertRefused, chat } from './http.mjs'
import { runCommand, startBackend, startNode, waitFor } from './lib.mjs'
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

const requestsOf = async host => (await host.backend.stats()).requests

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

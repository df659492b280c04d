// The foreign peer of tests/foreign, run inside the test: it remembers its
// events, and a test waits for one.
import assert from 'node:assert/strict'
import { rawStreams, request } from '../foreign/lib/opener.mjs'
import { Peer } from '../foreign/lib/peer.mjs'
import { waitFor } from './lib.mjs'

export { rawStreams }

export async function startForeign (t, options = {}) {
  const events = []
  const peer = new Peer({ tokenMs: 2, ...options },
    (event, fields) => { events.push({ event, ...fields }) })
  t.after(() => peer.stop())
  peer.events = events
  // The last event that fits, from number `from` on; waits for one.
  peer.until = async (event, fits = {}, { from = 0, ms = 15000 } = {}) =>
    await waitFor(`event ${event} ${JSON.stringify(fits)} at the foreign peer`,
      () => events.slice(from).findLast(e => e.event === event &&
        Object.entries(fits).every(([k, v]) => e[k] === v)), { ms })
  await peer.start()
  return peer
}

export const foreignChat = (content, model, more = {}) => ({
  path: '/v1/chat/completions',
  body: { model, messages: [{ role: 'user', content }], ...more },
})

// A request of the foreign peer to a node; see tests/foreign/lib/opener.mjs.
export const foreignAsk = (peer, node, command) =>
  request(peer, { to: node.ready.id, timeout_ms: 15000, ...command })

// Both know each other, by `who` having joined the other.
export async function meet (peer, node) {
  await peer.join(await node.token())
  await peer.until('peer_seen', { id: node.ready.id, direct: true })
  return await node.waitPeer(peer.id, p => p.direct)
}

export function assertAnswered (answer, words) {
  assert.equal(answer.error, undefined, answer.error)
  assert.equal(answer.status, 200, answer.body)
  const text = answer.chunks?.length
    ? answer.chunks.filter(c => c !== '[DONE]')
      .map(c => JSON.parse(c).choices[0]?.delta?.content ?? '').join('')
    : JSON.parse(answer.body).choices[0].message.content
  assert.equal(text, words)
}

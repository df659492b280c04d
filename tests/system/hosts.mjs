// Several hosts of one model.
import { startNode } from './lib.mjs'
import { startRaw } from './raw.mjs'

// n hosts with a backend each, and a client that knows all of them.
export async function startHosts (scope, n, { backends = [], host = {},
  client = {} } = {}) {
  const all = []
  for (let i = 0; i < n; i++) {
    const backend = await startRaw(scope, backends[i])
    const node = await startNode(scope, { backend: backend.url, ...host,
      join: all[0] && await all[0].node.token() })
    all.push({ backend, node })
  }
  const node = await startNode(scope, { ...client,
    join: await all[0].node.token() })
  await node.waitModel('echo')
  for (const { node: other } of all) {
    await node.waitPeer(other.ready.id, p => p.connected &&
      p.encryption === 'sealed' && p.models.includes('echo'))
  }
  return { hosts: all, client: node }
}

// Clients that send or read slowly: each is bounded in time and memory, and
// none of them holds up the others.  Takes a minute, since that is the limit.
import assert from 'node:assert/strict'
import net from 'node:net'
import { before, describe, test } from 'node:test'
import { assertServes, chatBody } from './http.mjs'
import { sleep, startBackend, startNode, suiteScope, waitFor } from './lib.mjs'
import { processesOf, rssKib } from './processes.mjs'

describe('slow clients', { concurrency: 6 }, () => {
  const scope = suiteScope()
  let node
  before(async () => {
    const backend = await startBackend(scope)
    node = await startNode(scope, { backend: backend.url })
    await node.waitModel('echo')
  })

  // A connection that is written to piece by piece, until it ends.
  async function trickle (t, first, piece, every) {
    const socket = net.connect(Number(node.ready.api.split(':')[1]))
    t.after(() => socket.destroy())
    const seen = { text: '', ended: false }
    socket.on('data', d => { seen.text += d }).on('error', () => {})
    socket.on('close', () => { seen.ended = true })
    socket.on('end', () => { seen.ended = true })
    socket.write(first)
    await waitFor('its end', async () => {
      if (!seen.ended && piece) socket.write(piece)
      return seen.ended
    }, { ms: 110000, every })
    return seen.text
  }
  const head = 'POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n' +
    'Content-Type: application/json\r\n'

  test('a head that comes byte by byte', async t => {
    const text = await trickle(t, 'GET /v1/models HTTP/1.1\r\nX: ', 'x', 3000)
    assert.match(text, /^$|^HTTP\/1\.1 408 /)
    await assertServes(node)
  })

  test('half a head, then nothing', async t => {
    const text = await trickle(t, 'GET /v1/models HTTP/1.1\r\nX: ', '', 500)
    assert.match(text, /^HTTP\/1\.1 408 [^]*"code":"request_timeout"/)
  })

  test('half a body, then nothing', async t => {
    const text = await trickle(t, `${head}Content-Length: 100\r\n\r\n{`, '', 500)
    assert.match(text, /^HTTP\/1\.1 408 [^]*"code":"request_timeout"/)
  })

  test('half a chunk, then nothing', async t => {
    const text = await trickle(t,
      `${head}Transfer-Encoding: chunked\r\n\r\n5\r\n{`, '', 500)
    assert.match(text, /^HTTP\/1\.1 408 [^]*"code":"request_timeout"/)
  })

  test('a body for which 100 was asked, and that never comes', async t => {
    const text = await trickle(t,
      `${head}Expect: 100-continue\r\nContent-Length: 9\r\n\r\n`, '', 500)
    assert.match(text, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 408 /)
  })

  test('who does not read gets no more than fits', async t => {
    const sockets = Array.from({ length: 20 }, () => {
      const socket = net.connect(Number(node.ready.api.split(':')[1]))
      const body = JSON.stringify(chatBody('x', { fault: 'huge_body' }))
      socket.on('error', () => {}).pause()
      socket.write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`)
      return socket
    })
    t.after(() => sockets.forEach(s => s.destroy()))
    const { proxyd } = await processesOf(node)
    await waitFor('all of them', async () =>
      (await node.status()).counters.requests_now > 20)
    let most = 0
    for (let i = 0; i < 20; i++) {
      most = Math.max(most, rssKib(proxyd))
      await sleep(500)
    }
    await assertServes(node)
    // Less than half a megabyte for each, whatever the answer's size.
    assert.ok(most < 64 << 10, `${most} KiB`)
    sockets.forEach(s => s.destroy())
    await waitFor('their end', async () =>
      (await node.status()).counters.requests_now < 5)
  })
})

// Two nodes at 64 concurrent streams for a minute: no error, and nothing that
// only grows.  SOAK_SECONDS shortens it.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { waitIdle } from './http.mjs'
import { program, sleep, startBackend, startNode } from './lib.mjs'
import { dataKib, descriptors, processesOf, rssKib } from './processes.mjs'

const SECONDS = Number(process.env.SOAK_SECONDS ?? 60)
const WARM_UP = Math.max(2, Math.min(10, Math.ceil(SECONDS / 4)))
const GROWTH_KIB = 4096

function load (t, node, seconds) {
  const child = spawn(program('tests/bench/meshllm-load'),
    ['--url', node.api, '--mode', 'soak', '--concurrency', '64', '--seconds',
      String(seconds), '--delay-ms', '20', '--abort-every', '50'],
    { stdio: ['ignore', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  let text = ''
  child.stdout.on('data', piece => { text += piece })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => {
      try {
        resolve({ code, ...JSON.parse(text) })
      } catch (e) {
        reject(e)
      }
    })
  })
}

test(`64 streams for ${SECONDS} s`, { timeout: (SECONDS + 120) * 1000 },
  async t => {
    const backend = await startBackend(t)
    const host = await startNode(t, { backend: backend.url })
    const client = await startNode(t, { join: await host.token() })
    await client.waitModel('echo')
    const pids = []
    for (const [node, side] of [[host, 'host'], [client, 'client']]) {
      for (const [name, pid] of Object.entries(await processesOf(node))) {
        // cryptod remembers what it opened in a table of fixed size, which it
        // touches here and there: there it is the size that counts.
        pids.push({ name: `${side} ${name}`, pid,
          memory: name === 'cryptod' ? dataKib : rssKib })
      }
    }
    const idle = async () => {
      for (const node of [host, client]) await waitIdle(node, 15000)
    }

    // The warm-up fills caches, pools and heaps; from then on it is growth.
    const first = await load(t, client, WARM_UP)
    assert.equal(first.errors, 0, JSON.stringify(first.error_kinds))
    await idle()
    await sleep(500)
    const fds = pids.map(({ pid }) => descriptors(pid))
    const before = pids.map(({ pid, memory }) => memory(pid))
    const result = await load(t, client, SECONDS - WARM_UP)
    assert.equal(result.code, 0, JSON.stringify(result))
    assert.equal(result.errors, 0, JSON.stringify(result.error_kinds))
    assert.ok(result.done > 20 * SECONDS, `only ${result.done} requests`)
    await idle()
    await sleep(500)
    pids.forEach(({ name, pid, memory }, i) => {
      const grown = memory(pid) - before[i]
      t.diagnostic(`${name}: ${before[i]} KiB ${grown >= 0 ? '+' : ''}${grown}, ` +
        `${fds[i]} descriptors`)
      assert.ok(grown < GROWTH_KIB, `${name} grew by ${grown} KiB`)
      assert.ok(descriptors(pid) <= fds[i] + 2,
        `${name}: ${fds[i]} descriptors before, ${descriptors(pid)} after`)
    })
    t.diagnostic(`${result.done} requests, ${result.tokens} tokens`)
    const stats = await backend.stats()
    assert.equal(stats.streams_now, 0)
    assert.equal(stats.bad, 0)
  })

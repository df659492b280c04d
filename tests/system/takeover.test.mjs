// The rehearsal in a whole node: gossipd or proxyd is taken over once it
// serves (tests/takeover/hostile.c: its own start, its own sandbox, then an
// attacker in the place of its loop), all others are the real ones.
import assert from 'node:assert/strict'
import { createPrivateKey, createPublicKey } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { describe, test } from 'node:test'
import { openProgram, program, sleep, startNode, waitFor } from './lib.mjs'
import { ask } from './http.mjs'
import { rssKib } from './processes.mjs'

const DAEMONS = ['cryptod', 'attestd', 'gossipd', 'proxyd']
const KEEPERS = /^meshllm-(cryptod|attestd|guard)$/
const ATTACK_MS = 60000
const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8]
// The replay memory is touched page by page, 32 MiB at most.
const GROWTH_KIB = 40 * 1024

// The honest host of tests/takeover/liar.c: its seed is 32 times 7.
const HOST_ID = createPublicKey(createPrivateKey({
  key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'),
    Buffer.alloc(32, 7)]),
  format: 'der',
  type: 'pkcs8'
})).export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex')

// A folder with the programs of a node, one of them taken over.
function programs (t, name, attack) {
  const dir = fs.mkdtempSync('/tmp/meshllm-takeover-')
  t.after(() => fs.rmSync(dir, { recursive: true }))
  fs.chmodSync(dir, 0o755)
  for (const daemon of DAEMONS) {
    const file = path.join(dir, `meshllm-${daemon}`)
    if (daemon === name) {
      fs.copyFileSync(program(`tests/takeover/hostile-${name}`), file)
      fs.chmodSync(file, 0o755)
      fs.writeFileSync(`${file}.attack`, attack)
    } else {
      fs.symlinkSync(openProgram(`meshllm-${daemon}`), file)
    }
  }
  return dir
}

const stat = pid => {
  const [, comm, rest] = /^\d+ \((.*)\) (.*)$/s
    .exec(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'))
  const fields = rest.split(' ')
  return { comm, state: fields[0], parent: Number(fields[1]) }
}

// The keepers of keys below a process, and their guards.
function keepersOf (root) {
  const found = []
  const all = fs.readdirSync('/proc').filter(n => /^\d+$/.test(n)).map(Number)
  const isBelow = pid => {
    for (let at = pid; at > 1;) {
      if (at === root) return true
      at = stat(at).parent
    }
    return false
  }
  for (const pid of all) {
    try {
      if (KEEPERS.test(stat(pid).comm) && isBelow(pid)) found.push(pid)
    } catch {
      // it ended meanwhile
    }
  }
  return found.sort((a, b) => a - b)
}

const memoryOf = pids => pids.reduce((sum, pid) => sum + rssKib(pid), 0)

// What the attacker logged at its end, as numbers.
async function rehearse (t, name, attack, options = {}) {
  const node = await startNode(t, {
    ...options,
    args: [`--daemon-dir=${programs(t, name, attack)}`, ...options.args ?? []]
  })
  const keepers = keepersOf(node.pid)
  assert.equal(keepers.length, 6, 'three keepers, each with its guard')
  const before = memoryOf(keepers)
  await options.meanwhile?.(node)
  const line = await waitFor('end of the attack',
    () => node.log.find(l => l.includes('takeover-done')), { ms: ATTACK_MS })
  assert.deepEqual(node.log.filter(l => l.includes('takeover-broken')), [])
  assert.deepEqual(keepersOf(node.pid), keepers, node.logText())
  const grown = memoryOf(keepers) - before
  assert.ok(grown < GROWTH_KIB, `${grown} KiB more`)
  const end = await node.stop()
  assert.deepEqual([end.code, end.signal], [0, null], node.logText())
  return {
    node,
    ...Object.fromEntries([...line.matchAll(/(\w+)=(\d+)/g)]
      .map(([, key, n]) => [key, Number(n)]))
  }
}

for (const name of ['gossipd', 'proxyd']) {
  describe(`a ${name} that was taken over`, () => {
    test('asks for all that it may, as fast as it can', async t => {
      const done = await rehearse(t, name, 'flood')
      // The control: it did get answers.
      assert.ok(done.sent > 1000 && done.answers > 500, JSON.stringify(done))
    })

    test('does so and reads no answer', async t => {
      const done = await rehearse(t, name, 'deaf')
      assert.ok(done.sent > 100, JSON.stringify(done))
    })

    for (const seed of SEEDS) {
      test(`sends anything, number ${seed}`, async t => {
        const done = await rehearse(t, name, `noise ${seed}`)
        assert.ok(done.sent > 3 && done.closed > 0, JSON.stringify(done))
      })
    }
  })
}

describe('a gossipd that lies about keys', () => {
  const sealed = node => node.log.filter(l => l.includes('takeover-sealed'))
    .map(l => /for=(\w+) opened-by=(\w+)/.exec(l).slice(1).join(' by '))

  // Prompts all the while, for both of its models.
  const prompts = async node => {
    const body = model => JSON.stringify({
      model, messages: [{ role: 'user', content: 'a secret word' }]
    })
    while (!node.log.some(l => l.includes('takeover-done'))) {
      for (const model of ['far', 'invented']) {
        await ask(`${node.baseUrl}/chat/completions`,
          { body: body(model), ms: 5000 }).catch(() => {})
      }
      await sleep(20)
    }
  }

  test('a prompt goes to the host\'s own key or nowhere', async t => {
    const { node } = await rehearse(t, 'gossipd', 'lies', { meanwhile: prompts })
    const seen = new Set(sealed(node))
    // The control: with the truth it is sealed to the host.  And what nobody
    // can tell in an open mesh: that the other host is an invention.
    assert.deepEqual([...seen].sort(), ['host by host', 'liar by liar'])
  })

  test('with --only-host not to a node that it made up either', async t => {
    const { node } = await rehearse(t, 'gossipd', 'lies',
      { meanwhile: prompts, args: [`--only-host=${HOST_ID}`] })
    assert.deepEqual([...new Set(sealed(node))], ['host by host'])
  })

  test('with attested hosts nothing is sealed at all', async t => {
    const { node } = await rehearse(t, 'gossipd', 'lies',
      { meanwhile: prompts, requireAttestedHosts: true })
    assert.deepEqual(sealed(node), [])
  })
})

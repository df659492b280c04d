// A node that systemd runs: doors, restarts of each daemon under load, what
// other users of the machine can reach.
import assert from 'node:assert/strict'
import net from 'node:net'
import { before, describe, test } from 'node:test'
import { assertBroken, chat, errorOf, said } from './http.mjs'
import {
  getJson, sleep, startBackend, startNode, suiteScope, waitFor
} from './lib.mjs'
import { missing, SERVICES, startMachine } from './machine.mjs'

const reason = missing()
const WORDS = Array.from({ length: 40 }, (_, i) => `word${i}`).join(' ')

function freePort () {
  return new Promise((resolve, reject) => {
    const server = net.createServer()
    server.on('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address()
      server.close(() => resolve(port))
    })
  })
}

// What of tests/system/lib.mjs a node of systemd's can do as well.
class ServiceNode {
  constructor (machine, api, management) {
    this.machine = machine
    this.baseUrl = `http://127.0.0.1:${api}/v1`
    this.managementUrl = `http://127.0.0.1:${management}`
  }

  async status () { return await getJson(`${this.managementUrl}/api/status`) }
  async token () {
    return await waitFor('token', async () => (await this.status()).token)
  }

  async models () {
    return (await getJson(`${this.baseUrl}/models`)).data.map(m => m.id)
  }

  async waitModel (name, ms = 30000) {
    await waitFor(`model ${name}`,
      async () => (await this.models()).includes(name), { ms })
      .catch(e => {
        throw new Error(`${e.message}\n${this.machine.journal()}`)
      })
  }
}

// far: a plain node with a model; near: one that systemd runs, with another
// model, joined to it; guest: a plain node that joined near.
async function startThree (scope) {
  const farBackend = await startBackend(scope, ['--model', 'far'])
  const nearBackend = await startBackend(scope, ['--model', 'near'])
  const far = await startNode(scope, { backend: farBackend.url })
  const [api, management, mesh] =
    [await freePort(), await freePort(), await freePort()]
  const machine = await startMachine(scope, `
[meshllm]
log-level = debug
[gossipd]
mesh = 127.0.0.1:${mesh}
join = ${await far.token()}
[proxyd]
api = 127.0.0.1:${api}
management = 127.0.0.1:${management}
backend = ${nearBackend.url}
`)
  machine.systemctl('start', 'meshllm.target')
  const near = new ServiceNode(machine, api, management)
  await machine.whole()
  const guest = await startNode(scope, { join: await near.token() })
  await near.waitModel('far')
  await guest.waitModel('near')
  return { far, near, guest, machine }
}

describe('a node that systemd runs', { skip: reason }, () => {
  const scope = suiteScope()
  let far, near, guest, machine
  before(async () => {
    ({ far, near, guest, machine } = await startThree(scope))
  }, { timeout: 900000 })

  const stream = (node, model) => {
    const answer = chat(node, WORDS,
      { model, more: { stream: true, demo_delay_ms: 100 }, ms: 60000 })
    answer.catch(() => {})
    return answer
  }
  const assertWhole = answer => {
    assert.equal(answer.status, 200, answer.body)
    assert.equal(said(answer).error, undefined)
    assert.ok(answer.events.includes('[DONE]'))
    assert.ok(said(answer).text.includes('word39'))
  }
  // Everything that goes through near: as a host, as a client, by itself.
  const three = () => ({ inbound: stream(guest, 'near'),
    outbound: stream(near, 'far'), local: stream(near, 'near') })

  const assertServes = async () => {
    for (const [node, model] of [[near, 'far'], [near, 'near'],
      [guest, 'near'], [guest, 'far']]) {
      const answer = await waitFor(`answer of ${model}`, async () => {
        const a = await chat(node, 'hello there', { model })
        if (a.status !== 200) throw new Error(a.body)
        return a
      }, { ms: 30000 }).catch(e => {
        throw new Error(`${e.message}\n${machine.journal()}`)
      })
      assert.match(answer.body, /hello there/)
    }
  }

  const restart = async service => {
    const before = machine.show(service).MainPID
    const began = Date.now()
    machine.systemctl('restart', `meshllm-${service}.service`)
    const up = Date.now()
    await machine.whole()
    console.log(`# ${service}: restarted in ${up - began} ms, all others ` +
      `back after ${Date.now() - up} ms`)
    assert.notEqual(machine.show(service).MainPID, before)
  }

  test('serves in every direction', async () => {
    await assertServes()
    const status = await near.status()
    const names = status.processes.map(p => p.name)
    for (const name of ['proxyd', 'cryptod', 'gossipd', 'attestd-verifier']) {
      assert.ok(names.includes(name), `${name} is not shown`)
    }
    assert.ok(status.processes.every(p => p.state === 'running'))
  })

  // What a daemon's restart may cost: nothing else may.
  const costs = {
    cryptod: [],
    'attestd-signer': [],
    'attestd-verifier': [],
    gossipd: ['inbound', 'outbound'],
    proxyd: ['inbound', 'outbound', 'local'],
  }
  for (const service of SERVICES) {
    test(`goes on when ${service} is restarted under load`, async () => {
      const pids = Object.fromEntries(
        SERVICES.map(s => [s, machine.show(s).MainPID]))
      const running = three()
      await sleep(700)
      await restart(service)
      for (const [name, answer] of Object.entries(running)) {
        if (!costs[service].includes(name)) {
          assertWhole(await answer)
        } else if (service === 'proxyd' && name !== 'inbound') {
          // The one that would say so is gone: the connection just ends.
          const end = await answer.catch(e => ({ error: e }))
          assert.ok(end.error !== undefined || !end.complete)
        } else {
          const error = assertBroken(await answer)
          console.log(`# ${service}, ${name}: ${error.code}: ${error.message}`)
        }
      }
      await assertServes()
      for (const other of SERVICES.filter(s => s !== service)) {
        assert.equal(machine.show(other).MainPID, pids[other],
          `${other} did not outlive ${service}`)
      }
    })
  }

  test('has a new inference key after a restart of cryptod, and the mesh knows',
    async () => {
      const { id, inference_key: old } = await near.status()
      await restart('cryptod')
      const now = await waitFor('new key', async () => {
        const key = (await near.status()).inference_key
        return key !== old && key
      })
      assert.notEqual(now, old)
      assert.equal((await near.status()).id, id)
      const began = Date.now()
      const { sealed_served: before } = (await near.status()).counters
      // Sealed to the new key, or near could not open it.
      await waitFor('answer', async () =>
        (await chat(guest, 'hello', { model: 'near' })).status === 200)
      console.log(`# the new key is used after ${Date.now() - began} ms`)
      const { counters } = await near.status()
      assert.equal(counters.sealed_served, before + 1)
      assert.equal(counters.plain_served, 0)
    })

  test('says what it lacks, and a request that needs it', async () => {
    machine.systemctl('stop', 'meshllm-cryptod-proxyd.socket',
      'meshllm-cryptod-gossipd.socket', 'meshllm-cryptod-gossipd-tls.socket',
      'meshllm-cryptod-signer.socket', 'meshllm-cryptod.service')
    await waitFor('degraded proxyd', () =>
      /without cryptod/.test(machine.show('proxyd').StatusText))
    assert.match(machine.show('gossipd').StatusText, /without cryptod/)
    const gone = (await near.status()).processes.find(p => p.name === 'cryptod')
    assert.equal(gone.state, 'gone')
    const answer = await chat(near, 'hello', { model: 'far' })
    assert.ok(answer.status >= 500, `${answer.status} ${answer.body}`)
    console.log(`# without cryptod: ${answer.status} ${errorOf(answer).code}: ${
      errorOf(answer).message}`)
    assert.equal((await chat(near, 'hello', { model: 'near' })).status, 200)
    machine.systemctl('start', 'meshllm.target')
    await machine.whole()
    await assertServes()
  })

  test('comes back when a daemon is killed', async () => {
    for (const service of SERVICES) {
      const pid = machine.show(service).MainPID
      machine.must('kill', '-KILL', pid)
      await waitFor(`new ${service}`, () => {
        const now = machine.show(service)
        return now.MainPID !== pid && now.MainPID !== '0'
      })
      await machine.whole()
    }
    await assertServes()
  })

  test('comes back when a porter is killed', async () => {
    for (const pid of machine.must('pgrep', '-f', '^/.*meshllm-').trim().split('\n')) {
      if (machine.run('grep', '-qx', 'meshllm-porter',
        `/proc/${pid}/comm`).status === 0) machine.must('kill', '-KILL', pid)
    }
    await sleep(1000)
    await machine.whole()
    await assertServes()
  })

  test('says goodbye when it is stopped', async () => {
    const { id } = await near.status()
    const began = Date.now()
    machine.systemctl('stop', 'meshllm.target')
    await waitFor('goodbye', async () =>
      !(await guest.status()).peers.some(p => p.id === id && p.connected))
    console.log(`# gone after ${Date.now() - began} ms`)
    for (const service of SERVICES) {
      await waitFor(`end of ${service}`,
        () => machine.show(service).ActiveState === 'inactive')
      assert.equal(machine.show(service).Result, 'success', service)
    }
    assert.equal(machine.run('pgrep', '-f', '^/.*meshllm-').stdout, '')
  })
})

// A node that systemd runs: doors, restarts of each daemon under load, what
// other users of the machine can reach.
import assert from 'node:assert/strict'
import net from 'node:net'
import { before, describe, test } from 'node:test'
import { assertBroken, chat, errorOf, said } from './http.mjs'
import {
  getJson, sleep, startBackend, startNode, suiteScope, waitFor
} from './lib.mjs'
import { builtDir, missing, SERVICES, startMachine } from './machine.mjs'

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
  machine.run('useradd', '-M', 'mallory')
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

  // Resolves once it flows; `answer` is its end.
  const stream = async (node, model) => {
    let begun = false
    const answer = chat(node, WORDS, { model, ms: 60000,
      more: { stream: true, demo_delay_ms: 150 },
      onEvent: () => { begun = true } })
    answer.catch(() => {})
    await waitFor('a token', () => begun)
    return { answer }
  }
  const assertWhole = answer => {
    assert.equal(answer.status, 200, answer.body)
    assert.equal(said(answer).error, undefined)
    assert.ok(answer.events.includes('[DONE]'))
    assert.ok(said(answer).text.includes('word39'))
  }
  // Everything that goes through near: as a host, as a client, by itself.
  const three = async () => {
    const [inbound, outbound, local] = await Promise.all([
      stream(guest, 'near'), stream(near, 'far'), stream(near, 'near')])
    return { inbound, outbound, local }
  }

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
  })

  test('shows its processes and what protects them', async () => {
    const status = await waitFor('all measures', async () => {
      const s = await near.status()
      return Object.keys(s.images).length === SERVICES.length && s
    })
    for (const service of SERVICES) {
      const shown = status.processes.find(p => p.name === service)
      assert.equal(String(shown?.pid), machine.show(service).MainPID, service)
      assert.equal(shown.state, 'running')
      assert.match(status.images[service], /^[0-9a-f]{64}$/)
    }
    const posture = Object.fromEntries(
      status.posture.map(p => [p.name, `${p.value}: ${p.source}`]))
    for (const name of ['guarded', 'no-core-dumps', 'seccomp', 'own-users']) {
      assert.match(posture[name] ?? '', /^true: /, name)
    }
    assert.ok(Object.keys(posture).length > 20)
    // Where systemd may make no namespace (257 in this machine) it goes on
    // without; the daemons notice.
    const network = pid => machine.must('readlink', `/proc/${pid}/ns/net`)
    const alone = ['cryptod', 'attestd-signer', 'attestd-verifier']
      .every(s => network(machine.show(s).MainPID) !== network(1))
    if (!alone) console.log('# no network namespaces in this machine')
    assert.match(posture['no-network'], alone ? /^true: / : /^false: /)
  })

  test('takes a changed configuration with a reload, and cuts no stream',
    async () => {
      const meshllm = `${builtDir('bindir')}/meshllm`
      const keys = machine.inside(machine.configFile).replace(/[^/]*$/, 'keys')
      const original = machine.config
      const mainPids = () => SERVICES.map(s => machine.show(s).MainPID)
      const before = mainPids()
      const running = await three()
      const say = (headers = {}) =>
        chat(near, 'hello', { model: 'near', headers })
      const refused = text => {
        const done = machine.run('systemctl', 'reload', 'meshllm-proxyd')
        assert.notEqual(done.status, 0)
        assert.match(machine.unitJournal('proxyd'), text)
        const event = JSON.parse(machine.must('journalctl', '-o', 'json',
          '--no-pager', '-n', '1', '-u', 'meshllm-proxyd.service',
          'MESHLLM_EVENT=reload-refused'))
        assert.equal(event.PRIORITY, '3')
        assert.match(event.MESSAGE, text)
        assert.equal(machine.show('proxyd').ActiveState, 'active')
      }

      // A key is wanted from now on; what is wrong later changes nothing.
      const add = name => {
        const key = machine.must(meshllm, 'key', `--api-keys=${keys}`, 'add',
          name).match(/\S+$/m)[0]
        assert.equal(machine.must('stat', '-c', '%a %U %G', keys).trim(),
          '640 root meshllm-proxy')
        return { authorization: `Bearer ${key}` }
      }
      const first = add('first')
      machine.configure(`${original}\napi-keys = ${keys}\n`)
      machine.systemctl('reload', 'meshllm.target')
      await waitFor('a key to be wanted', async () =>
        (await say()).status === 401)
      assert.equal((await say(first)).status, 200)
      const second = add('second')
      assert.equal((await say(second)).status, 401)
      machine.configure(`${original}\nnonsense = 1\n`)
      const line = machine.config.split('\n').indexOf('nonsense = 1') + 1
      refused(new RegExp(`meshllm.conf:${line}: .*nonsense`))
      machine.configure(`${original}\napi-keys = ${keys}.missing\n`)
      refused(/keys\.missing.*No such file/)
      machine.configure(`${original}\napi-keys = ${keys}\n`)
      machine.must('sh', '-c', `cp -p ${keys} ${keys}.good; echo x >>${keys}`)
      refused(/api-keys.*line 3/)
      assert.equal((await say(second)).status, 401)
      assert.equal((await say(first)).status, 200)
      machine.must('mv', `${keys}.good`, keys)
      machine.systemctl('reload', 'meshllm-proxyd')
      assert.equal((await say(second)).status, 200)
      machine.must(meshllm, 'key', `--api-keys=${keys}`, 'remove', 'first')
      machine.systemctl('reload', 'meshllm-proxyd')
      assert.equal((await say(first)).status, 401)
      assert.equal((await say(second)).status, 200)
      machine.configure(original)
      machine.systemctl('reload', 'meshllm-proxyd')
      assert.equal((await say()).status, 200)

      for (const { answer } of Object.values(running)) {
        assertWhole(await answer)
      }
      assert.deepEqual(mainPids(), before)
      machine.must('rm', keys)
    })

  test('logs what a reload says, no more and no less', async () => {
    const original = machine.config
    // [priority, event], of all daemons.
    const logged = async what => {
      const cursor = /cursor: (.*)/.exec(machine.must('journalctl', '-n', '0',
        '--show-cursor'))[1]
      await what()
      const text = machine.must('journalctl', '-o', 'json', '--no-pager',
        `--after-cursor=${cursor}`, '-u', 'meshllm-*.service')
      return text.trim().split('\n').filter(l => l !== '')
        .map(l => JSON.parse(l)).filter(e => e.MESHLLM_EVENT !== undefined)
        .map(e => [e._SYSTEMD_UNIT.slice(8, -8), Number(e.PRIORITY),
          e.MESHLLM_EVENT])
    }
    const reload = async level => {
      machine.configure(original.replace('log-level = debug',
        `log-level = ${level}`))
      const events = await logged(async () => {
        machine.systemctl('reload', 'meshllm.target')
        await waitFor('all of them', () => SERVICES.every(s =>
          machine.unitJournal(s).split('\n').filter(l => / reloaded /.test(l))
            .length > seen[s]))
      })
      for (const s of SERVICES) {
        seen[s] = machine.unitJournal(s).split('\n')
          .filter(l => / reloaded /.test(l)).length
      }
      return events
    }
    const seen = Object.fromEntries(SERVICES.map(s => [s,
      machine.unitJournal(s).split('\n').filter(l => / reloaded /.test(l))
        .length]))
    // Each that talks to cryptod says at info that it is back, and the signer
    // at debug that it has its keys.
    const work = async () => {
      assert.equal((await chat(near, 'hello', { model: 'near' })).status, 200)
      machine.systemctl('restart', 'meshllm-cryptod')
      await machine.whole()
      await sleep(500)
    }
    const at = async level => {
      await reload(level)
      return await logged(work)
    }
    const has = (events, unit, priority) =>
      events.some(([u, p]) => u === unit && p === priority)
    const TALK = ['proxyd', 'gossipd', 'attestd-signer']
    const few = await at('error')
    assert.ok(few.every(([, p]) => p <= 3), few.join(' '))
    const all = await at('debug')
    assert.ok(TALK.every(u => has(all, u, 6)), all.join(' '))
    assert.ok(has(all, 'attestd-signer', 7), all.join(' '))
    const some = await at('warning')
    assert.ok(some.every(([, p]) => p <= 4), some.join(' '))
    const usual = await at('info')
    assert.ok(TALK.every(u => has(usual, u, 6)), usual.join(' '))
    assert.ok(usual.every(([, p]) => p <= 6), usual.join(' '))
    await reload('debug')
    // A signal alone says that it is not enough.
    machine.systemctl('kill', '-s', 'HUP', 'meshllm-cryptod.service',
      '--kill-who=main')
    await waitFor('the refusal', () =>
      /reload-refused .*systemctl reload/.test(machine.unitJournal('cryptod')))
    machine.configure(original)
    await machine.whole()
  })

  // Each process's, and what is not there is not shown.
  const metric = async name => Object.fromEntries([...(await (await fetch(
    `${near.managementUrl}/metrics`)).text()).matchAll(
    new RegExp(`^meshllm_${name}\\{process="([^"]+)"\\} (\\d+)$`, 'gm'))]
    .map(([, process, value]) => [process, Number(value)]))

  test('shows how the attester does, the memory and the time of each process',
    async () => {
      const { attester } = await waitFor('the attester', async () => {
        const s = await near.status()
        return s.attester !== null && s
      })
      assert.match(attester.name, /^(tpm2|software|none)$/)
      const rss = await metric('process_resident_bytes')
      const cpu = await metric('process_cpu_milliseconds_total')
      assert.deepEqual(Object.keys(rss).sort(), [...SERVICES].sort())
      for (const service of SERVICES) {
        const kib = Number(/^VmRSS:\s+(\d+)/m.exec(machine.must('cat',
          `/proc/${machine.show(service).MainPID}/status`))[1])
        assert.ok(rss[service] > kib * 512 && rss[service] < kib * 2048,
          `${service}: ${rss[service]} bytes, the kernel says ${kib} KiB`)
        assert.ok(cpu[service] >= 0)
      }
      const { stdout } = machine.run(`${builtDir('bindir')}/meshllm`, 'status',
        `--management=${near.managementUrl.slice('http://'.length)}`)
      assert.match(stdout, new RegExp(`^ *attester.* ${attester.name}`, 'm'))
      for (const service of SERVICES) {
        assert.match(stdout,
          new RegExp(`^ *${service} .* running +\\d+\\.\\d MiB$`, 'm'))
      }
    })

  test('shows that the signer is gone, and that it is back', async () => {
    machine.systemctl('stop', 'meshllm-attestd-signer.service')
    try {
      await waitFor('the news', async () => {
        const { attester } = await near.status()
        return attester.problem === 'the signer is not running'
      })
      assert.equal((await metric('process_resident_bytes'))['attestd-signer'],
        undefined)
    } finally {
      machine.systemctl('start', 'meshllm-attestd-signer.service')
    }
    await waitFor('its return', async () =>
      (await near.status()).attester.problem !== 'the signer is not running' &&
      (await metric('process_resident_bytes'))['attestd-signer'] > 0)
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
      const running = await three()
      await restart(service)
      for (const [name, { answer }] of Object.entries(running)) {
        if (!costs[service].includes(name)) {
          assertWhole(await answer)
        } else {
          const error = assertBroken(await answer)
          assert.equal(error.code,
            service === 'proxyd' && name !== 'inbound' ? 'node_stopping' : 'host_failed')
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
      await waitFor('answer', async () => {
        const a = await chat(guest, 'hello', { model: 'near' })
        if (a.status !== 200) {
          console.log(`# with the old key: ${a.status} ${errorOf(a).code}: ${
            errorOf(a).message}`)
        }
        return a.status === 200
      })
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
    await waitFor('degraded gossipd', () =>
      /without cryptod/.test(machine.show('gossipd').StatusText))
    await waitFor('its place in the status', async () =>
      (await near.status()).processes.find(p => p.name === 'cryptod')
        .state === 'gone')
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
      }, { ms: 30000 })
      await machine.whole()
    }
    await assertServes()
  })

  test('comes back whatever dies while others come back', async () => {
    const dropIn = '/run/systemd/system/meshllm-.service.d'
    machine.must('mkdir', '-p', dropIn)
    machine.must('sh', '-c', "printf '[Unit]\\nStartLimitIntervalSec=0\\n" +
      `[Service]\\nRestartSec=50ms\\n' >${dropIn}/fast.conf`)
    machine.systemctl('daemon-reload')
    let slowest = 0
    for (let i = 0; i < 40; i++) {
      for (let k = 0; k <= i % 3; k++) {
        const service = SERVICES[Math.floor(Math.random() * SERVICES.length)]
        const pid = machine.show(service).MainPID
        if (pid !== '0') machine.run('kill', '-KILL', pid)
        if (Math.random() < 0.5) await sleep(Math.random() * 120)
      }
      const began = Date.now()
      await machine.whole()
      slowest = Math.max(slowest, Date.now() - began)
    }
    console.log(`# 80 kills, whole again after ${slowest} ms at most`)
    machine.must('rm', '-r', dropIn)
    machine.systemctl('daemon-reload')
    await assertServes()
  })

  test('comes back when a daemon hangs', async () => {
    const pids = () => SERVICES.map(s => machine.show(s).MainPID)
    const dropIn = '/run/systemd/system/meshllm-.service.d'
    machine.must('mkdir', '-p', dropIn)
    // One who says twice in that time that it lives may be late.
    machine.must('sh', '-c', "printf '[Service]\\nWatchdogSec=3\\n" +
      `TimeoutAbortSec=1\\n' >${dropIn}/hang.conf`)
    machine.systemctl('daemon-reload')
    machine.systemctl('restart', ...SERVICES.map(s => `meshllm-${s}.service`))
    await machine.whole()
    const before = pids()
    await sleep(4000)
    assert.deepEqual(pids(), before, 'one shows no life')
    for (const service of SERVICES) {
      const pid = machine.show(service).MainPID
      machine.must('kill', '-STOP', pid)
      await waitFor(`new ${service}`, () => {
        const now = machine.show(service)
        return now.MainPID !== pid && now.MainPID !== '0'
      }, { ms: 30000 })
      assert.match(machine.unitJournal(service), /Watchdog timeout/)
      await machine.whole()
    }
    machine.must('rm', '-r', dropIn)
    machine.systemctl('daemon-reload')
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

  // ---- other users of the machine

  const DOORS = { 'cryptod-proxyd': 'meshllm-proxy',
    'cryptod-gossipd': 'meshllm-gossip',
    'cryptod-gossipd-tls': 'meshllm-gossip',
    'cryptod-signer': 'meshllm-attest',
    'signer-gossipd': 'meshllm-gossip',
    'verifier-proxyd': 'meshllm-proxy',
    'gossipd-proxyd': 'meshllm-proxy',
    'proxyd-reload': 'meshllm-proxy' }
  const USERS = ['mallory', 'meshllm-crypto', 'meshllm-attest',
    'meshllm-gossip', 'meshllm-proxy']
  const as = (user, ...command) =>
    machine.run('runuser', '-u', user, '--', ...command)
  const KNOCK = `socket(S, AF_UNIX, SOCK_SEQPACKET, 0) or die;
    connect(S, pack_sockaddr_un($ARGV[0])) or do { print "no: $!"; exit };
    $SIG{ALRM} = sub { print "silent"; exit }; alarm 20;
    my $n = sysread(S, my $bytes, 64); print defined $n ? $n : "read: $!"`
  const knock = (user, door) => as(user, 'perl', '-MSocket', '-e', KNOCK,
    `/run/meshllm/${door}`).stdout
  const pids = () => machine.must('pgrep', '-f', '^/.*meshllm-').trim()
    .split('\n')

  test('opens a door to its one user only', async () => {
    assert.equal(as('mallory', 'id', '-un').stdout.trim(), 'mallory')
    for (const [door, user] of Object.entries(DOORS)) {
      for (const other of USERS.filter(u => u !== user)) {
        assert.equal(knock(other, door), 'no: Permission denied',
          `${other} at ${door}`)
      }
      // Root goes through any file mode, and is turned away by the porter.
      assert.equal(knock('root', door), '0', `root at ${door}`)
    }
    assert.match(machine.journal(), /door-refused door=\S+ user=0/)
    await machine.whole()
  })

  test('gives a user who may come a channel, and its old one comes back',
    async () => {
      for (const [door, user] of Object.entries(DOORS)) {
        assert.equal(knock(user, door), '8', `${user} at ${door}`)
        await machine.whole()
      }
      await assertServes()
    })

  test('shows other users no file', () => {
    const token = /^join = (.*)$/m.exec(machine.config)[1]
    const config = machine.inside(machine.configFile)
    assert.ok(machine.must('cat', config).includes(token))
    assert.match(as('mallory', 'cat', config).stderr, /Permission denied/)
    for (const folder of ['cryptod', 'attestd', 'gossipd']) {
      const owner = machine.must('stat', '-c', '%U %a',
        `/var/lib/meshllm/${folder}`).trim()
      assert.match(owner, /^meshllm-\w+ 700$/)
      for (const user of USERS.filter(u => u !== owner.split(' ')[0])) {
        assert.match(as(user, 'ls', `/var/lib/meshllm/${folder}`).stderr,
          /Permission denied/, `${user} in ${folder}`)
      }
    }
    for (const user of USERS) {
      assert.equal(as(user, 'find', '/run/meshllm', '/var/lib/meshllm',
        '-maxdepth', '1', '-writable').stdout.split('\n')
        .filter(f => f !== '' && DOORS[f.split('/')[3]] !== user &&
          !f.startsWith('/var/lib/meshllm/')).join(' '), '', user)
    }
    assert.doesNotMatch(as('mallory', 'journalctl', '--no-pager').stdout,
      /meshllm/)
    assert.match(machine.must('journalctl', '--no-pager'), /meshllm/)
  })

  test('shows other users no memory, descriptor or secret argument', () => {
    const token = /^join = (.*)$/m.exec(machine.config)[1]
    const TRY = `my $pid = $ARGV[0]; my $buf = "x" x 8;
      my $iov = pack("QQ", unpack("Q", pack("p", $buf)), 8);
      my $there = pack("QQ", 4096, 8);
      sub try { my ($name, @args) = @_;
        my $r = syscall($args[0], @args[1 .. $#args]);
        print "$name ", $r == -1 ? ($!{EPERM} || $!{ESRCH} ? "no" : "$!") : "YES", "\n" }
      use Errno;
      try("attach", 101, 16, $pid + 0, 0, 0);
      try("seize", 101, 16902, $pid + 0, 0, 0);
      try("read", 310, $pid + 0, $iov, 1, $there, 1, 0);
      try("write", 311, $pid + 0, $iov, 1, $there, 1, 0);
      my $fd = syscall(434, $pid + 0, 0);
      try("descriptor", 438, $fd, 2, 0);
      try("signal", 62, $pid + 0, 9);` // last: nobody reads from the dead
    assert.ok(pids().length >= 13, `${pids()}`)
    // Of his own processes he gets what he asks for.
    // exec: until it runs as her; simple would be once it is forked.
    machine.must('systemd-run', '-q', '--uid=mallory', '--unit=hers',
      '--service-type=exec', 'sleep', '600')
    const own = machine.must('systemctl', 'show', '-P', 'MainPID', 'hers')
      .trim()
    assert.match(as('mallory', 'perl', '-e', TRY, own).stdout,
      /^attach YES\n[^]*descriptor YES\nsignal YES\n$/)
    for (const pid of pids()) {
      for (const file of ['environ', 'maps', 'mem', 'auxv', 'stack']) {
        assert.match(as('mallory', 'head', '-c', '1', `/proc/${pid}/${file}`)
          .stderr, /Permission denied|not permitted/, `${pid} ${file}`)
      }
      assert.match(as('mallory', 'ls', `/proc/${pid}/fd`).stderr,
        /Permission denied/)
      assert.equal(as('mallory', 'readlink', `/proc/${pid}/root`).stdout, '')
      assert.ok(!machine.must('cat', `/proc/${pid}/cmdline`).includes(token))
      assert.equal(as('mallory', 'perl', '-e', TRY, pid).stdout, ['attach',
        'seize', 'read', 'write', 'descriptor', 'signal']
        .map(n => `${n} no\n`).join(''), `process ${pid}`)
    }
  })

  test('lets other users manage nothing', async () => {
    for (const user of USERS) {
      for (const verb of ['stop', 'restart', 'kill', 'reload-or-restart']) {
        const done = as(user, 'systemctl', '--no-ask-password', verb,
          'meshllm-cryptod.service')
        assert.notEqual(done.status, 0, `${user}: ${verb}`)
        assert.match(done.stderr, /denied|authentication required|refused/i)
      }
    }
    const node = 'ab'.repeat(32)
    const meshllm = `${builtDir('bindir')}/meshllm`
    const trust = ['trust', '--state-dir=/var/lib/meshllm', 'pin', node, node]
    const done = as('mallory', meshllm, ...trust)
    assert.notEqual(done.status, 0)
    assert.match(done.stderr,
      /\/var\/lib\/meshllm\/attestd: Permission denied: .*root decides/)
    // What everybody may see needs no configuration.
    const seen = as('mallory', meshllm, 'status',
      `--management=127.0.0.1:${new URL(near.managementUrl).port}`)
    assert.equal(seen.status, 0, seen.stderr)
    const unseen = as('mallory', meshllm, 'status')
    assert.match(unseen.stderr, /--management/)
    assert.match(unseen.stderr, /systemctl start meshllm.target/)
    // Root may, and the verifier reads it.
    machine.must(meshllm, ...trust)
    await waitFor('trust-read', () => /trust-read/.test(machine.journal()))
    assert.match(machine.must(meshllm, ...trust.slice(0, 2), 'list'),
      new RegExp(node))
    await machine.whole()
    await assertServes()
  })

  test('takes its identity from a credential', async () => {
    const { id } = await near.status()
    const key = '/var/lib/meshllm/cryptod/identity'
    const sealed = '/etc/identity.cred'
    const dropIn = '/etc/systemd/system/meshllm-cryptod.service.d'
    machine.systemctl('stop', 'meshllm.target')
    machine.must('systemd-creds', 'encrypt', '--with-key=host',
      '--name=identity', key, sealed)
    machine.must('mkdir', '-p', dropIn)
    machine.must('sh', '-c', `printf '[Service]\\nLoadCredentialEncrypted=` +
      `identity:${sealed}\\n' >${dropIn}/identity.conf`)
    machine.must('mv', key, '/root/identity')
    machine.systemctl('daemon-reload')
    machine.systemctl('start', 'meshllm.target')
    await machine.whole()
    assert.equal((await near.status()).id, id)
    assert.match(machine.journal(), /cryptod\S* .*serving .*credential=yes/)
    assert.notEqual(machine.run('test', '-e', key).status, 0)
    assert.match(as('mallory', 'ls', '-R', '/run/credentials').stderr,
      /Permission denied/)

    // One that is damaged is named.
    machine.systemctl('stop', 'meshllm.target')
    machine.must('sh', '-c', `head -c 63 /root/identity | systemd-creds ` +
      `encrypt --with-key=host --name=identity - ${sealed}`)
    machine.run('systemctl', 'start', 'meshllm-cryptod.service')
    await waitFor('the reason', () =>
      /cannot-start reason="\/run\/credentials\/meshllm-cryptod.service\/identity: is damaged/
        .test(machine.journal()))
    machine.run('systemctl', 'stop', 'meshllm.target')

    machine.must('rm', '-r', dropIn)
    machine.must('mv', '/root/identity', key)
    machine.systemctl('daemon-reload')
    machine.run('systemctl', 'reset-failed')
    machine.systemctl('start', 'meshllm.target')
    await machine.whole()
    assert.equal((await near.status()).id, id)
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

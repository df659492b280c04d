// An operator's afternoon: three machines with a real systemd (two Debian 12,
// one Debian 13), the package installed with apt, a mesh of them, and
// everything that happens to a machine.  The tests build on each other.
import assert from 'node:assert/strict'
import path from 'node:path'
import { after, before, describe, test } from 'node:test'
import { program, waitFor } from '../system/lib.mjs'
import { Machine, must, prepareHost, SERVICES } from './machine.mjs'

const here = path.dirname(new URL(import.meta.url).pathname)
const SECRET = 'the badger keeps a lantern under the stairs'
const EVENT = 'MESHLLM_EVENT'

describe('machines', { timeout: 1500000 }, () => {
  const machines = []
  let home, gpu, far, backend

  // Answers of one run of ask.mjs in a machine's network.
  function ask (machine, model, id, words = SECRET) {
    return machine.network(process.execPath, '--no-warnings',
      path.join(here, 'ask.mjs'), model, id, words)
      .split('\n').filter(l => l !== '').map(l => JSON.parse(l))[0]
  }

  async function askUntilAnswered (machine, id, ms = 60000) {
    let last
    await waitFor(`answer to ${machine.name}`, () => {
      last = ask(machine, 'badger', id)
      return last.ok
    }, { ms, every: 200 }).catch(e => {
      throw new Error(`${e.message}: ${JSON.stringify(last)}\n` +
        `${machine.journal()}\n${gpu.journal()}`)
    })
    assert.ok(last.text.includes(SECRET))
    assert.equal(last.encrypted, 'sealed')
    return last
  }

  function load (machine, id, words = SECRET, ...how) {
    const child = machine.networkSpawn(process.execPath, '--no-warnings',
      path.join(here, 'ask.mjs'), 'badger', id, words,
      ...(how.length > 0 ? how : ['8']))
    let text = ''
    child.stdout.on('data', d => { text += d })
    const ended = new Promise(resolve => child.on('close', resolve))
    const answers = () => text.slice(0, text.lastIndexOf('\n') + 1).split('\n')
      .filter(l => l !== '').map(l => JSON.parse(l))
    return {
      answers,
      async stop () {
        child.kill('SIGTERM')
        await ended
        return answers()
      }
    }
  }

  function startBackend () {
    backend = gpu.networkSpawn(program('tests/tools/meshllm-demo-backend'),
      '--port', '8080', '--model', 'badger', '--delay-ms', '5')
  }

  before(async () => {
    prepareHost()
    home = new Machine('bookworm')
    gpu = new Machine('bookworm')
    far = new Machine('trixie')
    machines.push(home, gpu, far)
    await Promise.all(machines.map(m => m.boot()))
  }, { timeout: 300000 })

  after(async () => {
    backend?.kill('SIGTERM')
    await Promise.all(machines.map(m => m.stop()))
  })

  test('apt install gives a node that waits to be started', () => {
    for (const m of machines) {
      m.must('apt-get', 'install', '-q', '-y', m.givePackage())
      assert.equal(m.run('systemctl', 'is-enabled', 'meshllm.target').stdout,
        'enabled\n')
      assert.equal(m.run('systemctl', 'is-active', 'meshllm.target').stdout,
        'inactive\n')
      assert.equal(m.must('stat', '-c', '%a %U %G',
        '/etc/meshllm/meshllm.conf'), '640 root meshllm\n')
      assert.match(m.must('meshllm', 'version'), /^meshllm \d/)
    }
  })

  test('systemctl start gives a running node', async () => {
    for (const m of machines) {
      m.systemctl('start', 'meshllm.target')
      await m.whole()
      assert.equal(m.run('systemctl', '--failed', '--no-legend', 'meshllm*')
        .stdout, '')
    }
  })

  test('they join by token, and the OpenAI SDK gets answers', async () => {
    startBackend()
    gpu.configure('[proxyd]\nbackend = http://127.0.0.1:8080\n')
    gpu.systemctl('restart', 'meshllm.target')
    await gpu.whole()
    const token = await waitFor('token', () =>
      gpu.run('meshllm', 'invite').stdout.trim())
    for (const m of [home, far]) {
      m.configure(`[gossipd]\njoin = ${token}\n`)
      m.systemctl('restart', 'meshllm.target')
    }
    for (const m of [home, far]) {
      await m.whole()
      await askUntilAnswered(m, `first-${m.release}`)
    }
  })

  test('one request is followed by its id, and nothing of it is told', async () => {
    const id = 'afternoon-1'
    const answer = ask(home, 'badger', id)
    assert.ok(answer.ok, JSON.stringify(answer))
    assert.equal(answer.echo, id)
    const entries = machine => waitFor(`an entry of ${machine.name}`, () => {
      const found = machine.entries(`MESHLLM_REQUEST=${id}`)
      return found.length > 0 && found
    })
    const sent = await entries(home)
    const served = await entries(gpu)
    assert.deepEqual(sent.map(e => e[EVENT]), ['sealed-request-sent'])
    assert.deepEqual(served.map(e => e[EVENT]), ['sealed-request-served'])
    assert.ok(gpu.status().id.startsWith(sent[0].MESHLLM_PEER))
    assert.ok(home.status().id.startsWith(served[0].MESHLLM_PEER))
    assert.equal(sent[0]._SYSTEMD_UNIT, 'meshllm-proxyd.service')
    assert.equal(sent[0].SYSLOG_IDENTIFIER, 'meshllm-proxyd')
    assert.equal(sent[0].MESHLLM_MODEL, 'badger')
    assert.match(sent[0].MESHLLM_DURATION_MS, /^\d+$/)
    assert.match(sent[0].MESHLLM_BYTES_IN, /^\d+$/)
    assert.equal(sent[0].PRIORITY, '6')
    assert.match(home.must('journalctl', '--no-pager', '-x',
      `MESHLLM_REQUEST=${id}`),
    /Subject: Request afternoon-1 was answered by host [0-9a-f]+, sealed/)
    for (const m of machines) {
      const all = m.must('journalctl', '--no-pager', '-o', 'json', '--all')
      assert.ok(!all.includes('lantern'), m.name)
    }
    // By design.
    assert.ok(!home.must('journalctl', '--no-pager', '-u', 'meshllm-gossipd')
      .includes(id))
  })

  test('every event that was logged is in the catalogue', () => {
    for (const m of machines) {
      const ids = new Map(m.entries('-u', 'meshllm*').filter(e => e[EVENT])
        .map(e => [e[EVENT], e.MESSAGE_ID]))
      assert.ok(ids.size > 5, `${[...ids.keys()]}`)
      const listed = m.must('journalctl', '--no-pager', '--list-catalog')
      for (const [event, id] of ids) {
        assert.ok(id && listed.includes(id), `${m.name}: ${event}`)
      }
    }
  })

  test('each daemon is restarted under load and comes back', async t => {
    for (const m of [home, gpu]) {
      for (const s of SERVICES) {
        const running = load(home, `load-${m.name}-${s}`)
        let restarted, back, served, answers
        try {
          await waitFor('load', () => running.answers().some(a => a.ok))
          restarted = Date.now()
          m.systemctl('restart', `meshllm-${s}.service`)
          await m.whole()
          back = Date.now() - restarted
          await askUntilAnswered(home, `after-${m.name}-${s}`)
          served = Date.now() - restarted
          await waitFor('an answer to the load', () => running.answers()
            .some(a => a.ok && a.began > restarted), { ms: 60000 })
        } finally {
          answers = await running.stop()
        }
        const failed = answers.filter(a => !a.ok)
        // What failed says so, and why.
        for (const a of failed) assert.ok(a.error, JSON.stringify(a))
        t.diagnostic(`${m.name} ${s}: all channels after ${back} ms, an ` +
          `answer after ${served} ms, ${failed.length} of ${answers.length} ` +
          `failed ${[...new Set(failed.map(a => a.code ?? a.error))]}`)
      }
    }
  })

  // While a stream runs from home through gpu.
  async function whileStreaming (what) {
    const stream = load(home, 'long', `${SECRET}${' and on'.repeat(100)}`,
      '1', '250')
    let answers, done
    try {
      await waitFor('the stream', () => stream.answers().some(a => a.flows),
        { ms: 30000 }).catch(e => {
        throw new Error(`${e.message}: ${JSON.stringify(stream.answers())}`)
      })
      await what()
      done = Date.now()
    } finally {
      answers = await stream.stop()
    }
    const answer = answers.find(a => a.flows === undefined)
    assert.ok(answer.ok, JSON.stringify(answer))
    assert.ok(answer.text.includes(SECRET))
    assert.equal(answer.encrypted, 'sealed')
    assert.ok(answer.began + answer.ms > done, 'the stream was over before')
  }

  test('a reload takes effect or says why not, and cuts no stream', async () => {
    const keys = '/etc/meshllm/api-keys'
    const original = home.must('cat', '/etc/meshllm/meshllm.conf')
    const closed = `${original}[proxyd]\napi-keys = ${keys}\n`
    const why = new RegExp('meshllm\\.conf:' +
      `${closed.split('\n').length}: .*nonsense`)
    const pids = () => [home, gpu].map(m =>
      SERVICES.map(s => m.show(s, 'MainPID')))
    const before = pids()
    const status = key => JSON.parse(home.network('env', `ASK_KEY=${key}`,
      process.execPath, '--no-warnings', path.join(here, 'ask.mjs'), 'badger',
      'keyed', SECRET)).status ?? 200
    // Runs something; resolves when each of these services has logged this.
    const logs = async (event, services, text, what) => {
      const cursor = /cursor: (.*)/.exec(
        home.must('journalctl', '-n', '0', '--show-cursor'))[1]
      const done = what()
      await waitFor(`${event} of ${services}`, () => {
        // With a match as well, older versions leave the first one out.
        const units = home.entries(`--after-cursor=${cursor}`)
          .filter(e => e[EVENT] === event && text.test(e.MESSAGE))
          .map(e => e._SYSTEMD_UNIT)
        return services.every(s => units.includes(`meshllm-${s}.service`))
      }).catch(e => { throw new Error(`${e.message}\n${home.journal()}`) })
      return done
    }

    await whileStreaming(async () => {
      // A good file.
      const key = home.must('meshllm', 'key', `--api-keys=${keys}`, 'add',
        'friend').trim()
      assert.equal(home.must('stat', '-c', '%a %U %G', keys),
        '640 root meshllm-proxy\n')
      home.configure(closed)
      assert.equal(status('none'), 200)
      home.systemctl('reload', 'meshllm-proxyd')
      assert.equal(status('none'), 401)

      // A bad one.
      home.configure(`${closed}nonsense = 1\n`)
      const one = await logs('reload-refused', ['proxyd'], why,
        () => home.run('systemctl', 'reload', 'meshllm-proxyd'))
      assert.notEqual(one.status, 0)
      assert.match(one.stderr, /meshllm-proxyd/)
      assert.equal(home.show('proxyd', 'ActiveState'), 'active')

      // The target does not ask how its services fared; they tell.
      const target = await logs('reload-refused', SERVICES, why,
        () => home.run('systemctl', 'reload', 'meshllm.target'))
      assert.equal(target.status, 0)
      const all = home.run('systemctl', 'reload', 'meshllm-*.service')
      assert.notEqual(all.status, 0)
      for (const s of SERVICES) assert.match(all.stderr, new RegExp(s))
      const check = home.run('meshllm', 'config', 'check')
      assert.notEqual(check.status, 0)
      assert.match(check.stderr, why)
      assert.equal(status('none'), 401)
      assert.equal(status(key), 200)

      // A good one again, for all, and on the host.
      home.configure(original)
      home.must('meshllm', 'config', 'check')
      await logs('reloaded', SERVICES, /./,
        () => home.systemctl('reload', 'meshllm-*.service'))
      assert.equal(status('none'), 200)
      gpu.systemctl('reload', 'meshllm.target')
      home.must('rm', keys)
    })
    assert.deepEqual(pids(), before)
  })

  // Events of our units since the last call.
  let cursor
  function news (machine) {
    const text = machine.must('journalctl', '--no-pager', '-o', 'json',
      '-u', 'meshllm-*', ...(cursor === undefined ? [] : ['--after-cursor',
        cursor]))
    const entries = text.split('\n').filter(l => l !== '')
      .map(l => JSON.parse(l))
    cursor = entries.at(-1)?.__CURSOR ?? cursor
    return entries
  }
  const told = entries => entries.map(e =>
    `${e._SYSTEMD_UNIT}: ${e.PRIORITY}: ${e.MESSAGE}`).join('\n')
  const errors = entries => entries.filter(e => Number(e.PRIORITY) <= 3)

  test('a planned stop or restart is no error, a crash is', async () => {
    news(home)
    for (let i = 0; i < 5; i++) {
      home.systemctl('stop', 'meshllm.target')
      await waitFor('the end', () => SERVICES.every(s =>
        home.show(s, 'ActiveState') === 'inactive'), { ms: 60000 })
      home.systemctl('start', 'meshllm.target')
      await home.whole()
      home.systemctl('restart', 'meshllm.target')
      await home.whole()
    }
    const target = news(home)
    assert.equal(told(errors(target)), '')
    assert.equal(target.filter(e => e[EVENT] === 'stopping').length,
      10 * SERVICES.length)
    for (const s of SERVICES) home.systemctl('restart', `meshllm-${s}.service`)
    await home.whole()
    const one = news(home)
    assert.equal(told(errors(one)), '')
    assert.ok(one.some(e => e[EVENT] === 'channel-left'), told(one))
    for (const s of SERVICES) {
      home.systemctl('kill', '--kill-who=main', '--signal=KILL',
        `meshllm-${s}.service`)
      const found = []
      await waitFor(`an error that names ${s}`, () => {
        found.push(...errors(news(home)))
        return found.some(e => e[EVENT] === 'channel-lost' &&
          e.MESSAGE.includes(`to=${s}`))
      }).catch(e => { throw new Error(`${e.message}: ${home.journal()}`) })
      await home.whole()
    }
    await askUntilAnswered(home, 'after-crashes')
  })

  test('a network that is pulled and comes back', async () => {
    gpu.network('ip', 'link', 'set', 'host0', 'down')
    const failed = ask(home, 'badger', 'pulled')
    assert.ok(!failed.ok)
    assert.ok(failed.error, JSON.stringify(failed))
    gpu.network('ip', 'link', 'set', 'host0', 'up')
    await askUntilAnswered(home, 'plugged')
    await askUntilAnswered(far, 'plugged')
  })

  test('a machine that is rebooted is the same node, by itself', async () => {
    const { id } = gpu.status()
    backend.kill('SIGTERM')
    await gpu.reboot()
    await gpu.whole()
    startBackend()
    assert.equal(gpu.status().id, id)
    await askUntilAnswered(home, 'rebooted')
    // The shutdown, of which the journal is kept.
    const last = gpu.entries('-u', 'meshllm-*', '-b', '-1')
    assert.ok(last.some(e => e[EVENT] === 'stopping'))
    const from = last.findLastIndex(e => e[EVENT] === 'serving')
    assert.equal(told(errors(last.slice(from))), '')
  })

  test('an upgrade keeps keys, decisions and configuration', async () => {
    const { id } = far.status()
    far.must('meshllm', 'trust', 'pin', gpu.status().id, 'ab'.repeat(32))
    const kept = () => far.must('sh', '-c', 'cat /etc/meshllm/meshllm.conf; ' +
      'cd /var/lib/meshllm && sha256sum cryptod/identity* attestd/trust*; ' +
      'stat -c "%n %U %a" /var/lib/meshllm/*')
    const before = kept()
    const pid = far.show('cryptod', 'MainPID')
    far.must('apt-get', 'install', '-q', '-y', far.givePackage('next'))
    assert.match(far.must('dpkg-query', '-W', '-f', '${Version}', 'meshllm'),
      /\+next$/)
    await far.whole()
    assert.notEqual(far.show('cryptod', 'MainPID'), pid)
    assert.equal(kept(), before)
    assert.equal(far.status().id, id)
    assert.match(far.must('meshllm', 'trust', 'list'), /abababab/)
    far.must('meshllm', 'trust', 'unpin', gpu.status().id)
    await askUntilAnswered(far, 'upgraded')
  })

  test('another user of the machine reaches nothing', async () => {
    const nobody = 'somebody'
    const denied = (...command) => {
      const done = home.as(nobody, ...command)
      assert.notEqual(done.status, 0, command.join(' '))
      assert.match(done.stderr,
        /denied|not permitted|authentication required|root decides/i,
        command.join(' '))
    }
    // Without this the rest would show nothing.
    assert.equal(home.as(nobody, 'id', '-un').stdout, `${nobody}\n`)
    assert.equal(home.as(nobody, 'cat', '/proc/self/environ').status, 0)

    denied('cat', '/etc/meshllm/meshllm.conf')
    for (const d of ['cryptod', 'attestd', 'gossipd']) {
      denied('ls', `/var/lib/meshllm/${d}`)
      denied('cat', `/var/lib/meshllm/${d}/identity`)
    }
    denied('touch', '/var/lib/meshllm/x')
    denied('touch', '/run/meshllm/x')
    for (const door of home.must('ls', '/run/meshllm').trim().split('\n')) {
      const knock = home.as(nobody, 'perl', '-MSocket', '-e', `
        socket(S, AF_UNIX, SOCK_SEQPACKET, 0) or die;
        print connect(S, sockaddr_un("/run/meshllm/${door}")) ? "in" : "$!"`)
      assert.equal(knock.stdout, 'Permission denied', door)
    }
    const token = /^join = (.*)$/m.exec(
      home.must('cat', '/etc/meshllm/meshllm.conf'))[1]
    const pids = home.must('pgrep', '-f', '^/usr/sbin/meshllm-').trim()
      .split('\n')
    assert.ok(pids.length >= SERVICES.length)
    for (const pid of pids) {
      for (const f of ['mem', 'environ', 'maps', 'auxv', 'stack', 'syscall']) {
        denied('head', '-c', '1', `/proc/${pid}/${f}`)
      }
      denied('ls', `/proc/${pid}/fd/`)
      denied('kill', '-9', pid)
      const traced = home.as(nobody, 'perl', '-e', `
        print syscall(101, 16, ${pid}, 0, 0) == -1 ? "$!" : "attached"`)
      assert.equal(traced.stdout, 'Operation not permitted')
      assert.ok(!home.must('cat', `/proc/${pid}/cmdline`).includes(token))
    }
    for (const verb of ['stop', 'restart', 'kill', 'reload']) {
      denied('systemctl', '--no-ask-password', verb, 'meshllm-proxyd.service')
    }
    denied('meshllm', 'trust', 'pin', 'ab'.repeat(32), 'ab'.repeat(32))
    const read = home.as(nobody, 'journalctl', '--no-pager', '-o', 'cat')
    assert.doesNotMatch(read.stdout, /request|peer|meshllm/)
    await home.whole()
    await askUntilAnswered(home, 'still-there')
  })

  test('meshllm doctor names what is broken, and how to mend it', t => {
    const doctor = (...prefix) => {
      const done = home.run(...prefix, 'meshllm', 'doctor')
      return { status: done.status, text: done.stdout + done.stderr }
    }
    const item = (text, name) => {
      const found = new RegExp(`^ *(true|false|unknown) +${name} .*\n.*\n` +
        '(?: +to get it: (.*))?', 'm').exec(text)
      assert.ok(found, `no ${name} in ${text}`)
      return { state: found[1], how: found[2] }
    }
    const whole = doctor()
    assert.equal(whole.status, 0, whole.text)

    // Another file in place of the kernel's.
    const fake = (file, text) => ({
      spoil: () => home.must('sh', '-c', 'printf "%s\\n" "$1" >/root/fake; ' +
        'mount --bind /root/fake "$2"', 'sh', text, file),
      mend: () => home.must('umount', file)
    })
    const broken = {
      'own-users': {
        spoil: () => home.must('sh', '-c', 'cp /etc/passwd /root/ && ' +
          'sed -i /^meshllm-crypto:/d /etc/passwd'),
        mend: () => home.must('cp', '/root/passwd', '/etc/passwd')
      },
      'no-preload': {
        spoil: () => home.must('sh', '-c',
          'ls /usr/lib/*/libm.so.6 >/etc/ld.so.preload'),
        mend: () => home.must('rm', '/etc/ld.so.preload')
      },
      'untainted-kernel': fake('/proc/sys/kernel/tainted', '4096'),
      'bpf-restricted':
        fake('/proc/sys/kernel/unprivileged_bpf_disabled', '0'),
      'perf-restricted': fake('/proc/sys/kernel/perf_event_paranoid', '0'),
      'no-suid-dumps': fake('/proc/sys/fs/suid_dumpable', '1'),
      'swap-safe': fake('/proc/swaps',
        'Filename Type Size Used Priority\n/dev/sda2 partition 999 0 -2')
    }
    for (const [name, { spoil, mend }] of Object.entries(broken)) {
      assert.equal(item(whole.text, name).state, 'true', whole.text)
      spoil()
      const now = doctor()
      mend()
      const { state, how } = item(now.text, name)
      assert.equal(state, 'false', `${name}: ${now.text}`)
      assert.ok(how, now.text)
      assert.equal(item(doctor().text, name).state, 'true', name)
      t.diagnostic(`${name}: ${how}`)
    }
    // A promise that cannot be kept is more than a hint.
    broken['own-users'].spoil()
    const promise = doctor()
    broken['own-users'].mend()
    assert.equal(promise.status, 1)
    assert.match(promise.text, /BROKEN +P7[^]*own-users/)

    // What a filter or a right that is taken away breaks.
    for (const [name, property] of Object.entries({
      'secret-memory': 'SystemCallFilter=~memfd_secret',
      landlock: 'SystemCallFilter=~landlock_create_ruleset',
      guarded: 'SystemCallFilter=~ptrace',
      'no-network': 'RestrictNamespaces=yes'
    })) {
      assert.equal(item(whole.text, name).state, 'true', whole.text)
      const now = doctor('systemd-run', '-q', '--pipe', '--wait', '-p',
        property, '-p', 'SystemCallErrorNumber=EPERM')
      const { state, how } = item(now.text, name)
      assert.equal(state, 'false', `${name}: ${now.text}`)
      assert.ok(how, now.text)
      t.diagnostic(`${name}: ${how}`)
    }
  })

  test('keys and prompts stay in memory', () => {
    for (const m of machines) {
      assert.match(m.journal(2000), /meshllm-cryptod.* memfd_secret=yes/)
      const pid = m.show('proxyd', 'MainPID')
      const [, locked] = /VmLck:\s+(\d+) kB/.exec(
        m.must('cat', `/proc/${pid}/status`))
      // The unit asks for no limit; whoever runs this may have less to give.
      if (/locked memory +unlimited/.test(m.must('cat', `/proc/${pid}/limits`))) {
        assert.ok(Number(locked) > 0)
      } else {
        assert.match(m.journal(2000), /meshllm-proxyd.* memory-not-locked/)
      }
    }
  })

  test('only the signer has the TPM', async () => {
    // Another device of that name: what matters is who sees it.
    home.must('mknod', '-m', '660', '/dev/tpmrm0', 'c', '10', '200')
    home.must('chgrp', 'tss', '/dev/tpmrm0')
    const before = home.must('cat', '/etc/meshllm/meshllm.conf')
    home.configure(`${before}[attestd]\nattester = tpm2\n`)
    home.systemctl('restart', 'meshllm.target')
    await home.whole()
    const group = home.must('getent', 'group', 'tss').split(':')[2]
    const may = SERVICES.filter(s => {
      const pid = home.show(s, 'MainPID')
      const groups = /^Groups:\s*(.*)$/m.exec(
        home.must('cat', `/proc/${pid}/status`))[1].trim().split(' ')
      const sees = home.run('test', '-e',
        `/proc/${pid}/root/dev/tpmrm0`).status === 0
      assert.equal(sees, groups.includes(group), s)
      return sees
    })
    assert.deepEqual(may, ['attestd-signer'])
    // It tried: this one does not answer as a TPM does.
    await waitFor('the signer to try', () => /attester-failed.*the TPM/.test(
      home.run('journalctl', '--no-pager', '-u', 'meshllm-attestd-signer')
        .stdout))
    home.must('rm', '/dev/tpmrm0')
    home.configure(before)
  })

  test('the identity can come as a sealed credential', async () => {
    const id = home.status().id
    home.systemctl('stop', 'meshllm.target')
    home.must('systemd-creds', 'encrypt', '--with-key=host', '--name=identity',
      '/var/lib/meshllm/cryptod/identity', '/etc/meshllm/identity.cred')
    home.must('sh', '-ec', `
      cd /etc/systemd/system
      mkdir meshllm-cryptod.service.d
      printf '[Service]\\nLoadCredentialEncrypted=identity:%s\\n' \
        /etc/meshllm/identity.cred >meshllm-cryptod.service.d/override.conf
      shred -u /var/lib/meshllm/cryptod/identity
      systemctl daemon-reload`)
    home.systemctl('start', 'meshllm.target')
    await home.whole()
    assert.match(home.journal(), /meshllm-cryptod.* credential=yes/)
    assert.equal(home.status().id, id)
    assert.notEqual(home.run('test', '-e',
      '/var/lib/meshllm/cryptod/identity').status, 0)
    await askUntilAnswered(home, 'with-a-credential')
  })

  test('removal stops it and keeps the state, purge leaves nothing', async () => {
    far.must('apt-get', 'remove', '-q', '-y', 'meshllm')
    assert.equal(far.run('pgrep', '-f', 'meshllm-').stdout, '')
    far.must('test', '-s', '/var/lib/meshllm/cryptod/identity')
    far.must('apt-get', 'purge', '-q', '-y', 'meshllm')
    for (const p of ['/var/lib/meshllm', '/etc/meshllm', '/run/meshllm']) {
      assert.notEqual(far.run('test', '-e', p).status, 0, p)
    }
    assert.equal(far.run('getent', 'passwd').stdout.match(/meshllm/), null)
    assert.equal(far.run('getent', 'group').stdout.match(/meshllm/), null)
    assert.equal(far.run('sh', '-c', 'find / -xdev -name "*meshllm*" ' +
      '-not -path "/root/*" -not -path "/proc/*" ' +
      '-not -path "/var/log/journal/*" -not -path "/usr/share/doc/*"')
      .stdout, '')
    await askUntilAnswered(home, 'one-less')
  })
})

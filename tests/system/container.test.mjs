// A node as the entry of a container, by a real runtime (crun) with the
// capabilities and the seccomp profile that Podman gives: what is left of the
// promises, and what doctor says of the rest.  contrib/oci/README.md.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import { buildDir, chat, Program, startBackend, startNode, suiteScope,
  waitFor } from './lib.mjs'

const PROFILE = process.env.CONTAINERS_SECCOMP ??
  '/usr/share/containers/seccomp.json'
const USERS = ['meshllm-crypto', 'meshllm-attest', 'meshllm-gossip',
  'meshllm-proxy']
const CAPS = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'KILL',
  'NET_BIND_SERVICE', 'SETFCAP', 'SETGID', 'SETPCAP', 'SETUID', 'SYS_CHROOT']
  .map(c => `CAP_${c}`)
const OLD = /^(memfd_secret|ptrace|landlock_.*)$/

// It makes no cgroup, but will not look at those of older machines.
const CRUN = ['--mount', 'sh', '-c', 'mount -t cgroup2 cgroup2 ' +
  '/sys/fs/cgroup; exec crun --cgroup-manager=disabled "$@"', 'crun']
const crun = (...args) => spawnSync('unshare', [...CRUN, ...args],
  { encoding: 'utf8', timeout: 30000 })

function whyNot () {
  if (process.getuid() !== 0) return 'only root can start a container'
  if (spawnSync('unshare', ['--mount', '--pid', '--fork', 'true']).status !== 0) {
    return 'this machine makes no namespaces'
  }
  if (crun('--version').status !== 0) return 'crun is missing'
  // Who enters a mount namespace gets its root: not ours, in a chroot.
  const top = spawnSync('nsenter', ['--mount=/proc/self/ns/mnt', 'stat',
    '-c', '%d %i', '/'], { encoding: 'utf8' }).stdout.trim()
  const { dev, ino } = fs.statSync('/')
  if (top !== `${dev} ${ino}`) return 'this is a chroot: crun exec leaves it'
  if (!fs.existsSync(PROFILE)) {
    return `no ${PROFILE} (golang-github-containers-common)`
  }
  return false
}

// What engines make of their profile for one machine and one container.
function seccomp (caps, without) {
  const profile = JSON.parse(fs.readFileSync(PROFILE))
  const arch = { x64: 'amd64', arm64: 'arm64' }[process.arch]
  const applies = ({ includes = {}, excludes = {} }) =>
    (includes.arches ?? [arch]).includes(arch) &&
    (includes.caps ?? []).every(c => caps.includes(c)) &&
    !(excludes.arches ?? []).includes(arch) &&
    !(excludes.caps ?? []).some(c => caps.includes(c))
  return {
    defaultAction: profile.defaultAction,
    defaultErrnoRet: profile.defaultErrnoRet,
    syscalls: profile.syscalls.filter(applies).map(s => ({
      names: s.names.filter(n => !without.test(n)),
      action: s.action,
      ...(s.errnoRet !== undefined && s.errnoRet !== null &&
        s.action === 'SCMP_ACT_ERRNO' && { errnoRet: s.errnoRet }),
      ...(s.args?.length > 0 && { args: s.args })
    })).filter(s => s.names.length > 0)
  }
}

// The programs of this machine, a file of users, and nothing else.
function makeRoot (dir) {
  for (const d of ['usr', 'etc', 'proc', 'dev', 'sys', 'tmp', 'run', 'build',
    'state']) fs.mkdirSync(path.join(dir, d), { recursive: true })
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    if (fs.existsSync(`/${name}`)) {
      fs.symlinkSync(`usr/${name}`, path.join(dir, name))
    }
  }
  const entry = (name, i) => `${name}:x:${900 + i}:${900 + i}::/:/bin/false\n`
  fs.writeFileSync(path.join(dir, 'etc/passwd'),
    `root:x:0:0::/:/bin/sh\n${USERS.map(entry).join('')}`)
  fs.writeFileSync(path.join(dir, 'etc/group'),
    `root:x:0:\n${USERS.map((n, i) => `${n}:x:${900 + i}:\n`).join('')}`)
}

function configuration (args, { uid = 0, extra = [], without = /^$/, state }) {
  const caps = uid === 0 ? [...CAPS, ...extra] : []
  const bind = (from, to, how = 'ro') => ({ destination: to, type: 'none',
    source: from, options: ['rbind', how] })
  return {
    ociVersion: '1.0.2',
    root: { path: 'root', readonly: true },
    process: {
      user: { uid, gid: uid },
      args,
      cwd: '/',
      env: ['PATH=/usr/sbin:/usr/bin:/sbin:/bin'],
      capabilities: Object.fromEntries(['bounding', 'effective', 'permitted']
        .map(set => [set, caps]))
    },
    mounts: [
      { destination: '/proc', type: 'proc', source: 'proc' },
      { destination: '/dev', type: 'tmpfs', source: 'tmpfs',
        options: ['nosuid', 'mode=755'] },
      { destination: '/tmp', type: 'tmpfs', source: 'tmpfs' },
      bind('/sys', '/sys'), bind('/usr', '/usr'), bind(buildDir, '/build'),
      bind(state, '/state', 'rw')
    ],
    linux: {
      namespaces: ['pid', 'mount', 'ipc', 'uts'].map(type => ({ type })),
      maskedPaths: ['/proc/kcore', '/proc/keys', '/proc/timer_list'],
      readonlyPaths: ['/proc/sys', '/proc/sysrq-trigger'],
      seccomp: seccomp(caps, without)
    }
  }
}

let count = 0

class Container {
  constructor (scope, backend, options) {
    const home = fs.mkdtempSync(path.join(os.tmpdir(), 'meshllm-container-'))
    this.name = `meshllm-test-${process.pid}-${++count}`
    this.bundle = home
    this.user = `${options.uid ?? 0}:${options.uid ?? 0}`
    makeRoot(path.join(home, 'root'))
    const args = ['/build/ctl/meshllm', 'run', '--state-dir=/state',
      '--api=127.0.0.1:0', '--management=127.0.0.1:0', '--mesh=127.0.0.1:0',
      `--backend=${backend.url}`]
    fs.writeFileSync(path.join(home, 'config.json'),
      JSON.stringify(configuration(args, options)))
    // The mounts are the container's own: nothing of them is here.
    scope.after(async () => {
      await this.stop('KILL')
      fs.rmSync(home, { recursive: true, force: true })
    })
  }

  async start () {
    this.run = new Program('unshare',
      [...CRUN, 'run', '--bundle', this.bundle, this.name])
    const line = await this.run.line(/^ready /, 30000)
    this.ready = Object.fromEntries(line.split(' ').slice(1)
      .map(field => field.split(/=(.*)/s).slice(0, 2)))
    return this
  }

  meshllm (...args) {
    return crun('exec', '--user', this.user, this.name, '/build/ctl/meshllm', ...args)
  }

  status () {
    const done = this.meshllm('status', '--json',
      `--management=${this.ready.management}`)
    assert.equal(done.status, 0, done.stderr)
    return JSON.parse(done.stdout)
  }

  // { state, how } of an item of doctor.
  item (name) {
    const text = this.meshllm('doctor').stdout
    const found = new RegExp(`^ *(true|false|unknown) +${name} .*\n.*\n` +
      '(?: +to get it: (.*))?', 'm').exec(text)
    assert.ok(found, `no ${name} in ${text}`)
    return { state: found[1], how: found[2] }
  }

  async stop (signal = 'TERM') {
    if (this.run?.end !== undefined) return this.run.end
    crun('kill', this.name, signal)
    return await this.run?.ended
  }
}

describe('meshllm run in a container', { skip: whyNot() }, () => {
  const scope = suiteScope()
  let backend

  before(async () => { backend = await startBackend(scope) })

  const state = (uid = 0) => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'meshllm-volume-'))
    fs.chmodSync(dir, 0o755)
    fs.chownSync(dir, uid, uid)
    scope.after(() => fs.rmSync(dir, { recursive: true, force: true }))
    return dir
  }
  const start = options => new Container(scope, backend, options).start()

  test('serves, stops at SIGTERM and is the same node again', async t => {
    const options = { state: state(), extra: ['CAP_SYS_ADMIN'] }
    const first = await start(options)
    const token = await waitFor('token', () => first.status().token)
    const outside = await startNode(t, { join: token })
    await outside.waitModel('echo')
    const answer = await chat(outside,
      { messages: [{ role: 'user', content: 'from outside' }] })
    assert.equal(answer.status, 200)
    assert.equal(answer.headers.get('x-meshllm-encrypted'), 'sealed')
    assert.match(await answer.text(), /from outside/)
    assert.deepEqual(first.status().processes.map(p => p.pid).slice(0, 1), [1])
    for (const name of ['secret-memory', 'guarded', 'landlock', 'seccomp',
      'own-users', 'no-network']) {
      assert.equal(first.item(name).state, 'true', name)
    }
    const doctor = first.meshllm('doctor')
    assert.equal(doctor.status, 0, doctor.stdout)
    // It depends on who runs this, but both say the same.
    const locked = first.item('locked-memory').state
    assert.equal(locked === 'false',
      /memory-not-locked/.test(first.run.logText()))
    const { posture } = first.status()
    assert.equal(posture.find(i => i.name === 'locked-memory').value, locked)

    const began = Date.now()
    assert.deepEqual(await first.stop(), { code: 0, signal: null })
    assert.ok(Date.now() - began < 5000)
    assert.doesNotMatch(first.run.logText(), /^error /m)
    const second = await start(options)
    assert.equal(second.ready.id, first.ready.id)
    assert.equal((await second.stop()).code, 0)
  })

  test('without CAP_SYS_ADMIN says that the keepers have a network',
    async () => {
      const c = await start({ state: state() })
      assert.match(c.run.logText(), /less-protected .*CAP_SYS_ADMIN is missing/)
      const { state: now, how } = c.item('no-network')
      assert.equal(now, 'false')
      assert.match(how, /CAP_SYS_ADMIN/)
      const doctor = c.meshllm('doctor')
      assert.equal(doctor.status, 0, doctor.stdout)
      assert.equal((await c.stop()).code, 0)
    })

  test('of an ordinary user serves, and says what that breaks', async () => {
    const c = await start({ state: state(1000), uid: 1000 })
    assert.match(c.run.logText(), /less-protected .*not started by root/)
    const doctor = c.meshllm('doctor')
    assert.equal(doctor.status, 1)
    assert.match(doctor.stdout, /kept +P2[^]*BROKEN +P7[^]*own-users/)
    assert.equal((await c.stop()).code, 0)
  })

  test('with a profile that knows less says what it broke', async () => {
    const c = await start({ state: state(), without: OLD })
    assert.match(c.run.logText(), /warning cryptod guard-off/)
    assert.match(c.run.logText(), /warning cryptod landlock-off/)
    assert.match(c.run.logText(), /info cryptod serving .*memfd_secret=no/)
    const doctor = c.meshllm('doctor')
    assert.equal(doctor.status, 1)
    assert.match(doctor.stdout, /BROKEN +P2[^]*secret-memory[^]*guarded/)
    for (const name of ['secret-memory', 'guarded', 'landlock']) {
      const { state: now, how } = c.item(name)
      assert.equal(now, 'false', name)
      assert.match(how, /container that forbids/, name)
    }
    assert.equal((await c.stop()).code, 0)
  })
})

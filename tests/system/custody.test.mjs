// What protects the daemons of a node from each other and from the machine:
// users, network namespaces, and that a node works with all of it.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { test } from 'node:test'
import {
  chat, events, openProgram, program, runCommand, sleep, startBackend, startNode,
  startPair, waitFor
} from './lib.mjs'

const isRoot = process.getuid() === 0
const users = { crypto: 61001, attest: 61002, gossip: 61003, proxy: 61004 }
const userOf = {
  cryptod: users.crypto,
  'attestd-signer': users.attest,
  'attestd-verifier': users.attest,
  gossipd: users.gossip,
  proxyd: users.proxy
}

// A folder that others may pass through, gone after the test.
function openFolder (t) {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'meshllm-custody-'))
  fs.chmodSync(dir, 0o711)
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }))
  return dir
}

// A command that runs others on a machine that has our users (or has none of
// them), in a mount namespace of its own.
function machine (dir, names) {
  const add = (file, lines) => {
    const kept = fs.readFileSync(file, 'utf8').split('\n')
      .filter(line => !line.startsWith('meshllm-'))
    const copy = path.join(dir, path.basename(file) + names.length)
    fs.writeFileSync(copy, kept.concat(lines).join('\n').trim() + '\n')
    return copy
  }
  const passwd = add('/etc/passwd', names.map(n =>
    `meshllm-${n}:x:${users[n]}:${users[n]}::/nonexistent:/usr/sbin/nologin`))
  const group = add('/etc/group', names.map(n => `meshllm-${n}:x:${users[n]}:`))
  return ['unshare', '--mount', 'sh', '-c',
    `mount --bind ${passwd} /etc/passwd && ` +
    `mount --bind ${group} /etc/group && exec "$@"`, 'sh']
}

const proc = (pid, name) => fs.readFileSync(`/proc/${pid}/${name}`, 'utf8')
const statusOf = pid => Object.fromEntries(proc(pid, 'status').split('\n')
  .map(line => line.split(/:\s*/)).filter(f => f.length === 2))
const network = pid => fs.readlinkSync(`/proc/${pid}/ns/net`)

async function ask (node) {
  const answer = await chat(node, {
    stream: true, messages: [{ role: 'user', content: 'one two three' }]
  })
  assert.equal(answer.status, 200)
  let text = ''
  for await (const e of events(answer.body)) {
    if (e !== '[DONE]') text += JSON.parse(e).choices[0]?.delta?.content ?? ''
  }
  assert.equal(text, 'one two three')
}

test('root without our users is told what is missing, and served', async t => {
  if (!isRoot) return t.skip('needs root')
  const dir = openFolder(t)
  const node = await startNode(t, { wrapper: machine(dir, ['crypto']) })
  const line = node.log.find(l => l.includes('less-protected'))
  assert.match(line, /^warning meshllm less-protected missing="the daemons run as root: no user meshllm-attest"$/)
})

test('an ordinary user is told what is missing, and served', async t => {
  if (!isRoot) return t.skip('needs root to become another')
  const dir = openFolder(t)
  const stateDir = path.join(dir, 'state')
  fs.mkdirSync(stateDir, 0o700)
  fs.chownSync(stateDir, 61005, 61005)
  const backend = await startBackend(t)
  const node = await startNode(t, {
    stateDir,
    backend: backend.url,
    wrapper: ['setpriv', '--reuid=61005', '--regid=61005', '--clear-groups']
  })
  assert.match(node.logText(),
    /warning meshllm less-protected missing="not started by root: .*"/)
  assert.equal(node.log.filter(l => l.includes('less-protected')).length, 1)
  await node.waitModel('echo')
  await ask(node)
})

test('root with our users: each daemon has its own', async t => {
  if (!isRoot) return t.skip('needs root')
  const dir = openFolder(t)
  const stateDir = path.join(dir, 'state')
  const backend = await startBackend(t)

  // Before the users were made the state was root's; it changes hands.
  const before = await startNode(null,
    { stateDir, wrapper: machine(dir, []), keep: true })
  const id = before.ready.id
  await before.stop()
  assert.equal(fs.statSync(path.join(stateDir, 'cryptod/identity')).uid, 0)

  const node = await startNode(t, {
    stateDir,
    backend: backend.url,
    wrapper: machine(dir, Object.keys(users))
  })
  assert.equal(node.ready.id, id)
  assert.doesNotMatch(node.logText(), /less-protected/)
  for (const { name, pid } of (await node.status()).processes) {
    if (name === 'meshllm') continue
    const status = statusOf(pid)
    const uid = String(userOf[name])
    assert.equal(status.Uid, [uid, uid, uid, uid].join('\t'), name)
    assert.equal(status.Gid, [uid, uid, uid, uid].join('\t'), name)
    assert.equal(status.Groups.trim(), '', name)
    for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb']) {
      assert.equal(BigInt(`0x${status[set]}`), 0n, `${name} ${set}`)
    }
    assert.equal(status.NoNewPrivs, '1', name)
    assert.equal(status.Seccomp, '2', name)
    const isApart = network(pid) !== network('self')
    assert.equal(isApart, !['gossipd', 'proxyd'].includes(name), name)
  }
  // Plaintext stays out of swap.
  const { proxyd } = await processesOf(node)
  if (!/memory-not-locked/.test(node.logText())) {
    assert.ok(parseInt(statusOf(proxyd).VmLck) > 1000, statusOf(proxyd).VmLck)
  }
  const identity = fs.statSync(path.join(stateDir, 'cryptod/identity'))
  assert.equal(identity.uid, users.crypto)
  assert.equal(identity.mode & 0o777, 0o600)
  assert.equal(fs.statSync(path.join(stateDir, 'gossipd')).uid, users.gossip)
  await node.waitModel('echo')
  await ask(node)
  assert.equal((await node.stop()).code, 0)
})

test('nodes serve with other malloc settings under their filters', async t => {
  for (const tunables of [
    'glibc.malloc.mmap_threshold=1',
    'glibc.malloc.top_pad=1:glibc.malloc.trim_threshold=1',
    'glibc.malloc.tcache_count=0:glibc.malloc.perturb=85'
  ]) {
    await t.test(tunables, async t => {
      const { client, host } = await startPair(t,
        { client: { tunables }, host: { tunables } })
      for (let i = 0; i < 10; i++) await ask(client)
      const answer = await chat(client, {
        messages: [{ role: 'user', content: 'word '.repeat(200000) }]
      })
      assert.equal(answer.status, 200)
      await answer.text()
      assert.equal((await client.stop()).code, 0)
      assert.equal((await host.stop()).code, 0)
    })
  }
})

// Every look at the clock is a system call then.  The tool ends a program
// that it cannot take its vDSO from.
test('nodes serve where the vDSO has no clock', async t => {
  const dir = openFolder(t)
  fs.chmodSync(dir, 0o755)
  for (const name of ['cryptod', 'attestd', 'gossipd', 'proxyd']) {
    fs.writeFileSync(path.join(dir, `meshllm-${name}`), '#!/bin/sh\n' +
      `exec ${openProgram('tests/tools/without-vdso')} ` +
      `${openProgram(`meshllm-${name}`)} "$@"\n`, { mode: 0o755 })
  }
  // With TEST_REACH it is the tracer that takes it from them.
  const args = process.env.TEST_REACH ? [] : [`--daemon-dir=${dir}`]
  const { client, host } = await startPair(t,
    { client: { args }, host: { args } })
  for (let i = 0; i < 3; i++) await ask(client)
  await sleep(6000) // every five seconds libevent compares two clocks
  await ask(client)
  assert.equal((await client.stop()).code, 0)
  assert.equal((await host.stop()).code, 0)
})

const guarded = ['cryptod', 'attestd-signer', 'attestd-verifier']

async function processesOf (node) {
  const { processes } = await node.status()
  return Object.fromEntries(processes.map(p => [p.name, p.pid]))
}

const tracerOf = pid => Number(statusOf(pid).TracerPid)

function run (file, args) {
  const end = spawnSync(file, args, { encoding: 'utf8', timeout: 20000 })
  return { ...end, text: end.stdout + end.stderr }
}

const isThere = file => run('sh', ['-c', `command -v ${file}`]).status === 0

test('no debugger gets at the keepers of keys or at their guards', async t => {
  if (!isRoot) return t.skip('needs root')
  for (const tool of ['gdb', 'strace', 'gcore']) {
    if (!isThere(tool)) return t.skip(`${tool} is not installed`)
  }
  const dir = openFolder(t)
  const node = await startNode(t)
  const processes = await processesOf(node)
  for (const name of guarded) {
    const guard = tracerOf(processes[name])
    assert.notEqual(guard, 0, name)
    assert.equal(tracerOf(guard), processes[name])
    for (const pid of [processes[name], guard]) {
      const core = path.join(dir, 'core')
      const gdb = run('gdb', ['-nx', '-batch', '-p', String(pid)])
      assert.match(gdb.text, /already traced by process/)
      assert.match(gdb.text, /Operation not permitted/)
      const strace = run('timeout', ['2', 'strace', '-p', String(pid)])
      assert.equal(strace.status, 1)
      assert.match(strace.text, /Operation not permitted/)
      const gcore = run('gcore', ['-o', core, String(pid)])
      assert.notEqual(gcore.status, 0)
      assert.equal(fs.existsSync(`${core}.${pid}`), false)
    }
  }
  // The control: the same tools work on a process that nobody guards.
  const strace = run('timeout',
    ['1', 'strace', '-p', String(processes.gossipd)])
  assert.match(strace.text, /attached|epoll/)
  assert.equal((await node.stop()).code, 0)
})

test('a guard that is killed takes its daemon and the node along', async t => {
  if (!isRoot) return t.skip('needs root')
  for (const name of guarded) {
    const node = await startNode(t)
    const processes = await processesOf(node)
    const guard = tracerOf(processes[name])
    assert.ok(guard > 0, name) // 0 would be all of us
    process.kill(guard, 'SIGKILL')
    const line = await node.waitLog(/ daemon-died /)
    assert.match(line, new RegExp(`^error meshllm daemon-died daemon=${name} ` +
      `pid=${processes[name]} how="killed by SIGKILL: .*with its guard"`))
    assert.equal((await node.ended).code, 1)
    for (const pid of Object.values(processes)) {
      assert.equal(fs.existsSync(`/proc/${pid}`), false)
    }
  }
})

test('a guarded daemon can be stopped and goes on', async t => {
  if (!isRoot) return t.skip('needs root')
  const backend = await startBackend(t)
  const node = await startNode(t, { backend: backend.url })
  const { cryptod } = await processesOf(node)
  await node.waitModel('echo')
  for (let i = 0; i < 3; i++) {
    process.kill(cryptod, 'SIGSTOP')
    await ask(node)
    process.kill(cryptod, 'SIGCONT')
    await ask(node)
  }
  assert.equal((await node.stop()).code, 0)
})

// The kernel ends gossipd's wait for the signature and begins it again.
test('a machine may sleep in the middle of a handshake', async t => {
  if (!isRoot) return t.skip('needs root')
  const backend = await startBackend(t)
  const host = await startNode(t, { backend: backend.url })
  const token = await host.token()
  const { cryptod, gossipd } = await processesOf(host)
  process.kill(cryptod, 'SIGSTOP')
  const client = await startNode(t, { join: token })
  await waitFor('a handshake', () => /^poll/.test(
    fs.readFileSync(`/proc/${gossipd}/wchan`, 'utf8')),
  { ms: 60000, every: 10 })
  process.kill(gossipd, 'SIGSTOP')
  await sleep(100)
  process.kill(gossipd, 'SIGCONT')
  process.kill(cryptod, 'SIGCONT')
  await client.waitModel('echo', { ms: 60000 })
  await ask(client)
  assert.equal((await client.stop()).code, 0)
  assert.equal((await host.stop()).code, 0)
})

const sha256 = file =>
  createHash('sha256').update(fs.readFileSync(file)).digest('hex')

test('the status has what was measured, and the programs that run', async t => {
  const dir = openFolder(t)
  const names = ['cryptod', 'attestd', 'gossipd', 'proxyd']
  for (const name of names) {
    fs.copyFileSync(program(`meshllm-${name}`), path.join(dir, `meshllm-${name}`))
  }
  const node = await startNode(t, { args: [`--daemon-dir=${dir}`] })
  // What lies there now is not what runs.
  const was = Object.fromEntries(names.map(name =>
    [name, sha256(path.join(dir, `meshllm-${name}`))]))
  for (const name of names) {
    fs.rmSync(path.join(dir, `meshllm-${name}`))
    fs.writeFileSync(path.join(dir, `meshllm-${name}`), 'something else')
  }
  const status = await waitFor('posture', async () => {
    const s = await node.status()
    return s.posture.length > 0 ? s : undefined
  })
  assert.deepEqual(status.images, {
    cryptod: was.cryptod,
    'attestd-signer': was.attestd,
    'attestd-verifier': was.attestd,
    gossipd: was.gossipd,
    proxyd: was.proxyd
  })
  for (const item of status.posture) {
    assert.match(item.value, /^(true|false|unknown)$/, item.name)
    assert.notEqual(item.source, '', item.name)
  }
  const value = Object.fromEntries(status.posture.map(i => [i.name, i.value]))
  for (const name of ['no-core-dumps', 'seccomp', 'guarded']) {
    assert.equal(value[name], 'true', name)
  }
  assert.equal(status.announced_posture.core_dumps_disabled, true)
  assert.equal(status.announced_posture.debugger_blocked,
    value['ptrace-off'] === 'true')
})

test('doctor names every item, and a promise that cannot be kept', t => {
  const none = runCommand(['doctor'])
  const items = none.stdout.split('\nthis machine\n')[1]
    .match(/^ {2}(true|false|unknown) +[a-z-]+ /gm)
  assert.ok(items.length >= 30)
  assert.match(none.stdout, /P2/)
  assert.match(none.stdout, /P7/)
  assert.equal(none.status, /BROKEN/.test(none.stdout) ? 1 : 0)
  assert.equal(runCommand(['doctor', 'now']).status, 2)
  if (!isRoot) return
  const dir = openFolder(t)
  const [file, ...args] = machine(dir, Object.keys(users))
  const all = run(file, [...args, program('ctl/meshllm'), 'doctor'])
  assert.match(all.stdout, /true +own-users/)
  if (!/false +(secret-memory|guarded)/.test(all.stdout)) {
    assert.equal(all.status, 0, all.stdout)
  }
})

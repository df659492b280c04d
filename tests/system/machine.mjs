// A machine with a systemd of its own: Debian in a folder, booted by
// systemd-nspawn on the network of the test, with what was built installed.
// Needs root, systemd-nspawn and, the first time, debootstrap and a mirror.
import { spawn, spawnSync } from 'node:child_process'
import {
  appendFileSync, chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync,
  readFileSync, renameSync, rmSync, writeFileSync
} from 'node:fs'
import path from 'node:path'
import { buildDir, sleep, waitFor } from './lib.mjs'

// The same Debian as here: what was built here wants its C library.
const CODENAME = /^VERSION_CODENAME=(\w+)$/m
  .exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? 'bookworm'
const BASE = process.env.MACHINE_ROOT ?? `/var/tmp/meshllm-${CODENAME}`
const PACKAGES = 'systemd,systemd-sysv,dbus,procps,passwd'

function must (file, args, options = {}) {
  const done = spawnSync(file, args, { encoding: 'utf8', ...options })
  if (done.status !== 0) {
    throw new Error(`${file} ${args.join(' ')}: ${done.error ?? done.stderr}`)
  }
  return done.stdout
}

const has = file => spawnSync('which', [file]).status === 0

// Why no machine can be booted here; undefined: one can.
export function missing () {
  if (process.getuid() !== 0) return 'only root can boot a machine'
  if (!has('systemd-nspawn')) return 'systemd-nspawn (systemd-container) is missing'
  if (!existsSync(BASE) && !has('debootstrap')) {
    return `no ${BASE} (MACHINE_ROOT), and debootstrap is missing`
  }
  return undefined
}

function makeBase () {
  if (existsSync(BASE)) return
  const fresh = mkdtempSync(`${BASE}.`)
  try {
    must('debootstrap', ['--variant=minbase', `--include=${PACKAGES}`,
      CODENAME, fresh], { timeout: 600000 })
    renameSync(fresh, BASE)
  } catch (e) {
    // debootstrap may leave something mounted.
    spawnSync('rm', ['-rf', '--one-file-system', fresh])
    throw e
  }
}

// A directory of the build, as configure was told: sbindir, sysconfdir...
export function builtDir (name) {
  const makefile = readFileSync(path.join(buildDir, 'Makefile'), 'utf8')
  const value = n => new RegExp(`^${n} = (.*)$`, 'm').exec(makefile)?.[1]
  const expand = text => text.replace(/\$\{(\w+)\}/g,
    (_, n) => expand(value(n)))
  return expand(value(name))
}

// The libraries that a program wants and this Debian has not.
function copyLibraries (root, program) {
  for (const m of must('ldd', [program]).matchAll(/=> (\/\S+)/g)) {
    const to = path.join(root, m[1])
    if (existsSync(to)) continue
    mkdirSync(path.dirname(to), { recursive: true })
    copyFileSync(m[1], to)
  }
}

function install (root) {
  must('make', ['-s', '-C', buildDir, 'install', `DESTDIR=${root}`])
  for (const name of ['cryptod', 'attestd', 'gossipd', 'proxyd']) {
    copyLibraries(root, path.join(root, builtDir('sbindir'), `meshllm-${name}`))
  }
  copyLibraries(root, path.join(root, builtDir('bindir'), 'meshllm'))
}

export const SERVICES = ['cryptod', 'attestd-signer', 'attestd-verifier',
  'gossipd', 'proxyd']

export class Machine {
  constructor () {
    makeBase()
    this.root = mkdtempSync('/var/tmp/meshllm-machine-')
    must('cp', ['-a', '--reflink=auto', `${BASE}/.`, this.root])
    chmodSync(this.root, 0o755) // it is the machine's /
    this.configFile = path.join(this.root, builtDir('sysconfdir'),
      'meshllm/meshllm.conf')
    install(this.root)
  }

  configure (text) {
    this.config = text
    mkdirSync(path.dirname(this.configFile), { recursive: true })
    writeFileSync(this.configFile, text)
  }

  // The path of a file of it as it is inside.
  inside (file) { return file.slice(this.root.length) }

  async boot () {
    const console = path.join(this.root, 'console')
    appendFileSync(console, '')
    // nspawn forbids these to what runs inside unless it is told.
    this.child = spawn('systemd-nspawn', ['-q', '-D', this.root, '--boot',
      '--register=no', '--keep-unit', `--machine=${path.basename(this.root)}`,
      '--system-call-filter=landlock_create_ruleset landlock_add_rule ' +
      'landlock_restrict_self memfd_secret ptrace'],
    { stdio: ['ignore', 'ignore', 'ignore'] })
    this.ended = new Promise(resolve => this.child.on('close', resolve))
    await waitFor('systemd', () => {
      const first = spawnSync('pgrep', ['-P', String(this.child.pid)],
        { encoding: 'utf8' }).stdout.split('\n')[0]
      this.leader = first === '' ? undefined : first
      return this.leader !== undefined &&
        /running|degraded/.test(this.run('systemctl', 'is-system-running').stdout)
    }, { ms: 180000, every: 300 })
    this.must('systemd-sysusers')
    this.must('systemd-tmpfiles', '--create')
    return this
  }

  // { status, stdout, stderr } of a command inside.
  run (...command) {
    return spawnSync('nsenter', ['-t', this.leader, '-r', '-m', '-u', '-i',
      '-p', '-C', ...command], { encoding: 'utf8', timeout: 60000,
      maxBuffer: 64 << 20 })
  }

  must (...command) {
    const done = this.run(...command)
    if (done.status !== 0) {
      throw new Error(`${command.join(' ')}: status ${done.status}\n` +
        `${done.stdout}${done.stderr}\n${this.journal()}`)
    }
    return done.stdout
  }

  systemctl (...args) { return this.must('systemctl', ...args) }

  // Of one of our units: { ActiveState, StatusText, MainPID, ... }.
  show (service) {
    const text = this.must('systemctl', 'show', '-p',
      'ActiveState,SubState,StatusText,MainPID,NRestarts,Result',
      `meshllm-${service}.service`)
    return Object.fromEntries(text.trim().split('\n')
      .map(l => l.split(/=(.*)/s).slice(0, 2)))
  }

  statuses () {
    return Object.fromEntries(SERVICES.map(s => [s, this.show(s).StatusText]))
  }

  // Until every daemon has all its channels.
  async whole ({ ms = 60000 } = {}) {
    let last
    await waitFor('whole node', () => {
      last = this.statuses()
      return Object.values(last).every(s => s === 'serving')
    }, { ms, every: 20 }).catch(e => {
      throw new Error(`${e.message}: ${JSON.stringify(last)}\n${this.journal()}`)
    })
  }

  journal (since) {
    return this.run('journalctl', '--no-pager', '-o', 'short-precise', '-n',
      '400', '-u', 'meshllm*', ...(since ? ['--since', since] : [])).stdout
  }

  // All of one unit's, what systemd says of it too.
  unitJournal (service) {
    return this.run('journalctl', '--no-pager', '-u', `meshllm-${service}`)
      .stdout
  }

  async stop () {
    if (this.child !== undefined) {
      this.child.kill('SIGTERM') // an orderly end
      const late = setTimeout(() => this.child.kill('SIGKILL'), 30000)
      await this.ended
      clearTimeout(late)
    }
    await sleep(100)
    must('rm', ['-rf', '--one-file-system', this.root])
  }
}

export async function startMachine (t, config) {
  const machine = new Machine()
  t.after(() => machine.stop())
  machine.configure(config)
  return await machine.boot()
}

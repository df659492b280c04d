// Machines with a systemd of their own: Debian, booted by systemd-nspawn on a
// copy of a cached root (an overlay, so that the cache stays as it is), joined
// by a bridge.  Runs in namespaces of its own (./run): what is mounted, and
// the bridge, end with them.
import { spawn, spawnSync } from 'node:child_process'
import {
  copyFileSync, mkdirSync, mkdtempSync, readdirSync, readlinkSync,
  writeFileSync
} from 'node:fs'
import path from 'node:path'
import { sleep, waitFor } from '../system/lib.mjs'

const CACHE = process.env.MESHLLM_MACHINES
const PLACE = '/tmp/machines'
export const SERVICES = ['cryptod', 'attestd-signer', 'attestd-verifier',
  'gossipd', 'proxyd']

export function must (file, args, options = {}) {
  const done = spawnSync(file, args, { encoding: 'utf8', ...options })
  if (done.status !== 0) {
    throw new Error(`${file} ${args.join(' ')}: ${done.error ?? done.stderr}`)
  }
  return done.stdout
}

// Once, before the first machine.  The namespaces must be ours.
export function prepareHost () {
  const outside = process.env.MACHINES_OUTSIDE?.split(' ') ?? []
  if (outside.length !== 2 || ['mnt', 'net'].some(ns =>
    outside.includes(readlinkSync(`/proc/self/ns/${ns}`)))) {
    throw new Error('not in namespaces of its own: use tests/machines/run')
  }
  must('sh', ['-ec', `
    mount --make-rprivate /
    mount -t tmpfs tmpfs /tmp
    mkdir ${PLACE}
    umount -l /sys/fs/cgroup
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    # nspawn gives it on as it is here, and some machine has it read-only.
    mknod -m 666 ${PLACE}/null c 1 3
    mount --bind ${PLACE}/null /dev/null
    ip link set lo up
    ip link add bridge0 type bridge
    ip link set bridge0 up`])
}

let count = 0

export class Machine {
  constructor (release) {
    count++
    this.release = release
    this.name = `${release}-${count}`
    this.address = `10.77.0.${10 + count}`
    this.dir = path.join(PLACE, this.name)
    this.root = path.join(this.dir, 'root')
    for (const d of ['up', 'work', 'root']) {
      mkdirSync(path.join(this.dir, d), { recursive: true })
    }
    must('mount', ['-t', 'overlay', 'overlay', '-o',
      `lowerdir=${CACHE}/${release},upperdir=${this.dir}/up,` +
      `workdir=${this.dir}/work`, this.root])
    writeFileSync(path.join(this.root, 'etc/hostname'), `${this.name}\n`)
    this.cgroup = mkdtempSync('/sys/fs/cgroup/meshllm-machine-')
  }

  // A package of the tree, in the machine's /root.
  givePackage (subdirectory = '.') {
    const from = path.join(CACHE, 'packages', this.release, subdirectory)
    const name = readdirSync(from).find(f => /^meshllm_.*\.deb$/.test(f))
    copyFileSync(path.join(from, name), path.join(this.root, 'root', name))
    return `/root/${name}`
  }

  async boot ({ without = [] } = {}) {
    // nspawn forbids these to what runs inside unless it is told.
    const calls = ['landlock_create_ruleset', 'landlock_add_rule',
      'landlock_restrict_self', 'memfd_secret', 'ptrace']
      .filter(c => !without.includes(c))
    this.child = spawn('sh', ['-c',
      `echo $$ >${this.cgroup}/cgroup.procs && exec "$@"`, 'sh',
      'systemd-nspawn', '-q', '-D', this.root, '--boot', '--register=no',
      '--keep-unit', `--machine=${this.name}`, '--network-bridge=bridge0',
      '--console=pipe', '--resolv-conf=off', '--timezone=off',
      `--system-call-filter=${calls.join(' ')}`],
    { stdio: ['ignore', 'ignore', 'ignore'] })
    this.ended = new Promise(resolve => this.child.on('close', resolve))
    await this.up()
    return this
  }

  // nspawn leaves it to whoever started it to do so again.
  async reboot () {
    this.run('systemctl', 'reboot')
    await this.ended
    await this.boot()
  }

  async up () {
    await waitFor(`${this.name} to boot`, () => {
      const first = spawnSync('pgrep', ['-P', String(this.child.pid)],
        { encoding: 'utf8' }).stdout.split('\n')[0]
      if (first === '') return false
      this.leader = first
      return /running|degraded/.test(
        this.run('systemctl', 'is-system-running').stdout)
    }, { ms: 120000, every: 300 })
    this.network('ip', 'addr', 'add', `${this.address}/24`, 'dev', 'host0')
    this.network('ip', 'link', 'set', 'host0', 'up')
  }

  // A program of ours in the network of this machine.
  network (...command) {
    return must('nsenter', ['-t', this.leader, '-n', ...command])
  }

  networkSpawn (...command) {
    return spawn('nsenter', ['-t', this.leader, '-n', ...command],
      { stdio: ['ignore', 'pipe', 'pipe'] })
  }

  // { status, stdout, stderr } of a command inside.
  run (...command) {
    return spawnSync('nsenter', ['-t', this.leader, '-m', '-u', '-i', '-p',
      '-n', '-C', '-r', 'env', '-i', '-C', '/',
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root',
      'DEBIAN_FRONTEND=noninteractive', ...command],
    { encoding: 'utf8', timeout: 180000, maxBuffer: 64 << 20 })
  }

  must (...command) {
    const done = this.run(...command)
    if (done.status !== 0) {
      throw new Error(`${this.name}: ${command.join(' ')}: status ` +
        `${done.status}\n${done.stdout}${done.stderr}\n${this.journal()}`)
    }
    return done.stdout
  }

  as (user, ...command) {
    return this.run('setpriv', `--reuid=${user}`, `--regid=${user}`,
      '--init-groups', '--inh-caps=-all', '--bounding-set=-all', ...command)
  }

  systemctl (...args) { return this.must('systemctl', ...args) }

  journal (n = 120) {
    return this.run('journalctl', '--no-pager', '-o', 'short-precise', '-n',
      String(n), '-u', 'meshllm*').stdout
  }

  // Entries of the journal as objects; match: FIELD=value...
  entries (...match) {
    return this.must('journalctl', '--no-pager', '-o', 'json', ...match)
      .split('\n').filter(l => l !== '').map(l => JSON.parse(l))
  }

  show (service, property) {
    return this.must('systemctl', 'show', '-P', property,
      `meshllm-${service}.service`).trim()
  }

  // Until every daemon has all its channels.
  async whole ({ ms = 60000 } = {}) {
    let last
    await waitFor('whole node', () => {
      last = SERVICES.map(s => `${s}: ${this.show(s, 'StatusText')}`)
      return last.every(s => s.endsWith(': serving'))
    }, { ms, every: 100 }).catch(e => {
      throw new Error(`${this.name}: ${e.message}: ${last}\n${this.journal()}`)
    })
  }

  configure (text) {
    this.must('sh', '-c', 'cat >/etc/meshllm/meshllm.conf <<"EOF"\n' +
      `${text}EOF\n`)
  }

  status () { return JSON.parse(this.must('meshllm', 'status', '--json')) }

  async stop () {
    if (this.child === undefined) return
    this.child.kill('SIGTERM') // an orderly end
    const late = setTimeout(() => this.child.kill('SIGKILL'), 30000)
    await this.ended
    clearTimeout(late)
    await sleep(100)
    spawnSync('find', [this.cgroup, '-depth', '-type', 'd', '-exec', 'rmdir',
      '{}', ';'])
  }
}

// Real nodes and backends for the system tests: started on loopback with
// ports that the kernel chooses, stopped by their process number.  Finds the
// programs in $BUILD_DIR, the folder that was built in.
import { spawn, spawnSync } from 'node:child_process'
import {
  chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync,
  symlinkSync, writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { after } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const here = path.dirname(new URL(import.meta.url).pathname)

export const buildDir = path.resolve(
  process.env.BUILD_DIR ?? path.join(here, '..', '..'))

export function program (name) {
  const file = path.join(buildDir, name)
  if (!existsSync(file)) throw new Error(`${file} is not built: set BUILD_DIR`)
  return file
}

const DAEMONS = ['cryptod', 'attestd', 'gossipd', 'proxyd']
  .map(name => `meshllm-${name}`)

// May every user pass through it?
function isOpen (dir) {
  const parent = path.dirname(dir)
  return (statSync(dir).mode & 1) !== 0 && (parent === dir || isOpen(parent))
}

// What others than root start.
const OPEN = ['ctl/meshllm', 'tests/tools/without-vdso', ...DAEMONS,
  ...DAEMONS.map(d => `tests/malloc/${d}`)]

// Where the programs are for those that are not root: copies when the build is
// in a folder closed to others, as /root is on a fresh machine.
let openDir
function programs () {
  if (openDir !== undefined) return openDir
  if (process.getuid() !== 0 || isOpen(buildDir)) return (openDir = buildDir)
  openDir = mkdtempSync(path.join(tmpdir(), 'meshllm-programs-'))
  chmodSync(openDir, 0o711)
  process.on('exit', () => rmSync(openDir, { recursive: true, force: true }))
  for (const name of OPEN) {
    const from = path.join(buildDir, name)
    if (!existsSync(from)) continue
    const to = path.join(openDir, name)
    mkdirSync(path.dirname(to), { recursive: true })
    copyFileSync(from, to)
  }
  return openDir
}

// A program that a daemon's own user is to run.
export function openProgram (name) {
  program(name)
  return path.join(programs(), name)
}

export const meshllm = () => openProgram('ctl/meshllm')

// Calls fn until it returns something true; the last error is the reason.
export async function waitFor (what, fn, { ms = 15000, every = 50 } = {}) {
  const until = Date.now() + ms
  let last = ''
  for (;;) {
    try {
      const value = await fn()
      if (value) return value
    } catch (e) {
      if (e.final) throw e
      last = `: ${e.message}`
    }
    if (Date.now() >= until) throw new Error(`no ${what} in ${ms} ms${last}`)
    await sleep(every)
  }
}

// Longer than anything takes on a busy machine.  Does not keep the test from
// its end.
export const patience = () => sleep(40000, undefined, { ref: false })

export function isAlive (pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

// What a sanitizer says of a daemon.  The file of tests fails then, also where
// the daemon was to be killed and nobody looks at how it ended.
const REPORT = /^==\d+==\s*ERROR: |: runtime error: /
let reports = 0

process.on('exit', () => {
  if (reports > 0) process.exitCode = 1
})

function lookForReport (line) {
  if (!REPORT.test(line)) return
  reports++
  console.error(`sanitizers: ${line}`)
}

// A child whose output is kept, line by line.
export class Program {
  constructor (file, args, options = {}) {
    this.name = path.basename(file)
    this.out = []
    this.log = []
    this.child = spawn(file, args,
      { stdio: ['ignore', 'pipe', 'pipe'], ...options })
    this.pid = this.child.pid
    this.#keep(this.child.stdout, this.out)
    this.#keep(this.child.stderr, this.log)
    this.ended = new Promise(resolve => {
      this.child.on('error', error => resolve({ error }))
      this.child.on('close', (code, signal) => resolve({ code, signal }))
    })
    this.ended.then(end => { this.end = end })
  }

  #keep (stream, lines) {
    let rest = ''
    stream.setEncoding('utf8')
    stream.on('data', text => {
      const parts = (rest + text).split('\n')
      rest = parts.pop()
      parts.forEach(lookForReport)
      lines.push(...parts)
    })
    stream.on('end', () => {
      lookForReport(rest)
      if (rest !== '') lines.push(rest)
    })
  }

  logText () { return this.log.join('\n') }

  // The first line of its log that matches, now or soon.
  async waitLog (pattern, { ms = 15000, from = 0 } = {}) {
    return await waitFor(`log line ${pattern} of ${this.name}`,
      () => this.log.slice(from).find(l => pattern.test(l)),
      { ms }).catch(e => {
      throw new Error(`${e.message}; its log:\n${this.logText()}`)
    })
  }

  async line (pattern, ms) {
    return await waitFor(`line ${pattern} of ${this.name}`, () => {
      const line = this.out.find(l => pattern.test(l))
      if (line !== undefined) return line
      if (this.end !== undefined) {
        throw Object.assign(new Error(`${this.name} ended: ` +
          JSON.stringify(this.end)), { final: true })
      }
      return undefined
    }, { ms }).catch(e => {
      throw new Error(`${e.message}; its log:\n${this.logText()}`)
    })
  }

  signal (name) { if (this.end === undefined) this.child.kill(name) }

  // SIGTERM, then SIGKILL; resolves to { code, signal }.
  async stop ({ ms = 10000 } = {}) {
    this.signal('SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), ms)
    const end = await this.ended
    clearTimeout(timer)
    return end
  }
}

export async function getJson (url, ms = 10000) {
  const answer = await fetch(url, { signal: AbortSignal.timeout(ms) })
  if (!answer.ok) throw new Error(`${url}: HTTP status ${answer.status}`)
  return await answer.json()
}

// With TEST_REACH=DIR (tests/reach/run) the daemons are those of DIR, and what
// their filters let pass is written down there.
const reach = process.env.TEST_REACH
const daemonDir = reach ?? process.env.TEST_DAEMON_DIR

const reachTracer = dir => reach === undefined || dir === undefined
  ? []
  : [program('tests/reach/trace'), dir]

// With TEST_TUNABLES=glibc.malloc.mmap_threshold=1 (or others) in the
// environment every node runs the test build of the daemons, which takes
// malloc settings from a file beside it; the product takes none.
function otherMalloc (home, tunables) {
  const dir = path.join(home, 'daemons')
  const from = reach ?? path.join(programs(), 'tests/malloc')
  mkdirSync(dir, { mode: 0o755 })
  for (const name of DAEMONS) {
    // By a link a program knows its folder only until it runs itself again.
    const link = reach === undefined ? symlinkSync : copyFileSync
    link(path.join(from, name), path.join(dir, name))
  }
  if (reach !== undefined) {
    symlinkSync(path.join(reach, 'reached'), path.join(dir, 'reached'))
  }
  writeFileSync(path.join(dir, 'tunables'), tunables)
  return dir
}

export class Node extends Program {
  // After start(): ready = { id, api, management, mesh }.
  static options (o) {
    const args = []
    const add = (name, value) => {
      if (value === true) args.push(`--${name}`)
      else if (Array.isArray(value)) value.forEach(v => add(name, v))
      else if (value !== undefined && value !== false) args.push(`--${name}=${value}`)
    }
    add('api', o.api ?? '127.0.0.1:0')
    add('management', o.management ?? '127.0.0.1:0')
    add('mesh', o.mesh ?? '127.0.0.1:0')
    add('backend', o.backend)
    add('join', o.join)
    add('advertise', o.advertise)
    add('attester', o.attester)
    add('require-attested-hosts', o.requireAttestedHosts)
    add('allow-plaintext-peers', o.allowPlaintextPeers)
    add('allow-unsigned-keys', o.allowUnsignedKeys)
    add('log-level', o.logLevel)
    return args.concat(o.args ?? [])
  }

  constructor (o = {}) {
    const home = mkdtempSync(path.join(tmpdir(), 'meshllm-test-'))
    chmodSync(home, 0o711) // daemons may have users of their own
    const config = path.join(home, 'meshllm.conf')
    writeFileSync(config, o.config ?? '')
    // wrapper: a program that runs the rest of its arguments
    const tunables = o.tunables ?? process.env.TEST_TUNABLES
    const own = (o.args ?? []).some(w => w.startsWith('--daemon-dir'))
    const dir = own
      ? undefined
      : tunables ? otherMalloc(home, tunables) : daemonDir
    const [file, ...before] =
      [...reachTracer(dir), ...(o.wrapper ?? []), meshllm()]
    super(file, [...before, 'run', `--config=${config}`,
      ...(dir === undefined ? [] : [`--daemon-dir=${dir}`]),
      `--state-dir=${o.stateDir ?? path.join(home, 'state')}`,
      ...Node.options(o)], { env: { ...process.env, ...o.env } })
    this.home = home
    this.stateDir = o.stateDir ?? path.join(home, 'state')
    this.keep = o.keep === true
  }

  // Waits until the node can serve.
  async started ({ ms = 30000 } = {}) {
    const line = await this.line(/^ready /, ms)
    this.ready = Object.fromEntries(line.split(' ').slice(1)
      .map(field => field.split(/=(.*)/s).slice(0, 2)))
    this.api = `http://${this.ready.api}`
    this.baseUrl = `${this.api}/v1`
    this.managementUrl = `http://${this.ready.management}`
    return this
  }

  async status () { return await getJson(`${this.managementUrl}/api/status`) }

  async token () {
    return await waitFor('token', async () => (await this.status()).token)
  }

  async models () {
    return (await getJson(`${this.baseUrl}/models`)).data.map(m => m.id)
  }

  // Until the model can be asked for here, from wherever it is served.
  async waitModel (name, options) {
    await waitFor(`model ${name}`,
      async () => (await this.models()).includes(name), options)
      .catch(e => {
        throw new Error(`${e.message}; the node's log:\n${this.logText()}`)
      })
  }

  async waitPeer (id, test = p => p.connected, options) {
    return await waitFor(`peer ${id.slice(0, 10)}`, async () =>
      (await this.status()).peers.find(p => p.id === id && test(p)), options)
      .catch(e => {
        throw new Error(`${e.message}; the node's log:\n${this.logText()}`)
      })
  }

  async processId (name) {
    const all = (await this.status()).processes
    const found = all.find(p => p.name === name)
    if (found === undefined) throw new Error(`no process ${name}`)
    return found.pid
  }

  async stop (options) {
    const end = await super.stop(options)
    if (!this.keep) rmSync(this.home, { recursive: true, force: true })
    return end
  }
}

export class Backend extends Program {
  async started () {
    const line = await this.line(/^listening http/, 10000)
    this.url = line.split(' ')[1]
    return this
  }

  async stats () { return await getJson(`${this.url}/stats`) }
}

// For what a suite starts in its before(): call it in the body of describe().
// There, after() called from within before() would belong to before() alone.
export function suiteScope () {
  const undo = []
  after(() => Promise.allSettled(undo.reverse().map(fn => fn())))
  return { after: fn => undo.push(fn) }
}

// t: a test's context or suiteScope(); what was started ends with it.
export async function startBackend (t, args = ['--model', 'echo'], port = 0) {
  const backend = new Backend(program('tests/tools/meshllm-demo-backend'),
    ['--port', String(port), ...args])
  t?.after(() => backend.stop())
  return await backend.started()
}

export async function startNode (t, options) {
  const node = new Node(options)
  t?.after(() => node.stop())
  return await node.started()
}

// A host with a backend, and a client that joined it and sees its model.
export async function startPair (t, { host = {}, client = {}, backend } = {}) {
  const server = await startBackend(t, backend)
  const b = await startNode(t, { backend: server.url, ...host })
  const a = await startNode(t, { join: await b.token(), ...client })
  await a.waitModel('echo')
  return { backend: server, host: b, client: a }
}

// The meshllm command to its end: { status, stdout, stderr }.
export function runCommand (args, { ms = 30000 } = {}) {
  const [file, ...before] = [...reachTracer(reach), meshllm()]
  if (daemonDir !== undefined && args[0] === 'verify') {
    args = [args[0], `--daemon-dir=${daemonDir}`, ...args.slice(1)]
  }
  const done = spawnSync(file, [...before, ...args],
    { encoding: 'utf8', timeout: ms })
  return { status: done.status, stdout: done.stdout, stderr: done.stderr }
}

// Parses a stream of server-sent events as it arrives.
export async function * events (body) {
  let rest = ''
  for await (const bytes of body.pipeThrough(new TextDecoderStream())) {
    const parts = (rest + bytes).split('\n\n')
    rest = parts.pop()
    for (const part of parts) {
      const data = part.split('\n').filter(l => l.startsWith('data:'))
        .map(l => l.slice(5).trimStart()).join('\n')
      if (data !== '') yield data
    }
  }
  if (rest.trim() !== '') throw new Error(`cut in an event: ${rest}`)
}

export async function chat (node, body, init = {}) {
  return await fetch(`${node.baseUrl}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'echo', ...body }),
    signal: AbortSignal.timeout(30000),
    ...init
  })
}

export { sleep }

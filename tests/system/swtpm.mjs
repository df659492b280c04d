// Software TPMs with a certification authority of their own, for hosts of the
// system tests.  One authority for all that are started with the same `ca`.
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from
  'node:fs'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { Program, waitFor } from './lib.mjs'

export const haveSwtpm =
  spawnSync('swtpm_setup', ['--version'], { stdio: 'ignore' }).error === undefined

// A socket is there before it listens; stopped in between it never would.
const LISTENS = '00010000' // __SO_ACCEPTCON
const listens = socket => readFileSync('/proc/net/unix', 'utf8').split('\n')
  .map(line => line.trim().split(/\s+/))
  .some(([, , , flags, , , , file]) => file === socket && flags === LISTENS)

// attestd may have a user of its own.
function openFolder (name) {
  const dir = mkdtempSync(path.join(tmpdir(), name))
  chmodSync(dir, 0o711)
  return dir
}

// Who certifies TPMs: a folder with its keys, made by the first TPM.
export class Authority {
  constructor (t) {
    this.dir = openFolder('meshllm-ca-')
    t.after(() => rmSync(this.dir, { recursive: true, force: true }))
    this.chain = path.join(this.dir, 'chain.pem')
    this.root = path.join(this.dir, 'swtpm-localca-rootca-cert.pem')
    const file = (name, text) => writeFileSync(path.join(this.dir, name), text)
    file('setup.conf', 'create_certs_tool = /usr/bin/swtpm_localca\n' +
      `create_certs_tool_config = ${this.dir}/localca.conf\n` +
      `create_certs_tool_options = ${this.dir}/options.conf\n`)
    file('localca.conf', `statedir = ${this.dir}\n` +
      `signingkey = ${this.dir}/signkey.pem\n` +
      `issuercert = ${this.dir}/issuercert.pem\n` +
      `certserial = ${this.dir}/certserial\n`)
    file('options.conf', '--platform-manufacturer Test\n' +
      '--platform-version 1\n--platform-model Test\n')
  }

  // Issuer and root, as --ek-chain wants them.
  writeChain () {
    writeFileSync(this.chain,
      readFileSync(path.join(this.dir, 'issuercert.pem'), 'utf8') +
      readFileSync(this.root, 'utf8'))
  }
}

export class Swtpm {
  constructor (t, ca) {
    this.dir = openFolder('meshllm-tpm-')
    this.ca = ca
    this.socket = path.join(this.dir, 'sock')
    this.attester = `tpm2:swtpm:path=${this.socket}`
    t.after(async () => {
      await this.kill()
      rmSync(this.dir, { recursive: true, force: true })
    })
    const done = spawnSync('swtpm_setup', ['--tpm2', '--tpmstate', this.dir,
      '--config', path.join(ca.dir, 'setup.conf'), '--create-ek-cert', '--ecc',
      '--lock-nvram', '--overwrite'], { encoding: 'utf8' })
    if (done.status !== 0) throw new Error(`swtpm_setup: ${done.stderr}`)
    ca.writeChain()
  }

  async start () {
    rmSync(this.socket, { force: true })
    this.process = new Program('swtpm', ['socket', '--tpm2', '--tpmstate',
      `dir=${this.dir}`,
      '--server', `type=unixio,path=${this.socket},mode=0666`,
      '--ctrl', `type=unixio,path=${this.socket}.ctrl,mode=0666`,
      '--flags', 'not-need-init,startup-clear'])
    await waitFor('swtpm', () => listens(this.socket))
    return this
  }

  signal (name) { this.process.signal(name) }

  // swtpm talks to one at a time: what passes on the node's commands can put
  // one of its own between them.
  async relay () {
    const path = `${this.socket}.relay`
    this.above = connect(this.socket)
    this.asked = []
    this.above.on('data', answer => {
      this.asked.shift().then(answer)
      if (this.asked.length > 0) this.above.write(this.asked[0].command)
    })
    const server = createServer(node => {
      node.on('error', () => {})
      node.on('data', command => this.ask(command, a => node.write(a)))
    }).listen({ path, readableAll: true, writableAll: true }).unref()
    await once(server, 'listening')
    this.attester = `tpm2:swtpm:path=${path}`
    return this
  }

  ask (command, then) {
    this.asked.push({ command, then })
    if (this.asked.length === 1) this.above.write(command)
  }

  // TPM2_Clear by the platform, whose password is empty.  Its return code.
  clear () {
    const command = Buffer.from('80020000001b00000126' + '4000000c' +
      '00000009' + '400000090000000000', 'hex')
    return new Promise(resolve =>
      this.ask(command, answer => resolve(answer.readUInt32BE(6))))
  }

  async kill () {
    this.above?.destroy()
    await this.process?.stop({ ms: 0 })
  }
}

export const startSwtpm = async (t, ca = new Authority(t)) =>
  await new Swtpm(t, ca).start()

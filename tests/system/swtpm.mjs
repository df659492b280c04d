// Software TPMs with a certificate authority of their own.
import { spawn, spawnSync } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync }
  from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { waitFor } from './lib.mjs'

export const hasSwtpm =
  spawnSync('swtpm_setup', ['--version']).error === undefined

export class Swtpm {
  constructor () {
    const dir = mkdtempSync(path.join(tmpdir(), 'swtpm-'))
    const write = (name, text) => writeFileSync(path.join(dir, name), text)
    this.dir = dir
    write('setup.conf', 'create_certs_tool = /usr/bin/swtpm_localca\n' +
      `create_certs_tool_config = ${dir}/localca.conf\n` +
      `create_certs_tool_options = ${dir}/options.conf\n`)
    write('localca.conf', `statedir = ${dir}\nsigningkey = ${dir}/key.pem\n` +
      `issuercert = ${dir}/issuer.pem\ncertserial = ${dir}/serial\n`)
    write('options.conf', '--platform-manufacturer Test\n' +
      '--platform-version 1\n--platform-model Test\n')
    const done = spawnSync('swtpm_setup', ['--tpm2', '--tpmstate', dir,
      '--config', path.join(dir, 'setup.conf'), '--create-ek-cert', '--ecc',
      '--lock-nvram', '--overwrite'], { encoding: 'utf8' })
    if (done.status !== 0) throw new Error(`swtpm_setup: ${done.stdout}`)
    this.socket = path.join(dir, 'sock')
    this.attester = `tpm2:swtpm:path=${this.socket}`
    const issuer = readFileSync(path.join(dir, 'issuer.pem'))
    const root = readFileSync(path.join(dir, 'swtpm-localca-rootca-cert.pem'))
    this.chain = path.join(dir, 'chain.pem')
    writeFileSync(this.chain, Buffer.concat([issuer, root]))
    this.root = createHash('sha256').update(new X509Certificate(root).raw)
      .digest('hex')
  }

  async run () {
    rmSync(this.socket, { force: true })
    this.child = spawn('swtpm', ['socket', '--tpm2', '--tpmstate',
      `dir=${this.dir}`, '--server', `type=unixio,path=${this.socket}`,
      '--ctrl', `type=unixio,path=${this.socket}.ctrl`, '--flags',
      'not-need-init,startup-clear'], { stdio: 'ignore' })
    this.ended = new Promise(resolve => this.child.on('close', resolve))
    await waitFor('socket of swtpm', () => existsSync(this.socket))
    return this
  }

  signal (name) { this.child.kill(name) }

  async kill () {
    this.signal('SIGKILL')
    await this.ended
  }
}

export async function startSwtpm (t) {
  const tpm = await new Swtpm().run()
  t?.after(async () => {
    await tpm.kill()
    rmSync(tpm.dir, { recursive: true, force: true })
  })
  return tpm
}

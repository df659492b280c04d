// A real llama-server, out of Debian sid's package, in a folder of its own.
import { spawnSync } from 'node:child_process'
import {
  copyFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync
} from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { Program, getJson, waitFor } from './lib.mjs'

const here = path.dirname(new URL(import.meta.url).pathname)
const shared = process.env.MESHLLM_SHARED ??
  path.join(here, '..', '..', '..', 'shared')
const models = path.join(shared, 'rigs', 'model')
// Kept between runs.  Made beside it and renamed, so it is whole or not there.
const root = process.env.LLAMA_ROOT ?? '/var/tmp/meshllm-llama-sid'
const INSTALL_S = 300

// All mounts are in a namespace of their own and vanish with it.
const UNSHARE = ['-m', '--propagation', 'private', 'sh', '-euc']
const INSTALL = `
debootstrap --variant=minbase sid "$1"
printf '#!/bin/sh\\nexit 101\\n' >"$1/usr/sbin/policy-rc.d"
chmod 755 "$1/usr/sbin/policy-rc.d"
mountpoint -q "$1/proc" || mount -t proc proc "$1/proc"
export DEBIAN_FRONTEND=noninteractive
chroot "$1" apt-get -o Acquire::Check-Valid-Until=false update
chroot "$1" apt-get -y --no-install-recommends install llama.cpp-tools libggml0
umount "$1/proc"
mv -T "$1" "$2"
`
const RUN = `
mountpoint -q "$1/proc" || mount -t proc proc "$1/proc"
mount --bind "$2" "$1/mnt"
exec chroot --userspec=65534:65534 "$1" llama-server -m /mnt/tiny.gguf \\
  --mmproj /mnt/tiny-mmproj.gguf --alias tiny --host 127.0.0.1 --port "$3" \\
  --offline -t 1 -c 65536 -np 4 --embeddings --pooling mean --metrics --slots
`

const has = program => spawnSync('which', [program]).status === 0

function install () {
  const part = `${root}.part`
  spawnSync('rm', ['-rf', '--one-file-system', part])
  mkdirSync(part, { recursive: true })
  const done = spawnSync('timeout', ['-k', '5', String(INSTALL_S), 'unshare',
    ...UNSHARE, INSTALL, 'install', part, root], { encoding: 'utf8' })
  if (done.status === 0) return undefined
  writeFileSync(`${root}.log`, done.stdout + done.stderr)
  return `llama.cpp cannot be installed: see ${root}.log`
}

// Why there can be no llama-server here; installs it on the first call.
export function missing () {
  if (!existsSync(path.join(models, 'tiny.gguf'))) {
    return 'no model: set MESHLLM_SHARED'
  }
  if (process.getuid() !== 0) return 'needs root, for a chroot'
  for (const name of ['unshare', 'chroot', 'debootstrap']) {
    if (!has(name)) return `no ${name}`
  }
  return existsSync(root) ? undefined : install()
}

// The conformance client of the rigs, with its packages in a copy that is kept
// between runs; undefined where there is none.
export function conformanceClient () {
  const from = path.join(shared, 'rigs', 'client')
  if (process.env.CONFORMANCE_CLIENT) return process.env.CONFORMANCE_CLIENT
  if (!existsSync(path.join(from, 'client.mjs'))) return undefined
  const copy = '/var/tmp/meshllm-conformance'
  const part = `${copy}.part`
  if (!existsSync(copy)) {
    rmSync(part, { recursive: true, force: true })
    mkdirSync(part, { recursive: true })
    for (const name of ['client.mjs', 'package.json', 'package-lock.json']) {
      copyFileSync(path.join(from, name), path.join(part, name))
    }
    const done = spawnSync('npm', ['ci', '--no-audit', '--no-fund'],
      { cwd: part, encoding: 'utf8', timeout: INSTALL_S * 1000 })
    if (done.status !== 0) return undefined
    renameSync(part, copy)
  }
  copyFileSync(path.join(from, 'client.mjs'), path.join(copy, 'client.mjs'))
  return copy
}

async function freePort () {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address()
  await new Promise(resolve => server.close(resolve))
  return port
}

// t: a test's context or suiteScope().
export async function startLlama (t) {
  const port = await freePort()
  const llama = new Program('unshare', [...UNSHARE, RUN, 'run', root, models,
    String(port)])
  t.after(() => llama.stop())
  llama.url = `http://127.0.0.1:${port}`
  llama.slotsBusy = async () => (await getJson(`${llama.url}/slots`))
    .filter(slot => slot.is_processing).length
  await waitFor('llama-server', () => getJson(`${llama.url}/health`),
    { ms: 30000 }).catch(e => {
    throw new Error(`${e.message}; its log:\n${llama.logText()}`)
  })
  return llama
}

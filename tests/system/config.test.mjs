// `meshllm config check`: each mistake with its file, line and reason; and
// what it calls good starts, what it does not call good does not.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import { Node, patience, runCommand, startNode, suiteScope } from './lib.mjs'

const HASH = 'a'.repeat(64)

describe('config check', () => {
  const scope = suiteScope()
  let dir, keys, noKeys, secret, file
  before(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'meshllm-config-'))
    fs.chmodSync(dir, 0o755)
    scope.after(() => fs.rmSync(dir, { recursive: true, force: true }))
    file = path.join(dir, 'meshllm.conf')
    keys = path.join(dir, 'keys')
    fs.writeFileSync(keys, `alice sha256:${HASH}\n`)
    noKeys = path.join(dir, 'no-keys')
    fs.writeFileSync(noKeys, '# nobody\n')
    secret = path.join(dir, 'secret')
    fs.writeFileSync(secret, 'sk-1\n', { mode: 0o600 })
    fs.writeFileSync(path.join(dir, 'cut.pem'),
      '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n')
  })
  const check = text => {
    fs.writeFileSync(file, text)
    return runCommand(['config', 'check', file])
  }

  const everything = () => `# all keys
[meshllm]
log-level = debug
[cryptod]
rotate-seconds = 3600
[attestd]
attester = software
[gossipd]
mesh = 127.0.0.1:0
[proxyd]
api = 127.0.0.1:0
management = 127.0.0.1:0
api-keys = ${keys}
allow-host = gpu.lan
allow-host = box
allow-origin = https://chat.example.com
backend = http://127.0.0.1:1/v1 key-file=${secret} requests=4
backend = unix:/nowhere prefix=/x
backend-port = 1
backend-port = 8081-8336
require-attested-hosts = no
allow-plaintext-peers = no
`
  test('what is good is called good, and starts', async t => {
    const done = check(everything())
    assert.equal(done.stderr, '')
    assert.equal(done.status, 0)
    assert.equal(done.stdout, `${file}: good\n`)
    const node = await startNode(t, { config: everything(),
      api: false, management: false, mesh: false })
    assert.equal((await node.status()).backends.length, 2)
    const empty = check('')
    assert.equal(empty.status, 0)
  })

  const chain = file => `[attestd]\nattester = software\nek-chain = ${file}\n`
  const line = (key, value) => `[proxyd]\n\n${key} = ${value}\n`
  const wrong = [
    ['[nonsense]\n', /:1: unknown section/],
    ['[proxyd\n', /:1: the section's \] is missing/],
    ['api = 127.0.0.1:1\n', /:1: "api" stands before any/],
    ['[proxyd]\nnonsense = 1\n', /:2: unknown key "nonsense" in \[proxyd\]/],
    ['[gossipd]\nbackend = unix:/x\n', /:2: unknown key "backend"/],
    ['[proxyd]\napi 127.0.0.1:1\n', /:2: neither/],
    ['[proxyd]\napi = 127.0.0.1:1\napi = 127.0.0.1:2\n', /:3: api is given twice/],
    ['[meshllm]\nlog-level = loud\n', /:2: log-level.*"loud"/],
    ['[cryptod]\nrotate-seconds = 5\n', /:2: rotate-seconds.*too small/],
    ['[cryptod]\nrotate-seconds = soon\n', /:2: rotate-seconds.*no.* number/],
    ['[attestd]\nattester = hope\n', /:2: attester.*tpm2/],
    ['[gossipd]\nmesh = 127.0.0.1\n', /:2: mesh.*ADDR:PORT/],
    ['[gossipd]\njoin = not a token\n', /:2: join.*invite token/],
    [line('api', 'localhost:1'), /:3: api.*ADDR:PORT/],
    [line('api', 'unix:x'), /:3: api.*absolute path/],
    [line('api-socket-mode', '999'), /:3: api-socket-mode.*octal/],
    [line('management', 'x'), /:3: management.*ADDR:PORT/],
    [line('allow-host', '*.lan'), /:3: allow-host/],
    [line('allow-origin', 'https://a/'), /:3: allow-origin.*origin/],
    [line('backend', 'ftp://x'), /:3: backend.*http:\/\/ADDR:PORT/],
    [line('backend', 'unix:/x requests=many'), /:3: backend.*requests=/],
    [line('backend', 'unix:/x y=1'), /:3: backend.*key-file=/],
    [line('backend-port', '0'), /:3: backend-port.*is not a port/],
    [line('backend-port', '80-'), /:3: backend-port.*FIRST-LAST/],
    [line('backend-port', '81-80'), /:3: backend-port.*ends before/],
    [line('backend-port', '1-65535'), /:3: backend-port.*256 ports/],
    ['[proxyd]\n' + 'backend-port = 9\n'.repeat(17), /backend-port: more than 16/],
    [line('require-attested-hosts', 'very'), /:3: require-attested-hosts.*tofu/],
    [line('allow-plaintext-peers', 'perhaps'), /:3: .*yes or no/],
    [line('queue-requests', '0'), /:3: queue-requests.*too small/],
    // What shows only together with other values, or with a file.
    [line('api-keys', '/nowhere/keys'), /api-keys: \/nowhere\/keys: No such/],
    [chain('/nowhere/ek.pem'), /ek-chain: \/nowhere\/ek\.pem: No such/],
    [chain('/'), /ek-chain: \/: Is a directory/],
    [() => chain(noKeys), /ek-chain: .*no-keys: no certificate/],
    [() => chain(path.join(dir, 'cut.pem')), /ek-chain: .*cut\.pem: .*damaged/],
    [line('api', '0.0.0.0:1'), /api: 0\.0\.0\.0:1 is not loopback/],
    [() => `${line('api', '0.0.0.0:1')}api-keys = ${noKeys}\n`,
      /api: .*needs api-keys with a key/],
    [line('management', '0.0.0.0:1'), /management: .*not loopback/],
    [line('api-socket-mode', '0660'), /api-socket-mode.*unix/],
    [line('backend', 'unix:/x key-file=/nowhere'), /backend: \/nowhere: No such/],
  ]
  for (const [text, complaint] of wrong) {
    const content = () => typeof text === 'function' ? text() : text
    test(`${complaint}`, async t => {
      const done = check(content())
      assert.equal(done.status, 1)
      assert.equal(done.stdout, '')
      assert.match(done.stderr, complaint)
      assert.ok(done.stderr.startsWith(file))
      assert.equal(done.stderr.trim().split('\n').length, 1)
      // And it is no more than true.
      const node = new Node({ config: content(), api: false, management: false,
        mesh: '127.0.0.1:0' })
      t.after(() => node.stop())
      const end = await Promise.race([node.ended, patience()])
      assert.ok(end?.code > 0, `it starts: ${node.out}`)
    })
  }

  test('key files that others can change or read', () => {
    fs.chmodSync(keys, 0o666)
    assert.match(check(line('api-keys', keys)).stderr, /can write it/)
    fs.chmodSync(keys, 0o644)
    fs.writeFileSync(keys, 'alice sha256:x\n')
    assert.match(check(line('api-keys', keys)).stderr, /keys: line 1: /)
    fs.chmodSync(secret, 0o644)
    assert.match(check(line('backend', `unix:/x key-file=${secret}`)).stderr,
      /can read it/)
    fs.chmodSync(secret, 0o600)
    fs.writeFileSync(secret, 'a b')
    assert.match(check(line('backend', `unix:/x key-file=${secret}`)).stderr,
      /not one key/)
  })

  test('a file that is not there, or more than was asked for', () => {
    assert.match(runCommand(['config', 'check', '/nowhere']).stderr, /nowhere/)
    assert.equal(runCommand(['config', 'check', '/nowhere']).status, 1)
    for (const args of [['config'], ['config', 'nonsense'],
      ['config', 'check', 'a', 'b']]) {
      assert.equal(runCommand(args).status, 2)
    }
    assert.match(runCommand(['config', '--help']).stdout, /check \[FILE\]/)
  })
})

// Web pages in a real browser against a node's ports: another origin, a name
// that is re-bound, forms, images, scripts.  None gets through; what the page
// of an allowed origin does, and one of our own, shows that they would.
//
// The browser reaches the node through a relay that counts the answers, so
// that "none" is what the node said, not what the page could see of it.
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { after, before, describe, test } from 'node:test'
import { Chromium, program } from './chromium.mjs'
import { startNode, suiteScope, waitFor }
  from '../system/lib.mjs'

const WORDS = 'said by a page'
const body = { model: 'echo', messages: [{ role: 'user', content: WORDS }] }

async function listen (t, server) {
  server.listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  t.after(() => {
    server.closeAllConnections?.()
    server.close()
  })
  return server.address().port
}

// Counts what it is asked; repeats the words, as a stream if that is wanted.
function startBackend (t) {
  const server = http.createServer(async (req, res) => {
    let text = ''
    for await (const piece of req) text += piece
    if (req.method === 'GET') {
      return res.end('{"object":"list","data":[{"id":"echo"}]}')
    }
    server.asked++
    const stream = JSON.parse(text).stream === true
    res.setHeader('content-type',
      stream ? 'text/event-stream' : 'application/json')
    res.end(stream ? `data: ${text}\n\ndata: [DONE]\n\n` : text)
  })
  server.asked = 0
  return listen(t, server).then(port =>
    ({ url: `http://127.0.0.1:${port}`, asked: () => server.asked }))
}

// Passes bytes on to `to` as they are; keeps what came back.
class Relay {
  static async start (t, to) {
    const relay = new Relay()
    relay.to = to
    relay.home = to // what a page's own server says is not recorded
    relay.heard = ''
    relay.asked = ''
    relay.open = new Set()
    relay.port = await listen(t, net.createServer(from => {
      const port = relay.to
      const socket = net.connect(port, '127.0.0.1')
      relay.open.add(from)
      for (const s of [from, socket]) s.on('error', () => {})
      from.on('data', d => { relay.asked += d.toString('latin1') })
      socket.on('data', d => {
        if (port === relay.home) relay.heard += d.toString('latin1')
      })
      from.on('close', () => {
        relay.open.delete(from)
        socket.destroy()
      })
      from.pipe(socket).pipe(from)
    }))
    t.after(() => relay.cut())
    return relay
  }

  cut () { for (const socket of this.open) socket.destroy() }

  // The statuses of all answers since the last call.
  statuses () {
    const found = this.heard.match(/HTTP\/1\.1 \d{3} /g) ?? []
    this.heard = ''
    return found.map(s => Number(s.split(' ')[1]))
  }
}

describe('web pages', { skip: program ? false : 'chromium is not installed' },
  () => {
    const scope = suiteScope()
    let backend, node, api, management, browser, pagePort
    before(async () => {
      pagePort = await listen(scope, http.createServer((req, res) => {
        res.setHeader('content-type', 'text/html')
        res.end('<!doctype html><title>page</title><body>a page</body>')
      }))
      backend = await startBackend(scope)
      node = await startNode(scope, { backend: backend.url,
        args: [`--allow-origin=http://allowed.test:${pagePort}`] })
      await node.waitModel('echo')
      api = await Relay.start(scope, Number(node.ready.api.split(':')[1]))
      management = await Relay.start(scope,
        Number(node.ready.management.split(':')[1]))
      browser = await Chromium.start(scope,
        ['evil.test', 'allowed.test', 'rebind.test'])
    })
    const requests = async () => backend.asked()

    // What the page did reached the node, and nothing was let in.
    async function assertKeptOut (relay, before, { least = 1 } = {}) {
      const statuses = relay.statuses()
      assert.ok(statuses.length >= least,
        `the browser asked ${statuses.length} times, not ${least}`)
      assert.ok(statuses.every(s => s >= 400), `let in: ${statuses}`)
      assert.equal(await requests(), before)
    }
    const url = (relay, path) => JSON.stringify(
      `http://127.0.0.1:${relay.port}${path}`)
    const tried = code => `(async () => { try { ${code} } ` +
      'catch (e) { return "refused: " + e.name } })()'
    const atEvil = async fn => {
      const page = await browser.open(`http://evil.test:${pagePort}/`)
      try {
        return await fn(page)
      } finally {
        await page.close()
      }
    }

    test('control: the page of an allowed origin gets through', async () => {
      const page = await browser.open(`http://allowed.test:${pagePort}/`)
      const models = await page.run(tried(`
        const r = await fetch(${url(api, '/v1/models')})
        return (await r.json()).data.map(m => m.id)`))
      assert.deepEqual(models, ['echo'])
      const said = await page.run(tried(`
        const r = await fetch(${url(api, '/v1/chat/completions')}, {
          method: 'POST', headers: { 'content-type': 'application/json',
            authorization: 'Bearer unused', 'x-stainless-lang': 'js' },
          body: ${JSON.stringify(JSON.stringify({ ...body, stream: true }))} })
        return [r.status, r.headers.get('x-request-id') !== null,
          await r.text()]`))
      assert.equal(said[0], 200, said)
      assert.equal(said[1], true)
      assert.match(said[2], /data: \[DONE\]/)
      assert.equal(await requests(), 1)
      const error = await page.run(tried(`
        const r = await fetch(${url(api, '/v1/chat/completions')}, {
          method: 'POST', headers: { 'content-type': 'application/json' },
          body: '{"model":"none"}' })
        return (await r.json()).error.code`))
      assert.equal(error, 'model_not_found')
      const status = await page.run(tried(
        `return (await fetch(${url(management, '/api/status')})).status`))
      assert.match(status, /refused/)
      assert.ok(api.statuses().includes(204), 'it asked first')
      assert.ok(management.statuses().every(s => s === 403))
      await page.close()
    })

    for (const [name, init] of Object.entries({
      'reads with fetch': {},
      'reads without wanting to see it': { mode: 'no-cors' },
      'reads with credentials': { credentials: 'include' },
      'posts JSON': { method: 'POST', body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' } },
      'posts JSON as text': { method: 'POST', body: JSON.stringify(body) },
      'posts JSON as text, blindly': { method: 'POST', mode: 'no-cors',
        body: JSON.stringify(body) },
      'posts with a header of the SDK': { method: 'POST',
        body: JSON.stringify(body), headers: { 'x-stainless-lang': 'js' } },
      'asks with a key': { headers: { authorization: 'Bearer x' } },
      'deletes': { method: 'DELETE' },
    })) {
      for (const [what, relayOf, path] of [
        ['the API', () => api, '/v1/chat/completions'],
        ['the list of models', () => api, '/v1/models'],
        ['the status', () => management, '/api/status']]) {
        test(`another origin ${name}: ${what}`, async () => {
          const relay = relayOf()
          const before = await requests()
          const seen = await atEvil(page => page.run(tried(`
            const r = await fetch(${url(relay, path)}, ${JSON.stringify(init)})
            return [r.status, await r.text()]`)))
          if (init.mode === 'no-cors') assert.deepEqual(seen, [0, ''])
          else assert.match(seen, /^refused: TypeError/)
          await assertKeptOut(relay, before)
        })
      }
    }

    const element = (relay, path, tag, attribute) => `new Promise(resolve => {
      const e = document.createElement('${tag}')
      e.onload = () => resolve('loaded')
      e.onerror = () => resolve('refused')
      ${tag === 'link' ? 'e.rel = "stylesheet"' : ''}
      e.${attribute} = ${url(relay, path)}
      document.body.append(e)
    })`
    for (const [tag, attribute] of [['img', 'src'], ['script', 'src'],
      ['link', 'href'], ['video', 'src'], ['embed', 'src'], ['iframe', 'src']]) {
      test(`a ${tag} tag`, async () => {
        const before = await requests()
        for (const [relay, path] of [[api, '/v1/models'],
          [management, '/api/status']]) {
          await atEvil(async page => {
            const seen = await Promise.race([
              page.run(element(relay, path, tag, attribute)),
              new Promise(resolve => setTimeout(resolve, 1500, 'nothing'))])
            // A frame loads whatever there is: here the refusal.
            if (!['iframe', 'embed'].includes(tag)) {
              assert.notEqual(seen, 'loaded')
            }
          })
          await assertKeptOut(relay, before)
        }
      })
    }

    for (const type of ['text/plain', 'application/x-www-form-urlencoded',
      'multipart/form-data']) {
      test(`a form of ${type}`, async () => {
        const before = await requests()
        await atEvil(async page => {
          await page.run(`(() => {
            const form = document.createElement('form')
            form.method = 'POST'
            form.enctype = '${type}'
            form.action = ${url(api, '/v1/chat/completions')}
            const input = document.createElement('input')
            const text = ${JSON.stringify(JSON.stringify(body))}
            input.name = text.slice(0, -1) + ',"x":"'
            input.value = '"}'
            form.append(input)
            document.body.append(form)
            form.submit()
          })()`)
          await page.until('location.port === ' +
            `"${api.port}" && document.readyState === "complete"`)
          assert.match(await page.run('document.body.innerText'),
            /origin_not_allowed/)
        })
        await assertKeptOut(api, before)
      })
    }

    test('a link that is followed', async () => {
      const before = await requests()
      for (const [relay, path] of [[api, '/v1/models'],
        [management, '/api/status']]) {
        await atEvil(async page => {
          await page.run(`(() => {
            const a = document.createElement('a')
            a.href = ${url(relay, path)}
            document.body.append(a)
            a.click()
          })()`)
          await page.until(`location.port === "${relay.port}"`)
          assert.match(await page.run('document.body.innerText'),
            /origin_not_allowed/)
        })
        await assertKeptOut(relay, before)
      }
    })

    test('a beacon, an event source, a websocket', async () => {
      const before = await requests()
      await atEvil(async page => {
        await page.run(`navigator.sendBeacon(${url(api, '/v1/chat/completions')},
          new Blob([${JSON.stringify(JSON.stringify(body))}],
            { type: 'text/plain' }))`)
        assert.equal(await page.run(`new Promise(resolve => {
          const s = new EventSource(${url(api, '/v1/models')})
          s.onopen = () => resolve('open')
          s.onerror = () => resolve('refused')
        })`), 'refused')
        assert.equal(await page.run(`new Promise(resolve => {
          const s = new WebSocket('ws://127.0.0.1:${api.port}/v1/models')
          s.onopen = () => resolve('open')
          s.onerror = () => resolve('refused')
        })`), 'refused')
      })
      await waitFor('three answers',
        () => (api.heard.match(/HTTP\/1\.1 \d{3} /g) ?? []).length >= 3)
      await assertKeptOut(api, before, { least: 3 })
    })

    test('a page in a sandboxed frame, whose origin is null', async () => {
      const before = await requests()
      await atEvil(async page => {
        await page.run(`new Promise(resolve => {
          const f = document.createElement('iframe')
          f.sandbox = 'allow-scripts'
          f.srcdoc = '<script>fetch("http://127.0.0.1:${api.port}/v1/models")' +
            '.then(r => r.text(), e => e.name)' +
            '.then(t => parent.postMessage(t, "*"))</script>'
          onmessage = e => resolve(e.data)
          document.body.append(f)
        })`).then(seen => assert.equal(seen, 'TypeError'))
      })
      await assertKeptOut(api, before)
    })

    test('an allowed page cannot lend its name to an image', async () => {
      const before = await requests()
      const page = await browser.open(`http://allowed.test:${pagePort}/`)
      assert.equal(await page.run(element(api, '/v1/models', 'img', 'src')),
        'refused')
      await page.close()
      await assertKeptOut(api, before)
    })

    // First the attacker's server answers to the name, then we do.
    async function rebound (name, relay, fn) {
      const target = relay.to
      const page = await browser.open('about:blank')
      relay.to = pagePort
      try {
        await page.go(`http://${name}:${relay.port}/`)
        relay.to = target
        relay.cut()
        relay.statuses()
        return await fn(page)
      } finally {
        relay.to = target
        await page.close()
      }
    }
    const sameOrigin = (path, init = {}) => tried(`
      const r = await fetch(${JSON.stringify(path)}, ${JSON.stringify(init)})
      return [r.status, await r.text()]`)
    const json = { method: 'POST', body: JSON.stringify(body),
      headers: { 'content-type': 'application/json' } }

    test('control: re-bound, a name of ours gets through', async () => {
      const before = await requests()
      await rebound('localhost', api, async page => {
        const [status, text] = await page.run(
          sameOrigin('/v1/chat/completions', json))
        assert.equal(status, 200, text)
        assert.match(text, new RegExp(WORDS))
      })
      assert.equal(await requests(), before + 1)
      api.statuses()
    })

    test('a name that was re-bound', async () => {
      const before = await requests()
      await rebound('rebind.test', api, async page => {
        for (const [path, init] of [['/v1/models'],
          ['/v1/chat/completions', json]]) {
          const [status, text] = await page.run(sameOrigin(path, init))
          assert.equal(status, 403)
          assert.match(text, /host_not_allowed/)
        }
      })
      await assertKeptOut(api, before, { least: 2 })
      await rebound('rebind.test', management, async page => {
        const [status, text] = await page.run(sameOrigin('/api/status'))
        assert.equal(status, 403)
        assert.ok(!text.includes('token'))
      })
      await assertKeptOut(management, before)
    })

    after(() => {
      if (browser) console.log(`# ${browser.version}`)
    })
  })

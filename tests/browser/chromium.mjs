// Debian's chromium without a window, spoken to through its debugging pipe: no
// port, no package, nothing downloaded.
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

export const program = ['/usr/bin/chromium', '/usr/bin/chromium-browser']
  .find(existsSync)

export class Chromium {
  #next = 1
  #waiting = new Map()
  #rest = ''

  // hosts: names that resolve to 127.0.0.1; all others resolve to nothing.
  static async start (t, hosts) {
    const browser = new Chromium()
    const dir = mkdtempSync(path.join(tmpdir(), 'meshllm-chromium-'))
    const rules = [...hosts.map(h => `MAP ${h} 127.0.0.1`),
      'MAP * ~NOTFOUND', 'EXCLUDE localhost', 'EXCLUDE 127.0.0.1'].join(', ')
    browser.child = spawn(program, ['--headless', '--no-sandbox',
      '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update',
      '--disable-sync', '--disable-dev-shm-usage', '--no-proxy-server',
      `--user-data-dir=${dir}`, `--host-resolver-rules=${rules}`,
      '--remote-debugging-pipe', 'about:blank'],
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
    const ended = new Promise(resolve => browser.child.on('close', resolve))
    browser.child.stdio[4].setEncoding('utf8')
      .on('data', text => browser.#take(text))
    browser.child.stdio[3].on('error', () => {})
    ended.then(() => browser.#fail('the browser ended'))
    t.after(async () => {
      await Promise.race([browser.send('Browser.close').catch(() => {}),
        new Promise(resolve => setTimeout(resolve, 3000).unref())])
      browser.child.kill('SIGKILL')
      await ended
      rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
    })
    browser.version = (await browser.send('Browser.getVersion')).product
    return browser
  }

  #take (text) {
    const parts = (this.#rest + text).split('\0')
    this.#rest = parts.pop()
    for (const message of parts.map(p => JSON.parse(p))) {
      const waiting = this.#waiting.get(message.id)
      this.#waiting.delete(message.id)
      if (message.error) waiting?.reject(new Error(message.error.message))
      else waiting?.resolve(message.result)
    }
  }

  #fail (reason) {
    for (const { reject } of this.#waiting.values()) reject(new Error(reason))
    this.#waiting.clear()
  }

  send (method, params = {}, sessionId) {
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.child.stdio[3].write(
        `${JSON.stringify({ id, method, params, sessionId })}\0`)
    })
  }

  // A page at this address, in a profile of its own.
  async open (url) {
    const { browserContextId } =
      await this.send('Target.createBrowserContext')
    const { targetId } = await this.send('Target.createTarget',
      { url: 'about:blank', browserContextId })
    const { sessionId } = await this.send('Target.attachToTarget',
      { targetId, flatten: true })
    const page = {
      send: (method, params) => this.send(method, params, sessionId),
      go: async to => {
        const { errorText } = await page.send('Page.navigate', { url: to })
        if (errorText) throw new Error(`${to}: ${errorText}`)
        await page.until('document.readyState === "complete" && ' +
          `location.href.startsWith(${JSON.stringify(to)})`)
      },
      // The value of an expression, awaited in the page.
      run: async expression => {
        const { result, exceptionDetails } = await page.send(
          'Runtime.evaluate', { expression, awaitPromise: true,
            returnByValue: true, userGesture: true })
        if (exceptionDetails) {
          throw new Error(exceptionDetails.exception?.description ??
            exceptionDetails.text)
        }
        return result.value
      },
      until: async expression => {
        for (let i = 0; i < 300; i++) {
          if (await page.run(expression).catch(() => false)) return
          await new Promise(resolve => setTimeout(resolve, 50))
        }
        throw new Error(`never: ${expression}`)
      },
      close: () => this.send('Target.disposeBrowserContext',
        { browserContextId }),
    }
    await page.go(url)
    return page
  }
}

// The OpenAI SDK, run in the network of a machine: asks N times at once, again
// and again until it is told to stop (SIGTERM) or once, and prints a line of
// JSON for each answer.  With a delay before each word, the first of an answer
// has a line as well.
//
//	ask.mjs MODEL REQUEST-ID WORDS [N [DELAY-MS]]
//
// ASK_KEY: an API key.
import { createRequire } from 'node:module'
import path from 'node:path'
const require = createRequire(path.resolve(
  path.dirname(new URL(import.meta.url).pathname), '../system/package.json'))
const { default: OpenAI } = await import(require.resolve('openai'))

const [model, id, words, n, delay] = process.argv.slice(2)
const client = new OpenAI({ baseURL: 'http://127.0.0.1:9337/v1', apiKey: process.env.ASK_KEY ?? 'none', maxRetries: 0, timeout: 60000 })
let stopped = false
process.on('SIGTERM', () => { stopped = true })

async function ask (requestId) {
  const began = Date.now()
  const out = { id: requestId, began }
  try {
    const { data, response } = await client.chat.completions.create(
      { model, messages: [{ role: 'user', content: words }], stream: true,
        ...(delay && { demo_delay_ms: Number(delay) }) },
      { headers: { 'x-request-id': requestId } }).withResponse()
    out.encrypted = response.headers.get('x-meshllm-encrypted')
    out.echo = response.headers.get('x-request-id')
    out.text = ''
    for await (const chunk of data) {
      if (delay && out.text === '') console.log(JSON.stringify({ id, flows: true }))
      out.text += chunk.choices?.[0]?.delta?.content ?? ''
      out.finish = chunk.choices?.[0]?.finish_reason ?? out.finish
    }
    out.ok = out.finish === 'stop'
    if (!out.ok) out.error = 'ended without its end'
  } catch (e) {
    out.ok = false
    out.status = e.status
    out.code = e.code ?? e.error?.code ?? e.cause?.code
    out.error = String(e.message)
  }
  out.ms = Date.now() - began
  console.log(JSON.stringify(out))
}

if (n === undefined) {
  await ask(id)
} else {
  await Promise.all(Array.from({ length: Number(n) }, async (_, i) => {
    for (let k = 0; !stopped; k++) {
      await ask(`${id}-${i}-${k}`)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
  }))
}

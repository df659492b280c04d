// llama.cpp's server behind another node: what it answers directly is what it
// answers through the mesh, byte for byte.
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import http from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { before, describe, test } from 'node:test'
import OpenAI from 'openai'
import { Program, sleep, startNode, suiteScope, waitFor } from './lib.mjs'
import { conformanceClient, missing, startLlama } from './llama.mjs'

const CHAT = '/v1/chat/completions'
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk' +
  '+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const user = content => [{ role: 'user', content }]
const image = url => [{ role: 'user', content: [
  { type: 'text', text: 'what is it' },
  { type: 'image_url', image_url: { url: `data:image/png;base64,${url}` } }] }]
const TOOL = { type: 'function', function: {
  name: 'get_weather', description: 'Weather of a city',
  parameters: { type: 'object', additionalProperties: false,
    required: ['city', 'unit'], properties: { city: { type: 'string' },
      unit: { type: 'string', enum: ['celsius', 'kelvin'] } } } } }
const SCHEMA = { type: 'json_schema', json_schema: { name: 'a', strict: true,
  schema: { type: 'object', properties: { ok: { type: 'boolean' } },
    required: ['ok'], additionalProperties: false } } }
// The same tokens each time, whatever was asked before.
const fixed = { model: 'tiny', temperature: 0, seed: 7, max_tokens: 30,
  ignore_eos: true, cache_prompt: false }
const free = { ...fixed, ignore_eos: false, max_tokens: 600 }
const stone = { ...fixed, messages: user('the stone river') }

const shapes = {
  'chat': [CHAT, stone],
  'chat, streamed': [CHAT, { ...stone, stream: true }],
  'usage in a stream': [CHAT, { ...stone, stream: true,
    stream_options: { include_usage: true } }],
  'logprobs': [CHAT, { ...stone, logprobs: true, top_logprobs: 5 }],
  'logprobs, streamed': [CHAT, { ...stone, logprobs: true, top_logprobs: 5,
    stream: true }],
  'two choices': [CHAT, { ...stone, n: 2 }],
  'stop words': [CHAT, { ...stone, stop: ['e', 'a'] }],
  'JSON schema': [CHAT, { ...free, messages: user('x'),
    response_format: SCHEMA }],
  'tools': [CHAT, { ...free, tools: [TOOL], messages: user('weather?') }],
  'tools, streamed': [CHAT, { ...free, tools: [TOOL], stream: true,
    tool_choice: 'required', messages: user('weather?') }],
  'an image': [CHAT, { ...fixed, messages: image(PNG) }],
  'an image, streamed': [CHAT, { ...fixed, messages: image(PNG),
    stream: true }],
  'any character': [CHAT, { ...fixed,
    messages: user('héllo 你好 🚀 \u202e\u0000\u0001 \t\r\n "q" \\b\\ </s>') }],
  'a prompt of 30 KiB': [CHAT, { ...fixed,
    messages: user('river of stone '.repeat(2000)) }],
  'a stream of 3000 tokens': [CHAT, { ...stone, stream: true,
    max_tokens: 3000 }],
  'completion': ['/v1/completions', { ...fixed, prompt: 'the river' }],
  'completion, streamed': ['/v1/completions', { ...fixed, prompt: 'the river',
    stream: true }],
  'embeddings': ['/v1/embeddings', { model: 'tiny', input: ['one', 'two'] }],
  'embeddings in base64': ['/v1/embeddings', { model: 'tiny', input: 'one',
    encoding_format: 'base64' }],
  '512 embeddings': ['/v1/embeddings', { model: 'tiny',
    input: Array.from({ length: 512 }, (_, i) => `river ${i}`) }],
  'response': ['/v1/responses', { ...fixed, max_tokens: undefined,
    max_output_tokens: 20, input: 'hello' }],
  'response, streamed': ['/v1/responses', { ...fixed, max_tokens: undefined,
    max_output_tokens: 20, input: 'hello', stream: true }],
  'no messages': [CHAT, { model: 'tiny' }],
  'no messages, streamed': [CHAT, { model: 'tiny', stream: true }],
  'messages that are none': [CHAT, { model: 'tiny', messages: 7 }],
  'a temperature that is none': [CHAT, { model: 'tiny', temperature: 'hot',
    messages: user('x') }],
  'more than the context': [CHAT, { model: 'tiny',
    messages: user('x '.repeat(40000)) }],
  'an image that is none': [CHAT, { model: 'tiny', messages: image('AAAA') }],
  'a grammar that is none': [CHAT, { model: 'tiny', grammar: 'root ::= (',
    messages: user('x') }],
  'no input': ['/v1/embeddings', { model: 'tiny' }],
}

function post (base, where, body, agent) {
  return new Promise((resolve, reject) => {
    const req = http.request(base + where, { agent, method: 'POST',
      headers: { 'content-type': 'application/json' } }, res => {
      let text = ''
      res.setEncoding('utf8')
      res.on('data', piece => { text += piece })
      res.on('error', reject)
      res.on('end', () => resolve({ status: res.statusCode, text,
        type: res.headers['content-type'].split(';')[0] }))
    })
    req.on('error', reject)
    req.end(JSON.stringify(body))
  })
}

// Without what differs each time: numbers of the answer, times.
const comparable = ({ status, type, text }) => ({ status, type, text: text
  .replace(/"(\w*id|created|created_at|completed_at)":("[^"]*"|\d+)/g,
    '"$1":0')
  .replace(/"\w+_(ms|per_second)":-?[\d.e+-]+/g, '"$1":0') })

// What the conformance client of the rigs finds, and we mean to answer
// ourselves or not at all: not JSON and no such path never reach a backend,
// a model has to be named, pages of other origins are refused.  Other APIs.
const OURS = new RegExp('^(parity error |ollama |CORS preflight)')

const why = missing()

describe('a llama-server behind another node', { skip: why }, () => {
  const scope = suiteScope()
  const agent = new http.Agent({ keepAlive: true })
  scope.after(() => agent.destroy())
  let llama, client, sdk
  before(async () => {
    llama = await startLlama(scope)
    const host = await startNode(scope, { backend: llama.url })
    client = await startNode(scope, { join: await host.token() })
    await client.waitModel('tiny')
    sdk = new OpenAI({ baseURL: client.baseUrl, apiKey: 'none', maxRetries: 0 })
  }, { timeout: 60000 })

  for (const [name, [where, body]] of Object.entries(shapes)) {
    test(`${name}: the same as directly`, async () => {
      const direct = await post(llama.url, where, body, agent)
      const mesh = await post(client.api, where, body, agent)
      assert.deepEqual(comparable(mesh), comparable(direct))
    })
  }

  test('the context is what a request can have', async () => {
    assert.equal((await sdk.models.retrieve('tiny')).context_length, 16384)
  })

  test('events of a response have the types that the SDK knows', async () => {
    const types = []
    for await (const event of await sdk.responses.create({ model: 'tiny',
      input: 'hello', max_output_tokens: 20, stream: true })) {
      types.push(event.type)
    }
    assert.equal(types[0], 'response.created')
    assert.equal(types.at(-1), 'response.completed')
  })

  test('16 streams and 64 answers at a time, nothing lost', async () => {
    const ask = more => sdk.chat.completions.create({ ...fixed, ...more })
    const stream = async i => {
      let tokens
      const chunks = await ask({ messages: user(`river ${i}`), max_tokens: 60,
        stream: true, stream_options: { include_usage: true } })
      for await (const chunk of chunks) tokens = chunk.usage?.completion_tokens
      assert.equal(tokens, 60)
    }
    const whole = async i => {
      const { id, usage } = await ask({ messages: user(`stone ${i}`),
        max_tokens: 5 })
      assert.equal(usage.completion_tokens, 5)
      return id
    }
    const [, ids] = await Promise.all([
      Promise.all(Array.from({ length: 16 }, (_, i) => stream(i))),
      Promise.all(Array.from({ length: 64 }, (_, i) => whole(i)))])
    assert.equal(new Set(ids).size, 64)
  })

  // It closes kept-alive connections now and then, just as they are reused.
  test('400 requests, some after a pause, none lost', async () => {
    for (let i = 0; i < 400; i++) {
      await sdk.chat.completions.create({ ...fixed, messages: user('x'),
        max_tokens: 1 })
      if (i % 100 === 99) await sleep(1500)
      if (i % 20 === 19) { // an error makes it close the connection
        await post(client.api, CHAT, { model: 'tiny' }, agent)
      }
    }
  })

  test('a stream that is left frees its slot', async () => {
    for (let i = 0; i < 5; i++) {
      await waitFor('rest', async () => await llama.slotsBusy() === 0)
      let chunks = 0
      for await (const chunk of await sdk.chat.completions.create({ ...fixed,
        messages: user('hello'), max_tokens: 15000, stream: true })) {
        assert.ok(chunk)
        if (++chunks === 5) break
      }
      await waitFor('a free slot', async () => await llama.slotsBusy() === 0)
    }
  })

  const rig = why ? undefined : conformanceClient()
  test('the conformance client of the rigs', { timeout: 300000,
    skip: rig ? false : 'no client: set CONFORMANCE_CLIENT' }, async () => {
    const dir = mkdtempSync(path.join(tmpdir(), 'meshllm-test-'))
    const run = async (base, name, more = {}) => {
      const file = path.join(dir, name)
      await new Program('node', ['client.mjs'], { cwd: rig, env: {
        ...process.env, BASE_URL: base, DIRECT_URL: `${llama.url}/v1`,
        MODEL: 'tiny', RESULT_FILE: file, ...more } }).ended
      return JSON.parse(readFileSync(file))
    }
    try {
      const direct = await run(`${llama.url}/v1`, 'direct.json')
      const mesh = await run(client.baseUrl, 'mesh.json')
      const isWorse = name => direct[name].ok && !mesh[name]?.ok &&
        !OURS.test(name)
      // Its deadlines are short and the model has its moods: what is worse is
      // so each time.
      for (const name of Object.keys(direct).filter(isWorse)) {
        console.log(`# once more: ${name}: ${mesh[name]?.err}`)
        Object.assign(mesh, await run(client.baseUrl, 'again.json',
          { ONLY: `^${name.replace(/\W/g, '.')}$` }))
      }
      assert.deepEqual(Object.keys(direct).filter(isWorse)
        .map(name => `${name}: ${mesh[name]?.err}`), [])
      assert.ok(Object.values(mesh).filter(c => c.ok).length >= 90)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})

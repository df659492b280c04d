// Other clients than OpenAI's own: Vercel's `ai` with its provider for
// compatible servers, Anthropic's, curl.  The backend is written here.
import assert from 'node:assert/strict'
import { spawnSync, spawn } from 'node:child_process'
import { before, describe, test } from 'node:test'
import Anthropic from '@anthropic-ai/sdk'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { embedMany, generateObject, generateText, stepCountIs, streamText,
  tool } from 'ai'
import { z } from 'zod'
import { startBackend, startNode, suiteScope, waitFor } from './lib.mjs'
import { SSE, chunk, startRaw, whole } from './raw.mjs'

const WORDS = 'a quick brown fox jumps over the lazy dog'

async function mesh (scope, url) {
  const host = await startNode(scope, { backend: url })
  const client = await startNode(scope, { join: await host.token() })
  await client.waitModel('echo')
  return client
}

const provider = node => createOpenAICompatible({ name: 'mesh',
  baseURL: node.baseUrl, apiKey: 'none', supportsStructuredOutputs: true,
  includeUsage: true })

describe('the ai package', () => {
  const scope = suiteScope()
  let backend, client, sdk
  before(async () => {
    backend = await startBackend(scope, ['--model', 'echo'])
    client = await mesh(scope, backend.url)
    sdk = provider(client)
  })

  test('generateText', async () => {
    const { text, usage } = await generateText({ model: sdk('echo'),
      prompt: WORDS, maxRetries: 0 })
    assert.equal(text, WORDS)
    assert.equal(usage.outputTokens, 9)
  })

  test('streamText', async () => {
    const r = streamText({ model: sdk('echo'), prompt: WORDS, maxRetries: 0 })
    let said = ''
    for await (const piece of r.textStream) said += piece
    assert.equal(said, WORDS)
    assert.equal((await r.usage).outputTokens, 9)
    assert.equal(await r.finishReason, 'stop')
  })

  test('streamText, left', async () => {
    const controller = new AbortController()
    const r = streamText({ model: sdk('echo'), prompt: WORDS.repeat(500),
      abortSignal: controller.signal, maxRetries: 0, onError () {} })
    let n = 0
    try {
      for await (const piece of r.textStream) {
        assert.ok(piece)
        if (++n === 3) controller.abort()
      }
    } catch {
      // as it likes
    }
    await waitFor('the end at the backend', async () =>
      (await backend.stats()).answers_now === 0)
  })

  test('an error is its own, and not tried again', async () => {
    const before = (await backend.stats()).requests
    await assert.rejects(generateText({ model: sdk('nobody'), prompt: 'x' }),
      e => e.statusCode === 404 && e.isRetryable === false)
    assert.ok((await backend.stats()).requests - before <= 1)
  })

  test('embedMany', async () => {
    const { embeddings } = await embedMany({ maxRetries: 0,
      model: sdk.textEmbeddingModel('echo'), values: ['a', 'b', 'c'] })
    assert.equal(embeddings.length, 3)
  })
})

describe('tools, objects and messages', () => {
  const scope = suiteScope()
  let backend, client
  before(async () => {
    backend = await startRaw(scope)
    client = await mesh(scope, backend.url)
  })
  const bodyOf = request => JSON.parse(
    request.slice(request.indexOf('\r\n\r\n') + 4))
  const completion = (message, finish_reason) => whole(JSON.stringify({
    id: 'c', object: 'chat.completion', created: 1, model: 'echo',
    choices: [{ index: 0, finish_reason, message: { role: 'assistant',
      content: null, ...message } }],
    usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 } }))

  test('a loop with a tool', async () => {
    const asked = []
    backend.answer = (socket, nth, request) => {
      asked.push(bodyOf(request))
      socket.write(asked.length === 1
        ? completion({ tool_calls: [{ id: 'c1', type: 'function', function: {
          name: 'get_weather', arguments: '{"city":"x"}' } }] }, 'tool_calls')
        : completion({ content: 'cold' }, 'stop'))
    }
    const { text, steps } = await generateText({
      model: provider(client)('echo'), prompt: 'weather?', maxRetries: 0,
      stopWhen: stepCountIs(3), tools: { get_weather: tool({
        description: 'w', inputSchema: z.object({ city: z.string() }),
        execute: async ({ city }) => `280 in ${city}` }) } })
    assert.equal(text, 'cold')
    assert.equal(steps.length, 2)
    assert.equal(asked[0].tools[0].function.name, 'get_weather')
    assert.deepEqual(asked[1].messages.at(-1), { role: 'tool',
      tool_call_id: 'c1', content: '280 in x' })
  })

  test('an object by a schema', async () => {
    let asked
    backend.answer = (socket, nth, request) => {
      asked = bodyOf(request)
      socket.write(completion({ content: '{"ok":true}' }, 'stop'))
    }
    const { object } = await generateObject({ prompt: 'x', maxRetries: 0,
      model: provider(client)('echo'), schema: z.object({ ok: z.boolean() }) })
    assert.deepEqual(object, { ok: true })
    assert.equal(asked.response_format.type, 'json_schema')
  })

  test('Anthropic\'s client, whole and streamed', async () => {
    const sdk = new Anthropic({ baseURL: client.api, apiKey: 'none',
      maxRetries: 0 })
    const message = { id: 'm', type: 'message', role: 'assistant',
      model: 'echo', content: [], stop_reason: null, stop_sequence: null,
      usage: { input_tokens: 1, output_tokens: 1 } }
    const ask = { model: 'echo', max_tokens: 5,
      messages: [{ role: 'user', content: 'x' }] }
    backend.answer = socket => socket.write(whole(JSON.stringify({ ...message,
      content: [{ type: 'text', text: 'hi' }], stop_reason: 'end_turn' })))
    assert.equal((await sdk.messages.create(ask)).content[0].text, 'hi')
    const events = [
      { type: 'message_start', message },
      { type: 'content_block_start', index: 0,
        content_block: { type: 'text', text: '' } },
      { type: 'ping' },
      { type: 'content_block_delta', index: 0,
        delta: { type: 'text_delta', text: 'hi' } },
      { type: 'content_block_stop', index: 0 },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' },
        usage: { output_tokens: 1 } },
      { type: 'message_stop' }]
    backend.answer = socket => socket.write(
      `${SSE}Transfer-Encoding: chunked\r\n\r\n` + events.map(e => chunk(
        `event: ${e.type}\ndata: ${JSON.stringify(e)}\n\n`)).join('') +
      '0\r\n\r\n')
    const final = await sdk.messages.stream(ask).finalMessage()
    assert.equal(final.content[0].text, 'hi')
    assert.equal(final.stop_reason, 'end_turn')
    await assert.rejects(sdk.messages.create({ ...ask, model: 'none' }),
      e => e instanceof Anthropic.NotFoundError)
  })
})

const curlIsMissing = spawnSync('curl', ['--version']).status !== 0

describe('curl', { skip: curlIsMissing && 'no curl' }, () => {
  const scope = suiteScope()
  let backend, client
  before(async () => {
    backend = await startBackend(scope, ['--model', 'echo'])
    client = await mesh(scope, backend.url)
  })
  const body = more => JSON.stringify({ model: 'echo', ...more,
    messages: [{ role: 'user', content: WORDS }] })
  const base = ['-sS', '--noproxy', '*', '--max-time', '20',
    '-H', 'content-type: application/json']
  const curl = async (args, input) => {
    const child = spawn('curl', [...base, ...args,
      `${client.baseUrl}/chat/completions`])
    let out = ''
    child.stdout.on('data', piece => { out += piece })
    child.stdin.end(input)
    const code = await new Promise(resolve => child.on('close', resolve))
    return { out, code }
  }

  for (const [name, args] of Object.entries({
    'as it comes': [], 'HTTP/1.0': ['--http1.0'],
    'HTTP/2 offered': ['--http2'], 'compression offered': ['--compressed'],
    '100-continue': ['-H', 'Expect: 100-continue'],
    'chunks': ['-H', 'Transfer-Encoding: chunked'] })) {
    test(name, async () => {
      const { out, code } = await curl([...args, '--data-binary', '@-'], body())
      assert.equal(code, 0)
      assert.equal(JSON.parse(out).choices[0].message.content, WORDS)
    })
  }

  test('-N', async () => {
    const { out, code } = await curl(['-N', '--data-binary', '@-'],
      body({ stream: true }))
    assert.equal(code, 0)
    assert.ok(out.endsWith('data: [DONE]\n\n'))
  })

  test('a stream that is cut is an error', async () => {
    const { out, code } = await curl(['-N', '--data-binary', '@-'],
      body({ stream: true, fault: 'cut', fault_after: 3, demo_delay_ms: 30 }))
    assert.equal(code, 18) // a partial file
    assert.match(out, /data: \{"error"/)
  })
})

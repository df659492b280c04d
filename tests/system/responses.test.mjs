// /v1/responses through nodes whose backend has chat completions only, as
// OpenAI's own client sees it.
import assert from 'node:assert/strict'
import { before, describe, test } from 'node:test'
import OpenAI from 'openai'
import { ask, assertRefused, errorOf } from './http.mjs'
import { sleep, startBackend, startNode, suiteScope } from './lib.mjs'
import { SSE, chunk, startRaw, whole } from './raw.mjs'

const CHUNKED = `${SSE}Transfer-Encoding: chunked\r\n\r\n`
const END = '0\r\n\r\n'
const WORDS = 'a quick brown fox jumps over the lazy dog'
const WEATHER = { type: 'function', name: 'get_weather', strict: true,
  description: 'w', parameters: { type: 'object', properties: {} } }

const openai = node => new OpenAI({ baseURL: node.baseUrl, apiKey: 'none',
  maxRetries: 0 })
const bodyOf = request => JSON.parse(request.slice(
  request.indexOf('\r\n\r\n') + 4))
const delta = (choice, more = {}) => 'data: ' + JSON.stringify({
  id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1,
  model: 'echo', choices: [{ index: 0, finish_reason: null, ...choice }],
  ...more }) + '\n\n'
const text = content => delta({ delta: { content } })
const stop = (finish_reason = 'stop') => delta({ delta: {}, finish_reason })
const usage = 'data: {"choices":[],"usage":{"prompt_tokens":3,' +
  '"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":' +
  '{"cached_tokens":2},"completion_tokens_details":{"reasoning_tokens":1}}}\n\n'
const DONE = 'data: [DONE]\n\n'
const call = (index, fields) => delta({ delta: { tool_calls: [{ index,
  ...fields }] } })

describe('a response of a backend that has none', () => {
  const scope = suiteScope()
  let backend, host, client, sdk
  before(async () => {
    backend = await startBackend(scope, ['--model', 'echo'])
    host = await startNode(scope, { backend: backend.url })
    client = await startNode(scope, { join: await host.token() })
    await client.waitModel('echo')
    sdk = openai(client)
  })

  test('whole', async () => {
    const r = await sdk.responses.create({ model: 'echo', input: WORDS,
      metadata: { a: 'b' }, instructions: 'be brief', user: 'u' })
    assert.equal(r.object, 'response')
    assert.equal(r.status, 'completed')
    assert.equal(r.output_text, WORDS)
    assert.match(r.id, /^resp_[0-9a-f]+$/)
    assert.equal(r.output.length, 1)
    assert.equal(r.output[0].role, 'assistant')
    assert.deepEqual(r.metadata, { a: 'b' })
    assert.equal(r.instructions, 'be brief')
    assert.equal(r.usage.total_tokens,
      r.usage.input_tokens + r.usage.output_tokens)
    assert.equal(r.store, false)
    assert.equal(r.error, null)
  })

  test('streamed, with every event the client knows', async () => {
    const types = []
    let said = ''
    let at = -1
    const stream = await sdk.responses.create({ model: 'echo', input: WORDS,
      stream: true })
    for await (const event of stream) {
      assert.equal(event.sequence_number, ++at)
      types.push(event.type)
      if (event.type === 'response.output_text.delta') said += event.delta
      if (event.type === 'response.completed') {
        assert.equal(event.response.usage.output_tokens, 9)
        assert.equal(event.response.output[0].content[0].text, WORDS)
      }
    }
    assert.equal(said, WORDS)
    assert.deepEqual(types.filter((t, i) => t !== types[i - 1]), [
      'response.created', 'response.in_progress',
      'response.output_item.added', 'response.content_part.added',
      'response.output_text.delta', 'response.output_text.done',
      'response.content_part.done', 'response.output_item.done',
      'response.completed'])
    assert.equal(types.filter(t => t === 'response.output_text.delta').length,
      9)
  })

  test('by the client\'s own stream helper', async () => {
    const stream = sdk.responses.stream({ model: 'echo', input: WORDS })
    const final = await stream.finalResponse()
    assert.equal(final.output_text, WORDS)
  })

  test('its own node translates too', async () => {
    const r = await openai(host).responses.create({ model: 'echo',
      input: [{ role: 'user', content: [
        { type: 'input_text', text: WORDS }] }] })
    assert.equal(r.output_text, WORDS)
  })

  test('the path is asked for once, then remembered', async () => {
    await sdk.responses.create({ model: 'echo', input: 'x' })
    const before = await backend.stats()
    for (let i = 0; i < 5; i++) {
      await sdk.responses.create({ model: 'echo', input: 'x' })
    }
    assert.equal((await backend.stats()).requests - before.requests, 5)
  })

  test('what needs a memory is refused', async () => {
    for (const more of [{ previous_response_id: 'resp_1' },
      { conversation: 'c' }, { background: true }, { prompt: { id: 'p' } },
      { tools: [{ type: 'web_search' }] },
      { input: [{ type: 'item_reference', id: 'x' }] },
      { input: [{ role: 'user', content: [
        { type: 'input_image', file_id: 'f' }] }] }, { input: 7 }]) {
      const answer = await ask(`${client.baseUrl}/responses`,
        { body: { model: 'echo', input: 'x', ...more } })
      assertRefused(answer, 400, 'unsupported_parameter')
    }
  })

  test('an error of the backend is the client\'s', async () => {
    const answer = await ask(`${client.baseUrl}/responses`,
      { body: { model: 'echo', input: 'x', fault: 'error_429' } })
    assert.equal(answer.status, 429)
    assert.equal(errorOf(answer).message, 'the demo backend was asked to fail')
  })

  test('a stream that is cut has no end', async () => {
    for (const fault of ['cut', 'cut_reset', 'bad_chunk', 'bad_event']) {
      const answer = await ask(`${client.baseUrl}/responses`, { body: {
        model: 'echo', input: WORDS, stream: true, fault, fault_after: 3,
        demo_delay_ms: 30 } })
      assert.equal(answer.complete, false, fault)
      assert.match(answer.body, /event: response\.failed\n/, fault)
      assert.ok(!answer.body.includes('response.completed'))
    }
  })
})

describe('a response made of', () => {
  const scope = suiteScope()
  let backend, client, sdk
  let asked
  const answerWith = (...pieces) => {
    backend.answer = (socket, nth, request) => {
      if (request.startsWith('POST /v1/responses')) {
        socket.write(whole('{"detail":"Not Found"}',
          'HTTP/1.1 404 Not Found'))
        return
      }
      asked = bodyOf(request)
      socket.write(pieces[0].startsWith('HTTP') ? pieces[0]
        : CHUNKED + pieces.map(p => chunk(p)).join('') + END)
    }
  }
  before(async () => {
    backend = await startRaw(scope)
    const host = await startNode(scope, { backend: backend.url })
    client = await startNode(scope, { join: await host.token() })
    await client.waitModel('echo')
    sdk = openai(client)
  })
  const stream = async (more = {}) => {
    const events = []
    for await (const e of await sdk.responses.create({ model: 'echo',
      input: 'x', stream: true, ...more })) events.push(e)
    return events
  }
  const order = events => events.map(e => e.type.replace('response.', ''))

  test('thoughts, words and two calls', async () => {
    answerWith(delta({ delta: { role: 'assistant', content: '' } }),
      delta({ delta: { reasoning_content: 'let me ' } }),
      delta({ delta: { reasoning_content: 'think' } }),
      text('well'), call(0, { id: 'c0', type: 'function',
        function: { name: 'get_weather', arguments: '' } }),
      call(0, { function: { arguments: '{"city":' } }),
      call(0, { function: { arguments: '"x"}' } }),
      call(1, { id: 'c1', type: 'function',
        function: { name: 'get_weather', arguments: '{}' } }),
      stop('tool_calls'), usage, DONE)
    const events = await stream({ tools: [WEATHER] })
    assert.deepEqual(order(events), ['created', 'in_progress',
      'output_item.added', 'content_part.added', 'reasoning_text.delta',
      'reasoning_text.delta', 'reasoning_text.done', 'content_part.done',
      'output_item.done',
      'output_item.added', 'content_part.added', 'output_text.delta',
      'output_text.done', 'content_part.done', 'output_item.done',
      'output_item.added', 'function_call_arguments.delta',
      'function_call_arguments.delta',
      'output_item.added', 'function_call_arguments.delta',
      'function_call_arguments.done', 'output_item.done',
      'function_call_arguments.done', 'output_item.done', 'completed'])
    assert.deepEqual(events.map(e => e.sequence_number),
      events.map((_, i) => i))
    const { output, usage: used } = events.at(-1).response
    assert.deepEqual(output.map(o => o.type),
      ['reasoning', 'message', 'function_call', 'function_call'])
    assert.equal(output[0].content[0].text, 'let me think')
    assert.equal(output[1].content[0].text, 'well')
    assert.equal(output[2].arguments, '{"city":"x"}')
    assert.deepEqual(output.slice(2).map(o => o.call_id), ['c0', 'c1'])
    assert.deepEqual(used, { input_tokens: 3,
      input_tokens_details: { cached_tokens: 2 }, output_tokens: 4,
      output_tokens_details: { reasoning_tokens: 1 }, total_tokens: 7 })
    const done = events.filter(e =>
      e.type === 'response.function_call_arguments.done')
    assert.deepEqual(done.map(e => [e.name, e.arguments, e.output_index]),
      [['get_weather', '{"city":"x"}', 2], ['get_weather', '{}', 3]])
    assert.deepEqual(asked.tools, [{ type: 'function', function: {
      name: 'get_weather', description: 'w', strict: true,
      parameters: WEATHER.parameters } }])
    assert.deepEqual(asked.stream_options, { include_usage: true })
  })

  test('calls, whole', async () => {
    answerWith(whole(JSON.stringify({ id: 'x', object: 'chat.completion',
      choices: [{ index: 0, finish_reason: 'tool_calls', message: {
        role: 'assistant', content: null, reasoning: 'hm', tool_calls: [
          { id: 'c', type: 'function', function: { name: 'get_weather',
            arguments: '{"a":1}' } }] } }] })))
    const r = await sdk.responses.create({ model: 'echo', input: 'x',
      tools: [WEATHER], tool_choice: { type: 'function',
        name: 'get_weather' } })
    assert.deepEqual(r.output.map(o => o.type), ['reasoning', 'function_call'])
    assert.equal(r.output[1].call_id, 'c')
    assert.equal(r.output[1].arguments, '{"a":1}')
    assert.equal(r.usage, null)
    assert.deepEqual(asked.tool_choice, { type: 'function',
      function: { name: 'get_weather' } })
  })

  test('a second turn asks with what was said and done', async () => {
    answerWith(whole(JSON.stringify({ choices: [{ index: 0,
      finish_reason: 'stop', message: { role: 'assistant',
        content: 'cold' } }] })))
    const r = await sdk.responses.create({ model: 'echo',
      instructions: 'be brief', max_output_tokens: 5,
      reasoning: { effort: 'low' }, text: { format: { type: 'json_schema',
        name: 'a', strict: true, schema: { type: 'object' } } },
      top_k: 3, input: [
        { role: 'developer', content: 'short' },
        { role: 'user', content: [{ type: 'input_text', text: 'weather?' },
          { type: 'input_image', image_url: 'data:image/png;base64,AAAA',
            detail: 'low' }] },
        { type: 'reasoning', id: 'rs_1', summary: [], content: [
          { type: 'reasoning_text', text: 'ask' }] },
        { type: 'message', role: 'assistant', content: [
          { type: 'output_text', text: 'I ' },
          { type: 'output_text', text: 'ask' }] },
        { type: 'function_call', call_id: 'c0', name: 'f', arguments: '{}' },
        { type: 'function_call', call_id: 'c1', name: 'g', arguments: '{}' },
        { type: 'function_call_output', call_id: 'c0', output: '280' },
        { type: 'function_call_output', call_id: 'c1', output: [
          { type: 'input_text', text: 'K' }] },
        { role: 'user', content: 'so?' }] })
    assert.equal(r.output_text, 'cold')
    assert.deepEqual(asked, { model: 'echo', top_k: 3, messages: [
      { role: 'system', content: 'be brief' },
      { role: 'system', content: 'short' },
      { role: 'user', content: [{ type: 'text', text: 'weather?' },
        { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA',
          detail: 'low' } }] },
      { role: 'assistant', content: 'I ask', reasoning_content: 'ask',
        tool_calls: [
          { id: 'c0', type: 'function', function: { name: 'f',
            arguments: '{}' } },
          { id: 'c1', type: 'function', function: { name: 'g',
            arguments: '{}' } }] },
      { role: 'tool', tool_call_id: 'c0', content: '280' },
      { role: 'tool', tool_call_id: 'c1', content: 'K' },
      { role: 'user', content: 'so?' }],
    max_tokens: 5, reasoning_effort: 'low', response_format: {
      type: 'json_schema', json_schema: { name: 'a', strict: true,
        schema: { type: 'object' } } } })
  })

  test('an answer that is too long is incomplete', async () => {
    answerWith(text('a'), stop('length'), DONE)
    const last = (await stream({ max_output_tokens: 1 })).at(-1)
    assert.equal(last.type, 'response.incomplete')
    assert.deepEqual(last.response.incomplete_details,
      { reason: 'max_output_tokens' })
    assert.equal(last.response.output[0].status, 'incomplete')
  })

  test('log probabilities', async () => {
    const content = [{ token: 'a', logprob: -0.5, bytes: [97], top_logprobs: [
      { token: 'b', logprob: -1.25, bytes: [98] }] }]
    answerWith(delta({ delta: { content: 'a' }, logprobs: { content } }),
      stop(), DONE)
    const events = await stream({ top_logprobs: 1,
      include: ['message.output_text.logprobs'] })
    const one = events.find(e => e.type === 'response.output_text.delta')
    assert.deepEqual(one.logprobs, content)
    assert.deepEqual(events.at(-1).response.output[0].content[0].logprobs,
      content)
    assert.equal(asked.logprobs, true)
    assert.equal(asked.top_logprobs, 1)
  })

  test('a refusal', async () => {
    answerWith(delta({ delta: { refusal: 'no' } }), stop(), DONE)
    const events = await stream()
    assert.ok(order(events).includes('refusal.done'))
    assert.deepEqual(events.at(-1).response.output[0].content,
      [{ type: 'refusal', refusal: 'no' }])
  })

  test('an error in the stream', async () => {
    answerWith(text('a'), 'data: {"error":{"message":"out of memory"}}\n\n')
    const last = (await stream()).at(-1)
    assert.equal(last.type, 'response.failed')
    assert.equal(last.response.error.message, 'out of memory')
  })

  test('a stream in odd pieces', async () => {
    const all = `\ufeff: hi\r\n\r\n${text('a')}event: x\rdata: ` +
      `{"choices":\rdata: []}\r\r${text('é🦊')}${stop()}${DONE}`
    const bytes = [...Buffer.from(all)]
    backend.answer = async (socket, nth, request) => {
      if (request.startsWith('POST /v1/responses')) {
        socket.write(whole('{}', 'HTTP/1.1 404 No'))
        return
      }
      socket.write(CHUNKED)
      for (const b of bytes) {
        socket.write(Buffer.concat([Buffer.from('1\r\n'), Buffer.from([b]),
          Buffer.from('\r\n')]))
        if (b === 0x22) await new Promise(setImmediate)
      }
      socket.write(END)
    }
    assert.equal((await stream()).at(-1).response.output[0].content[0].text,
      'aé🦊')
  })

  test('nothing but an end', async () => {
    answerWith(stop(), DONE)
    const last = (await stream()).at(-1)
    assert.equal(last.response.output[0].content[0].text, '')
  })

  test('what is no chat completion is an error', async () => {
    answerWith(whole('{"hello":1}'))
    assertRefused(await ask(`${client.baseUrl}/responses`,
      { body: { model: 'echo', input: 'x' } }), 502, 'bad_backend_answer')
    answerWith(whole('not JSON'))
    assertRefused(await ask(`${client.baseUrl}/responses`,
      { body: { model: 'echo', input: 'x' } }), 502, 'bad_backend_answer')
  })

  test('no end of the stream is none of ours', async () => {
    backend.answer = async (socket, nth, request) => {
      if (request.startsWith('POST /v1/responses')) {
        socket.write(whole('{}', 'HTTP/1.1 404 No'))
        return
      }
      socket.write(CHUNKED + chunk(text('a')))
      await sleep(100)
      socket.write(END)
    }
    const answer = await ask(`${client.baseUrl}/responses`,
      { body: { model: 'echo', input: 'x', stream: true } })
    assert.equal(answer.complete, false)
    assert.match(answer.body, /event: response\.failed\n/)
  })
})

// What stands behind a foreign host: a model that repeats the last message,
// in the shape of the OpenAI API, or a real HTTP server.
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const chunk = data =>
  `${Buffer.byteLength(data).toString(16)}\r\n${data}\r\n`;

function head(status, type, framing) {
  return Buffer.from(`HTTP/1.1 ${status}\r\ncontent-type: ${type}\r\n` +
    `${framing}connection: close\r\n\r\n`);
}

function* whole(status, value, framing) {
  const body = JSON.stringify(value);
  yield head(status, 'application/json', framing === 'eof' ? ''
    : `content-length: ${Buffer.byteLength(body)}\r\n`);
  yield Buffer.from(body);
}

async function* streamed(model, words, { framing, tokenMs }) {
  const wrap = framing === 'eof' ? text => text : chunk;
  const event = delta => `data: ${JSON.stringify({
    id: 'chatcmpl-foreign', object: 'chat.completion.chunk', model,
    choices: [{ index: 0, delta, finish_reason: null }],
  })}\n\n`;
  yield head('200 OK', 'text/event-stream',
    framing === 'eof' ? '' : 'transfer-encoding: chunked\r\n');
  for (const content of words) {
    yield Buffer.from(wrap(event({ content })));
    await sleep(tokenMs);
  }
  const last = framing === 'eof' ? '' : chunk('');
  yield Buffer.from(wrap('data: [DONE]\n\n') + last);
}

// The pieces of the answer to a parsed request.  options: models, framing
// ('eof': the end of the stream ends the body), tokenMs.
export async function* answer({ start, body }, options) {
  const [method, path] = start.split(' ');
  const refuse = (status, message) =>
    whole(status, { error: { message } }, options.framing);
  if (method === 'GET' && path === '/v1/models') {
    const data = options.models.map(id => ({ id, object: 'model' }));
    return yield* whole('200 OK', { object: 'list', data }, options.framing);
  }
  if (method !== 'POST' || path !== '/v1/chat/completions')
    return yield* refuse('404 Not Found', 'no such path');
  const { model, messages, stream } = JSON.parse(body);
  if (!options.models.includes(model))
    return yield* refuse('404 Not Found', `no model ${model}`);
  const words = ['you ', 'said: ',
    ...(messages.at(-1)?.content ?? '').split(/(?<= )/)];
  if (stream) return yield* streamed(model, words, options);
  yield* whole('200 OK', {
    id: 'chatcmpl-foreign', object: 'chat.completion', model,
    choices: [{
      index: 0, finish_reason: 'stop',
      message: { role: 'assistant', content: words.join('') },
    }],
    usage: { prompt_tokens: 1, completion_tokens: words.length,
      total_tokens: words.length + 1 },
  }, options.framing);
}

// The same from an HTTP server: the bytes go through unchanged.
export async function* forward(request, url) {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port, allowHalfOpen: true });
  socket.write(request);
  try {
    yield* socket;
  } finally {
    socket.destroy();
  }
}

// The serving end of a tunnel (wire-v1, sections 4.1 to 4.3), and the ways in
// which it can be told to misbehave.
import crypto from 'node:crypto';
import { parseMessage } from './http.mjs';
import { answer, forward } from './model.mjs';
import * as sealed from './sealed.mjs';

const MAX_REQUEST = 9 * 1024 * 1024;

async function readPlain(stream, first) {
  let bytes = first;
  for (;;) {
    const message = parseMessage(bytes, false);
    if (message) return { http: bytes, message };
    const more = await stream.read();
    if (!more.length) throw new Error('request is incomplete');
    bytes = Buffer.concat([bytes, more]);
    if (bytes.length > MAX_REQUEST) throw new Error('request too long');
  }
}

async function readSealed(peer, stream) {
  const envelope = await stream.toEnd(sealed.MAX_ENVELOPE);
  const { http, key } = sealed.openRequest(envelope, peer.box.secretKey);
  const message = parseMessage(http, true);
  if (!message) throw new Error('request is incomplete');
  return { http, key, message };
}

// What a faulty host writes in place of a piece of its answer, or of the end.
const faults = {
  cut: () => Buffer.alloc(0),
  reset: () => Buffer.alloc(0),
  silent: () => Buffer.alloc(0),
  early_end: () => sealed.responseEnd,
  bad_length: () => Buffer.from([23, 0, 0, 0, ...Buffer.alloc(23)]),
  huge_length: () => Buffer.from([1, 0, 0, 1]),
  bad_mac: wire => {
    wire[wire.length - 1] ^= 1;
    return wire;
  },
};

// Writes the pieces.  A fault { name, at } strikes at piece number `at`, or
// at the end when `at` is absent, and ends the answer.
async function writeAnswer(stream, pieces, wrap, end, fault) {
  const strike = async wire => {
    await stream.write(faults[fault.name](wire));
    if (fault.name === 'reset') await stream.reset();
    if (fault.name === 'silent') await stream.send.stopped();
  };
  let count = 0;
  for await (const piece of pieces) {
    const wire = wrap(piece);
    if (faults[fault?.name] && fault.at === count++) return strike(wire);
    await stream.write(wire);
  }
  if (faults[fault?.name] && fault.at === undefined) return strike(wrap(end));
  await stream.write(end);
}

async function writeSealed(peer, stream, pieces, key) {
  const { fault } = peer;
  const shown = fault?.name === 'wrong_key'
    ? crypto.randomBytes(32) : peer.box.publicKey;
  await stream.write(sealed.responseHeader(shown));
  await writeAnswer(stream, pieces, piece => sealed.sealChunk(piece, key),
    sealed.responseEnd, fault);
}

// Answers the request of an admitted peer.
export async function serveTunnel(peer, stream, from) {
  const { serve, backend, framing, tokenMs, dialect } = peer.options;
  if (!serve.length) return stream.drop();
  const first = await stream.exactly(1);
  const isSealed = first[0] === sealed.MARK;
  if (isSealed && dialect === 'plain')
    throw new Error('this dialect has no sealed tunnels');
  const { http, key, message } = isSealed
    ? await readSealed(peer, stream) : await readPlain(stream, first);
  const [method, path] = message.start.split(' ');
  peer.emit('request_in', {
    from, sealed: isSealed, method, path, bytes: http.length,
    headers: message.headers, body: message.body.toString('utf8', 0, 4096),
  });
  if (peer.fault?.name === 'drop') return stream.drop();
  const pieces = backend ? forward(http, backend)
    : answer(message, { models: serve, framing, tokenMs });
  if (isSealed && peer.fault?.name !== 'plain_answer')
    await writeSealed(peer, stream, pieces, key);
  else
    await writeAnswer(
      stream, pieces, piece => piece, Buffer.alloc(0), peer.fault);
  await stream.finish();
  peer.emit('request_done', { from, path });
}

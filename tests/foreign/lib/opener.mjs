// The asking end of a tunnel (wire-v1, sections 4.1 to 4.3), and raw streams
// for the tests of bad input.
import crypto from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { buildRequest, parseMessage, sseData } from './http.mjs';
import { Stream } from './messages.mjs';
import { openResponse, sealRequest } from './sealed.mjs';
import { reason, within } from './stream.mjs';

// Writes the request; returns the pieces of the answer.
async function ask(peer, stream, command) {
  const { to, sealed, body, replay, key_hex, fin } = command;
  const http = command.raw !== undefined
    ? Buffer.from(command.raw) : buildRequest(command);
  const type = Buffer.from([Stream.TUNNEL]);
  if (!sealed) {
    await stream.write(Buffer.concat([type, http]));
    if (fin) await stream.finish();
    return (async function* () {
      for (let bytes; (bytes = await stream.read()).length;) yield bytes;
    })();
  }
  const hostKey = key_hex ? Buffer.from(key_hex, 'hex') : peer.keyOf(to);
  if (!hostKey) throw new Error('no key to seal to');
  if (!replay) peer.lastSealed = sealRequest(http, body?.model ?? '', hostKey);
  const { bytes, key } = peer.lastSealed;
  await stream.write(Buffer.concat([type, bytes]));
  await stream.finish();
  return openResponse(stream, hostKey, key);
}

// One request.  command: to, path, method, headers, body | raw, sealed
// (default: when the host has a key), fin (plain only), key_hex (seal to this
// key instead), replay (send the last sealed request again), abort_after (stop
// reading after so many pieces), timeout_ms.
export async function request(peer, command) {
  const { to, abort_after, timeout_ms = 30000 } = command;
  const sealed = command.sealed ?? Boolean(peer.keyOf(to));
  const started = Date.now(), bytes = [], pieces = [];
  let error, stream;
  const talk = async () => {
    stream = await peer.openStream(to);
    for await (const piece of await ask(peer, stream, { ...command, sealed })) {
      bytes.push(piece);
      pieces.push([Date.now() - started, piece.length]);
      if (pieces.length === abort_after) throw new Error('aborted');
    }
  };
  try {
    await within(timeout_ms, talk(), 'answer');
    await stream.finish();
  } catch (e) {
    error = reason(e);
    stream?.drop();
  }
  const message = parseMessage(Buffer.concat(bytes), true);
  const body = message?.body.toString();
  return {
    to, sealed, status: message && Number(message.start.split(' ')[1]),
    headers: message?.headers, body, chunks: body && sseData(body),
    pieces, error: error ?? (message ? undefined : 'no complete answer'),
  };
}

function rawPayload(command) {
  const { type, frame_len, bytes_hex = '', zeros = 0, random = 0 } = command;
  const length = Buffer.alloc(frame_len === undefined ? 0 : 4);
  if (frame_len !== undefined) length.writeUInt32LE(frame_len);
  return Buffer.concat([
    type === undefined ? Buffer.alloc(0) : Buffer.from([type]), length,
    Buffer.from(bytes_hex, 'hex'), Buffer.alloc(zeros),
    crypto.randomBytes(random),
  ]);
}

async function watch(stream, payload, fin, result) {
  try {
    if (payload.length) await stream.write(payload);
    if (fin) await stream.finish();
    for (let bytes; (bytes = await stream.read()).length;)
      result.bytes += bytes.length;
    result.ended++;
  } catch (e) {
    result.failed++;
    result.error = reason(e);
  }
  await stream.finish();
}

// Opens `count` streams with any content: type (absent: no type byte; the
// other side sees such a stream once a later one carries bytes), frame_len,
// bytes_hex, zeros, random, fin.  After wait_ms, or once no more than
// until_open are open, it tells how many could be opened, and how many the
// other side ended or reset.
export async function rawStreams(peer, command) {
  const { to, count = 1, fin = false, wait_ms = 15000, until_open } = command;
  const result =
    { to, opened: 0, blocked: false, ended: 0, failed: 0, bytes: 0 };
  const watching = [];
  for (; result.opened < count; result.opened++) {
    let stream;
    try {
      stream = await within(
        command.open_timeout_ms ?? 3000, peer.openStream(to), 'open');
    } catch (e) {
      result.blocked = true;
      result.error = reason(e);
      break;
    }
    peer.held.push(stream);
    watching.push(watch(stream, rawPayload(command), fin, result));
  }
  const open = () => result.opened - result.ended - result.failed;
  const all = Promise.all(watching).then(() => true);
  const late = Date.now() + wait_ms;
  while (Date.now() < late && !(open() <= until_open) &&
    !await Promise.race([all, until_open === undefined
      ? sleep(wait_ms, true, { ref: false }) : sleep(10)]));
  return { ...result, open: open() };
}

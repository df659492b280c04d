// The sealed form of a tunnel (wire-v1, section 4.3).  NaCl boxes under one
// key for both directions; the layout of a box here is nonce, MAC, ciphertext.
import nacl from 'tweetnacl';
import { parseObject, strictBase64 } from './json.mjs';

export const MARK = 0xe1;
export const MAX_ENVELOPE = 100663296;
const MAX_CHUNK = 16777216;

export const newKey = () => nacl.box.keyPair();
const boxKey = (publicKey, secretKey) => nacl.box.before(publicKey, secretKey);

export function sealBox(plain, key, nonce = nacl.randomBytes(24)) {
  return Buffer.concat([nonce, nacl.secretbox(plain, nonce, key)]);
}

export function openBox(box, key) {
  const plain = box.length < 40 ? null
    : nacl.secretbox.open(box.subarray(24), box.subarray(0, 24), key);
  if (!plain) throw new Error('box does not open');
  return Buffer.from(plain);
}

export function keyFromBase64(text) {
  const key = strictBase64(text);
  if (key.length !== 32) throw new Error('key length');
  return key;
}

// The stream bytes after the type byte, and the key of the answer.
export function sealRequest(http, model, hostKey, ephemeral = newKey(), nonce) {
  const key = boxKey(hostKey, ephemeral.secretKey);
  const envelope = JSON.stringify({
    model,
    ephemeral_public_key:
      Buffer.from(ephemeral.publicKey).toString('base64'),
    ciphertext: sealBox(http, key, nonce).toString('base64'),
  });
  const bytes = Buffer.concat([Buffer.from([MARK]), Buffer.from(envelope)]);
  return { bytes, key };
}

// `envelope` is what came after the mark.
export function openRequest(envelope, secretKey) {
  const { model, ephemeral_public_key, ciphertext } = parseObject(
    envelope, ['model', 'ephemeral_public_key', 'ciphertext']);
  if (typeof model !== 'string') throw new Error('model is no string');
  const key = boxKey(keyFromBase64(ephemeral_public_key), secretKey);
  return { http: openBox(strictBase64(ciphertext), key), key, model };
}

export const responseHeader = publicKey =>
  Buffer.concat([Buffer.from([MARK]), publicKey]);
export const responseEnd = Buffer.alloc(4);

export function sealChunk(plain, key, nonce) {
  const box = sealBox(plain, key, nonce);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(box.length);
  return Buffer.concat([length, box]);
}

// The plaintext of each chunk of `stream` (anything with `exactly`).
export async function* openResponse(stream, hostKey, key) {
  const header = await stream.exactly(33);
  if (header[0] !== MARK) throw new Error('answer is not sealed');
  if (!header.subarray(1).equals(Buffer.from(hostKey)))
    throw new Error('answer under another key');
  for (;;) {
    const length = (await stream.exactly(4)).readUInt32LE();
    if (length === 0) return;
    if (length < 24 || length > MAX_CHUNK)
      throw new Error(`chunk of ${length} bytes`);
    yield openBox(await stream.exactly(length), key);
  }
}

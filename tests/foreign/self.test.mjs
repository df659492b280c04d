// The foreign peer against the golden vectors and against itself, so that
// what it says about the daemons can be believed.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import crypto from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import readline from 'node:readline';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import nacl from 'tweetnacl';
import { openAnnouncement, signAnnouncement, verifyEvidence }
  from './lib/identity.mjs';
import * as wire from './lib/messages.mjs';
import { rawStreams, request } from './lib/opener.mjs';
import { Peer } from './lib/peer.mjs';
import { decode, encode, NUMBERS } from './lib/proto.mjs';
import * as sealed from './lib/sealed.mjs';
import { BiStream } from './lib/stream.mjs';
import { decodeToken, encodeToken } from './lib/token.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));
const vectors = name =>
  JSON.parse(fs.readFileSync(`${here}../data/${name}.json`));
const hex = text => Buffer.from(text, 'hex');
const sha256 = bytes => crypto.createHash('sha256').update(bytes).digest('hex');

// A stream that holds these bytes, in awkward pieces.
function streamOf(bytes, piece = 1000) {
  let at = 0;
  return new BiStream({
    recv: { read: async () => bytes.subarray(at, at += piece) },
  });
}

async function collect(chunks) {
  const parts = [];
  try {
    for await (const chunk of chunks) parts.push(chunk);
    return { plain: Buffer.concat(parts) };
  } catch (error) {
    return { plain: Buffer.concat(parts), error };
  }
}

describe('golden vectors', () => {
  const a = vectors('a_request_envelope');
  const host = hex(a.host_secret_key_hex);
  const ephemeral =
    nacl.box.keyPair.fromSecretKey(hex(a.ephemeral_secret_key_hex));
  const open = v =>
    sealed.openRequest(hex(v.stream_bytes_hex).subarray(2), host);
  const body70000 = v => Buffer.concat([Buffer.from(v.plaintext_head),
    Buffer.from(Array.from({ length: 70000 }, (_, i) => (7 * i + 3) % 256))]);

  for (const v of a.cases) {
    test(`request ${v.name}`, () => {
      const plain = v.plaintext_hex === undefined
        ? body70000(v) : hex(v.plaintext_hex);
      if (v.stream_bytes_hex)
        assert.deepEqual(open(v).http, plain);
      if (v.model === undefined) return;
      const { bytes, key } = sealed.sealRequest(plain, v.model,
        hex(a.host_public_key_hex), ephemeral, hex(v.nonce_hex));
      assert.equal(Buffer.from(key).toString('hex'), a.precomputed_box_key_hex);
      assert.equal(
        sha256(Buffer.concat([hex('04'), bytes])), v.stream_bytes_sha256);
      assert.deepEqual(
        sealed.openRequest(bytes.subarray(1), host).http, plain);
    });
  }
  for (const v of a.invalid)
    test(`request ${v.name} is refused`, () => {
      assert.throws(() => open(v));
    });
  for (const v of a.divergent)
    test(`request ${v.name} opens, as in the reference`, () =>
      assert.deepEqual(open(v).http, hex(v.plaintext_hex)));

  const b = vectors('b_response_stream');
  const bKey = hex(b.precomputed_box_key_hex);
  const bHost = hex(b.host_public_key_hex);
  const answer = bytes =>
    collect(sealed.openResponse(streamOf(bytes), bHost, bKey));

  test('response stream', async () => {
    const { plain, error } =
      await answer(Buffer.from(b.stream_base64, 'base64'));
    assert.equal(error, undefined);
    assert.equal(sha256(plain), b.plaintext_sha256);
  });
  test('response chunks are written byte for byte', () => {
    for (const c of b.chunks.filter(c => c.wire_hex)) {
      const chunk =
        sealed.sealChunk(hex(c.plaintext_hex), bKey, hex(c.nonce_hex));
      assert.equal(chunk.toString('hex'), c.wire_hex);
    }
  });
  for (const v of b.variants) {
    test(`response ${v.name}: ${v.reference}`, async () => {
      const bytes = v.stream_hex === undefined
        ? Buffer.from(v.stream_base64, 'base64') : hex(v.stream_hex);
      const { plain, error } = await answer(bytes);
      assert.equal(Boolean(error), v.reference.startsWith('error'));
      if (v.decoded_sha256) assert.equal(sha256(plain), v.decoded_sha256);
      else assert.equal(plain.length, 0);
    });
  }

  const e = vectors('e_gossip_frame');
  const gossip = (v, dialect) => wire.decodeGossip(dialect, hex(v.frame_hex),
    v.connection_endpoint_id_hex ?? e.endpoint_ids.HOST);
  const roles = { Worker: 1, Host: 2, Client: 3 };

  for (const v of e.accept) {
    for (const dialect of ['sealed', 'meshllm']) {
      test(`gossip ${v.name}, ${dialect}`, async () => {
        const stream = streamOf(hex(v.stream_bytes_hex).subarray(1), 7);
        assert.deepEqual(await wire.readFrame(stream), hex(v.frame_hex));
        const heard = gossip(v, dialect);
        if (v.name === 'address_id_differs')
          return assert.ok(!heard.some(h => h.id === e.endpoint_ids.HOST));
        v.expect.forEach(want => checkEntry(heard, want));
      });
    }
  }
  function checkEntry(heard, want) {
    const { id, addr, entry } = want.endpoint
      ? heard.find(h => h.id === e.endpoint_ids[want.endpoint]) : heard[0];
    assert.equal(id, e.endpoint_ids[want.endpoint ?? 'HOST']);
    if (want.role) assert.equal(entry.role, roles[want.role]);
    if (want.addrs) assert.deepEqual(addr.addrs, want.addrs);
    if (want.routable) assert.deepEqual(wire.routable(entry), want.routable);
    if (want.http_port) assert.equal(entry.http_port, want.http_port);
  }
  for (const v of e.reject) {
    test(`gossip ${v.name} is refused`, async () => {
      await assert.rejects(async () => {
        const stream = streamOf(hex(v.stream_bytes_hex).subarray(1));
        const frame_hex = await wire.readFrame(stream);
        gossip({ ...v, frame_hex }, 'sealed');
      });
    });
  }
  for (const v of e.cross_version) {
    test(`gossip ${v.name} in each dialect`, () => {
      const fate = dialect => {
        try {
          return gossip(v, dialect).length > 0;
        } catch {
          return false;
        }
      };
      assert.equal(fate('sealed'), v.pr433.startsWith('accept'));
      assert.equal(fate('plain'), v.newest_main.startsWith('accept'));
      assert.equal(fate('meshllm'), true);
    });
  }

  const f = vectors('f_invite_token');
  for (const v of f.vectors) {
    test(`token ${v.name}: ${v.expected}`, () => {
      if (v.expected === 'reject')
        return assert.throws(() => decodeToken(v.token));
      const address = decodeToken(v.token);
      assert.equal(address.id, v.endpoint ?? e.endpoint_ids.HOST);
      if (v.addrs) {
        assert.deepEqual(
          address.addrs, v.addrs.filter(x => x !== 'relay'));
      }
    });
  }
  test('a token of ours is read back', () => {
    const address = { id: e.endpoint_ids.HOST, addrs: ['127.0.0.1:1'] };
    assert.deepEqual(decodeToken(encodeToken(address)), address);
  });
});

describe('codec', () => {
  const schema = {
    n: [1, 'uint32'], s: [2, ['string']], m: [3, { b: [1, 'bool'] }],
  };
  test('a message survives, with the numbers it had', () => {
    const message = { n: 300, s: ['a', 'é'], m: { b: true } };
    const got = decode(schema, encode(schema, message));
    assert.deepEqual([...got[NUMBERS]], [1, 2, 3]);
    assert.deepEqual(JSON.parse(JSON.stringify(got)), message);
  });
  test('every truncation inside a field is refused or shorter', () => {
    const bytes = encode(schema, { s: ['abc'] });
    for (let i = 1; i < bytes.length; i++)
      assert.throws(() => decode(schema, bytes.subarray(0, i)));
  });
  test('signed announcement: good, altered, of another node, expired', () => {
    const seed = Buffer.alloc(32, 7), key = Buffer.alloc(32, 9);
    const id = Buffer.from(
      nacl.sign.keyPair.fromSeed(seed).publicKey).toString('hex');
    const good = signAnnouncement(seed, key);
    assert.deepEqual(openAnnouncement(good, id), key);
    assert.equal(openAnnouncement(good, '11'.repeat(32)), undefined);
    const later = Date.now() + 2 * 86400e3;
    assert.equal(openAnnouncement(good, id, later), undefined);
    good[5] ^= 1;
    assert.equal(openAnnouncement(good, id), undefined);
  });
});

const peers = [];
after(() => Promise.all(peers.map(p => p.stop())));

// A peer that remembers its events; `until` waits for one.
async function start(options) {
  const events = [], waiting = [];
  const peer = new Peer({ tokenMs: 1, ...options }, (event, fields) => {
    events.push({ event, ...fields });
    waiting.splice(0).forEach(wake => wake());
  });
  peer.events = events;
  peer.until = async (event, matches = {}) => {
    const fits = x => x.event === event &&
      Object.entries(matches).every(([k, v]) => x[k] === v);
    while (!events.some(fits))
      await new Promise(wake => waiting.push(wake));
    return events.findLast(fits);
  };
  peers.push(peer);
  return peer.start();
}

const chat = (to, model, more = {}) => ({
  to, path: '/v1/chat/completions', ...more,
  body: { model, stream: more.stream, messages: [
    { role: 'user', content: 'the quick brown fox' }] },
});

const said = chunks => chunks.filter(c => c !== '[DONE]')
  .map(c => JSON.parse(c).choices[0].delta.content).join('');

const pairs = [
  [{ dialect: 'sealed' }, { dialect: 'sealed' }],
  [{ dialect: 'plain' }, { dialect: 'plain' }],
  [{ dialect: 'meshllm' }, { dialect: 'meshllm' }],
  [{ dialect: 'sealed' }, { dialect: 'meshllm' }],
  [{ dialect: 'plain' }, { dialect: 'meshllm' }],
  [{ dialect: 'sealed', posture: 'none' }, { dialect: 'sealed' }],
];

for (const [one, two] of pairs) {
  describe(`${one.dialect} and ${two.dialect}`, () => {
    const canSeal = host => host.options.dialect !== 'plain';
    let a, b;
    test('one joins the other by token; both know each other', async () => {
      a = await start({ ...one, serve: ['model-a'] });
      b = await start({ ...two, serve: ['model-b'], framing: 'eof' });
      assert.equal(await b.join(a.token), a.id);
      const seen = await a.until('peer_seen', { id: b.id });
      assert.deepEqual(seen.models, ['model-b']);
      assert.equal(seen.direct, true);
      assert.deepEqual(b.peers().map(p => p.id), [a.id]);
    });
    for (const stream of [false, true]) {
      test(`requests both ways, stream ${stream}`, async () => {
        const ways = [[a, b, 'model-b'], [b, a, 'model-a']];
        for (const [from, to, model] of ways) {
          const bothSeal = canSeal(from) && canSeal(to);
          for (const seal of bothSeal ? [true, false] : [false]) {
            const r = await request(
              from, chat(to.id, model, { stream, sealed: seal }));
            assert.equal(r.error, undefined);
            assert.equal(r.status, 200);
            const text = stream ? said(r.chunks)
              : JSON.parse(r.body).choices[0].message.content;
            assert.equal(text, 'you said: the quick brown fox');
            if (stream) assert.ok(r.pieces.length > 4);
            const got = await to.until('request_in', { sealed: seal });
            assert.equal(got.from, from.id);
          }
        }
      });
    }
  });
}

describe('membership', () => {
  for (const posture of ['mac', 'linux']) {
    test(`the old dialects cannot meet, posture ${posture}`, async () => {
      const a = await start({ dialect: 'plain' });
      const b = await start({ dialect: 'sealed', posture });
      await assert.rejects(b.gossip(await b.connect(a.token)));
      const { error } = await a.until('stream_error');
      assert.match(error, /wire type|subprotocol without/);
      await assert.rejects(a.gossip(b.id));
      assert.equal(a.peers().length + b.peers().length, 0);
    });
  }
  test('one way only: a key without a posture', async () => {
    const a = await start({ dialect: 'plain' });
    const b = await start({ dialect: 'sealed', posture: 'none' });
    await assert.rejects(b.gossip(await b.connect(a.token)), /sip_enabled/);
    await a.until('peer_seen', { id: b.id });
    assert.equal(b.peers().length, 0);
  });
  test('the sealed dialect sends what macOS nodes send', async () => {
    const a = await start({ dialect: 'sealed' });
    const b = await start({ dialect: 'sealed' });
    await b.join(a.token);
    const { fields, posture } = await a.until('peer_seen', { id: b.id });
    assert.ok([36, 37, 38].every(n => fields.includes(n)));
    assert.equal(posture.sip_enabled, true);
    const { entry } = a.table.records.get(b.id);
    assert.ok(verifyEvidence(entry.hardware_attestation_blob));
  });
  test('a node is found through another, its signed key relayed', async () => {
    const [a, b] = [await start({ dialect: 'meshllm', serve: ['m'] }),
      await start({ dialect: 'meshllm' })];
    const c = await start({ dialect: 'meshllm' });
    await b.join(a.token);
    await a.until('peer_seen', { id: b.id });
    await c.gossip(await c.connect(b.token));
    const record = c.peers().find(p => p.id === a.id);
    assert.equal(record.direct, false);
    assert.equal(record.signed, true);
    await c.join(b.token);
    await c.until('peer_seen', { id: a.id, direct: true });
    assert.equal((await request(c, chat(a.id, 'm'))).status, 200);
  });
  test('a stranger gets no tunnel; leaving removes', async () => {
    const a = await start({ serve: ['m'] });
    const b = await start({});
    await b.connect(a.token);
    const r = await request(b, chat(a.id, 'm', { sealed: false }));
    assert.match(r.error, /no complete answer|stopped|missing/i);
    await a.until('refused', { from: b.id });
    await b.gossip(a.id);
    await a.until('peer_seen', { id: b.id });
    assert.deepEqual(await b.routes(a.id), [[a.id, 'm']]);
    await b.leave();
    await a.until('peer_gone', { id: b.id, why: 'left' });
  });
  test('10 000 models arrive; the version floor', async () => {
    const a = await start({ dialect: 'plain' });
    const b = await start({ dialect: 'plain', serve: ['m'] });
    await b.join(a.token);
    await b.announceModels(
      Array.from({ length: 10000 }, (_, i) => `model-${i}`));
    while (a.peers()[0].models.length !== 10000)
      await a.until('peer_seen', { id: b.id }), await new Promise(setImmediate);
    assert.ok(wire.dialects.plain.drops({ version: '0.59.9' }));
    assert.ok(!wire.dialects.plain.drops({ version: '0.60.0' }));
    assert.ok(!wire.dialects.plain.drops({}));
  });
});

describe('what goes wrong on purpose', () => {
  let a, b;
  test('set up', async () => {
    a = await start({ serve: ['m'] });
    b = await start({});
    await b.join(a.token);
  });
  const wrongs = {
    cut: /missing/, early_end: /no complete answer/, wrong_key: /another key/,
    bad_length: /chunk of 23/, huge_length: /chunk of 16777217/,
    bad_mac: /does not open/, plain_answer: /not sealed/, drop: /33 of 33/,
    reset: /reset/i, silent: /passed/,
  };
  for (const [name, error] of Object.entries(wrongs)) {
    test(`host fault ${name}`, async () => {
      a.fault = { name, at: 1 };
      const r = await request(
        b, chat(a.id, 'm', { stream: true,
          timeout_ms: name === 'silent' ? 1000 : 30000 }));
      assert.match(r.error, error);
      a.fault = undefined;
    });
  }
  test('a missing end mark is noticed after the whole answer', async () => {
    a.fault = { name: 'cut' };
    const r = await request(b, chat(a.id, 'm', { stream: true }));
    assert.equal(said(r.chunks), 'you said: the quick brown fox');
    assert.match(r.error, /missing/);
    a.fault = undefined;
  });
  test('sealed to another key is refused; a replay is served', async () => {
    const r = await request(
      b, chat(a.id, 'm', { sealed: true, key_hex: '11'.repeat(32) }));
    assert.match(r.error, /33 of 33/);
    await request(b, chat(a.id, 'm'));
    const first = b.lastSealed;
    const again = await request(b, chat(a.id, 'm', { replay: true }));
    assert.equal(again.status, 200);
    assert.equal(b.lastSealed, first);
  });
  test('abort stops the host', async () => {
    const r = await request(b, { ...chat(a.id, 'm', { stream: true }),
      abort_after: 2 });
    assert.match(r.error, /aborted/);
    await a.until('stream_error', { from: b.id });
  });
  test('raw streams are ended, held ones counted', async () => {
    const garbage = await rawStreams(
      b, { to: a.id, type: 1, random: 50, count: 20, fin: true });
    assert.equal(garbage.ended + garbage.failed, 20);
    const held = await rawStreams(
      b, { to: a.id, count: 1100, open_timeout_ms: 2000, wait_ms: 100 });
    assert.ok(held.blocked && held.opened > 900, JSON.stringify(held));
  });
});

describe('the program', () => {
  function run(...args) {
    const child = spawn(process.execPath,
      ['--no-deprecation', `${here}peer.mjs`, ...args],
      { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = readline.createInterface({ input: child.stdout });
    const say = command => child.stdin.write(`${JSON.stringify(command)}\n`);
    // Two lines can come in one turn: none may be lost between two waits.
    const queue = [];
    let wake = () => {};
    lines.on('line', line => { queue.push(JSON.parse(line)); wake(); });
    const next = async (event, tag) => {
      for (;;) {
        while (queue.length === 0) {
          await new Promise(resolve => { wake = resolve; });
        }
        const got = queue.shift();
        if (got.event === event && got.tag === tag) return got;
      }
    };
    return { child, say, next };
  }
  test('joins, asks through a real backend, stops', { timeout: 60000 }, async () => {
    const backend = http.createServer((req, res) => {
      req.resume().on('end', () => res.end(`backend got ${req.url}`));
    });
    await once(backend.listen(0, '127.0.0.1'), 'listening');
    const host = run('--dialect', 'sealed', '--serve', 'm',
      '--backend', `http://127.0.0.1:${backend.address().port}`);
    const { token, id } = await host.next('ready');
    const client = run('--dialect', 'meshllm', '--join', token);
    assert.equal((await client.next('done')).id, id);
    for (const sealed of [true, false]) {
      client.say(
        { cmd: 'request', tag: 7, to: id, sealed, path: '/v1/x', body: {} });
      const r = await client.next('response', 7);
      assert.equal(r.body, 'backend got /v1/x');
      assert.equal(r.sealed, sealed);
    }
    client.say({ cmd: 'nonsense', tag: 1 });
    await client.next('error', 1);
    for (const { say, child } of [client, host]) {
      say({ cmd: 'stop' });
      const [status] = await once(child, 'exit');
      assert.equal(status, 0);
    }
    backend.close();
  });
});

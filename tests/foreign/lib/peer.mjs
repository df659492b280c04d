// A node of the mesh on a real iroh endpoint: connections, streams, gossip
// (wire-v1, sections 1 to 3).  What happens is told through emit(event, {...}).
import crypto from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import iroh from '@number0/iroh';
import { serveTunnel } from './host.mjs';
import { makeEvidence, newAttestationKey, signAnnouncement }
  from './identity.mjs';
import * as wire from './messages.mjs';
import { newKey } from './sealed.mjs';
import { BiStream, reason, within } from './stream.mjs';
import { describe, keyOf, Table } from './table.mjs';
import { addressToJson, decodeToken, encodeToken } from './token.mjs';

const ALPN = [...Buffer.from('mesh-llm/1')];
const { Role, Stream } = wire;

export const defaults = {
  dialect: 'sealed',  // or plain, meshllm: messages.mjs
  posture: 'mac',     // sealed only: mac (36-38), linux (36, 37), none (36)
  serve: [],          // models; none makes a client
  backend: undefined, // URL of the server behind the models
  framing: 'http',    // or eof: bodies that the end of the stream ends
  tokenMs: 5,
  heartbeat: 60,      // seconds
  udpPort: 0,
  meshId: undefined,
  seed: undefined,    // of the identity; a new one
  claims: undefined,  // mac only: members of the evidence, other ones
};

export class Peer {
  box = newKey();
  seed = crypto.randomBytes(32);
  attestationKey = newAttestationKey();
  held = [];          // raw streams: iroh ends what is garbage-collected
  #conns = new Map(); // endpoint id -> connection, the newest
  #addrs = new Map(); // endpoint id -> where a token said it is
  #beat;

  constructor(options, emit = () => {}) {
    this.options = { ...defaults, ...options };
    this.emit = emit;
    this.models = this.options.serve;
    this.seed = this.options.seed ?? this.seed;
    this.meshId = this.options.meshId;
  }

  async start() {
    const builder = iroh.Endpoint.builder();
    iroh.presetMinimal(builder);
    builder.relayMode(iroh.RelayMode.disabled());
    builder.alpns([ALPN]);
    builder.secretKey([...this.seed]);
    builder.bindAddr(`127.0.0.1:${this.options.udpPort}`);
    this.endpoint = await builder.bind();
    this.id = this.endpoint.id().toString();
    this.table = new Table(this.id);
    // iroh also binds [::], but this address alone is told to others.
    this.address = {
      id: this.id,
      addrs: this.endpoint.boundSockets().filter(a => a.startsWith('127.')),
    };
    this.token = encodeToken(this.address);
    this.#accept();
    this.#beat = setInterval(
      () => this.heartbeat(), this.options.heartbeat * 1000);
    return this;
  }

  async stop() {
    this.stopping = true;
    clearInterval(this.#beat);
    await this.endpoint.close();
  }

  // ---- connections

  async #accept() {
    for (let incoming; (incoming = await this.endpoint.acceptNext());) {
      incoming.accept().then(accepting => accepting.connect())
        .then(conn => this.#adopt(conn, 'accepted'))
        .catch(e => this.emit('handshake_error', { error: reason(e) }));
    }
  }

  #adopt(conn, side) {
    const id = conn.remoteId().toString();
    conn.setMaxConcurrentBiStreams(1024n);
    this.#conns.set(id, conn);
    this.emit('connected', { id, side });
    this.#acceptStreams(conn, id);
    return id;
  }

  async #acceptStreams(conn, id) {
    try {
      for (;;) {
        const stream = new BiStream(await conn.acceptBi());
        this.#serve(stream, id).catch(e => {
          this.emit('stream_error', { from: id, error: reason(e) });
          return stream.drop();
        });
      }
    } catch (e) {
      await this.#closed(conn, id, reason(e));
    }
  }

  // A known peer is dialled once more before it is forgotten.
  async #closed(conn, id, error) {
    if (this.#conns.get(id) !== conn) return;
    this.#conns.delete(id);
    this.emit('closed', { id, error });
    if (this.stopping || !this.table.records.has(id)) return;
    try {
      await this.gossip(id, { dialMs: 10000 });
    } catch (e) {
      this.#forget(id, reason(e));
    }
  }

  #forget(id, why) {
    if (this.table.records.delete(id)) this.emit('peer_gone', { id, why });
  }

  async connect(token) {
    const address = decodeToken(token);
    if (address.id === this.id) return undefined;
    this.#addrs.set(address.id, address.addrs);
    this.table.revive(address.id);
    return address.id;
  }

  async #dial(id, ms) {
    const addrs = this.table.records.get(id)?.addr.addrs ??
      this.#addrs.get(id) ?? [];
    const addr = new iroh.EndpointAddr(
      iroh.EndpointId.fromString(id), null, addrs);
    const conn = await within(ms, this.endpoint.connect(addr, ALPN), 'dial');
    this.#adopt(conn, 'dialled');
    return conn;
  }

  async openStream(id, dialMs = 10000) {
    const conn = this.#conns.get(id) ?? await this.#dial(id, dialMs);
    return new BiStream(await conn.openBi());
  }

  // ---- gossip

  async join(token) {
    const id = await this.connect(token);
    if (!id) return undefined;
    try {
      await this.gossip(id, { followUp: true });
    } catch {
      await sleep(5000);
      await this.gossip(id, { followUp: true });
    }
    return id;
  }

  #self() {
    const { dialect, serve, posture } = this.options;
    const isHost = serve.length > 0;
    const keyText = Buffer.from(this.box.publicKey).toString('base64');
    const common = {
      endpoint_id: Buffer.from(this.id, 'hex'),
      role: isHost ? Role.HOST : Role.CLIENT,
      http_port: isHost ? 9337 : undefined,
      version: wire.dialects[dialect].version,
      hostname: 'foreign',
      serving_models: this.models,
      catalog_models: serve,
      vram_bytes: isHost ? 2n ** 34n : 0n,
      mesh_id: this.meshId,
      serialized_addr: Buffer.from(addressToJson(this.address)),
      hosted_models: this.models,
      hosted_models_known: true,
      hardware: { hostname: 'foreign', gpus: [{ name: 'none' }] },
    };
    switch (dialect) {
    case 'plain':
      return { ...common,
        subprotocols: [{ name: 'skippy-stage', major: 1, features: [] }] };
    case 'meshllm':
      return { ...common, inference_public_key: keyText,
        signed_announcement: signAnnouncement(this.seed, this.box.publicKey) };
    default:
      return { ...common, inference_public_key: keyText,
        ...this.#posture(posture, keyText) };
    }
  }

  #posture(posture, keyText) {
    if (posture === 'none') return {};
    const mac = posture === 'mac';
    return {
      security_posture: {
        sip_enabled: mac || undefined, rdma_disabled: true,
        debugger_blocked: mac || undefined, core_dumps_disabled: true,
        binary_hash: '11'.repeat(32),
      },
      hardware_attestation_blob:
        mac ? makeEvidence(this.id, keyText, this.attestationKey,
          this.options.claims) : undefined,
    };
  }

  #view() {
    return wire.encodeGossip(this.options.dialect, this.id,
      [...this.table.relayed(Date.now()), this.#self()]);
  }

  #heard(from, bytes, as) {
    const heard = wire.decodeGossip(this.options.dialect, bytes, from);
    this.emit('gossip_in',
      { from, as, entries: heard.length, bytes: bytes.length });
    return heard;
  }

  #merge(from, heard) {
    for (const record of this.table.merge(from, heard, Date.now())) {
      if (record.direct) this.meshId ??= record.entry.mesh_id;
      this.emit('peer_seen', describe(record));
    }
  }

  async #exchange(id, dialMs) {
    const stream = await this.openStream(id, dialMs);
    const view = this.#view();
    await stream.write(
      Buffer.concat([Buffer.from([Stream.GOSSIP]), wire.frame(view)]));
    await stream.finish();
    this.emit('gossip_out', { to: id, as: 'opener', bytes: view.length });
    const answer = await wire.readFrame(stream);
    await stream.toEnd(0);
    await sleep(50);
    const heard = this.#heard(id, answer, 'opener');
    this.#merge(id, heard);
    return heard;
  }

  async gossip(id, { dialMs = 15000, followUp = false } = {}) {
    const heard =
      await within(dialMs + 15000, this.#exchange(id, dialMs), 'gossip');
    for (const { id: other, entry } of followUp ? heard : []) {
      const bothClients =
        entry.role === Role.CLIENT && !this.options.serve.length;
      if (other === this.id || this.#conns.has(other) || bothClients) continue;
      await this.gossip(other).catch(e =>
        this.emit('gossip_error', { to: other, error: reason(e) }));
    }
  }

  async #answerGossip(stream, from) {
    this.table.revive(from);
    const heard =
      this.#heard(from, await wire.readFrame(stream), 'acceptor');
    const view = this.#view();
    await stream.write(wire.frame(view));
    await stream.finish();
    this.emit('gossip_out', { to: from, as: 'acceptor', bytes: view.length });
    await stream.toEnd(0);
    this.#merge(from, heard);
  }

  async heartbeat() {
    this.table.age(Date.now()).forEach(
      ({ id }) => this.emit('peer_gone', { id, why: 'silent' }));
    const ids = [...this.table.records.keys()];
    while (ids.length > 5) ids.splice(crypto.randomInt(ids.length), 1);
    await Promise.all(ids.map(id => this.gossip(id, { dialMs: 10000 })
      .catch(e => this.#beatFailed(id, reason(e)))));
  }

  async #beatFailed(id, error) {
    const now = Date.now(), record = this.table.records.get(id);
    this.emit('gossip_error', { to: id, error });
    if (!record || this.table.seenLately(id, now) || ++record.failures < 2)
      return;
    this.table.bury(id, now);
    this.emit('peer_gone', { id, why: error });
    await this.#notify(Stream.PEER_DOWN, id);
  }

  // To all connections but that of the subject.
  #notify(type, subject) {
    return Promise.all([...this.#conns.keys()].filter(id => id !== subject)
      .map(id => this.notice(id, type, subject).catch(() => {})));
  }

  async notice(to, type, subject) {
    const stream = await this.openStream(to);
    await stream.write(Buffer.concat(
      [Buffer.from([type]), wire.frame(wire.encodeNotice(subject))]));
    await stream.finish();
  }

  async leave() {
    // Nobody whom we know: those who close at once are not dialled again.
    this.table.records.clear();
    await this.#notify(Stream.PEER_LEAVING, this.id);
    await sleep(200);
    const conns = [...this.#conns.values()];
    this.#conns.clear();
    conns.forEach(conn => conn.close(0n, []));
  }

  async announceModels(models) {
    this.models = models;
    await Promise.all([...this.#conns.keys()].map(id => this.gossip(id)));
  }

  async routes(id) {
    const stream = await this.openStream(id);
    await stream.write(Buffer.concat([Buffer.from([Stream.ROUTES]),
      wire.frame(wire.encodeRouteRequest(this.id))]));
    await stream.finish();
    return wire.decodeRoutes(await wire.readFrame(stream));
  }

  peers() {
    return [...this.table.records.values()].map(describe);
  }

  keyOf(id) {
    const record = this.table.records.get(id);
    return record && keyOf(record).key;
  }

  // ---- streams that others open

  async #serve(stream, from) {
    const first = await stream.read();
    if (!first.length) return stream.drop(); // how PeerDown is verified
    const type = first[0];
    stream.unread(first.subarray(1));
    const open = [Stream.GOSSIP, Stream.ROUTES].includes(type);
    if (!open && !this.table.records.has(from)) {
      this.emit('refused', { from, type, why: 'not admitted' });
      return stream.drop();
    }
    switch (type) {
    case Stream.GOSSIP: return this.#answerGossip(stream, from);
    case Stream.ROUTES: return this.#answerRoutes(stream);
    case Stream.TUNNEL: return serveTunnel(this, stream, from);
    case Stream.PEER_DOWN: return this.#peerDown(stream, from);
    case Stream.PEER_LEAVING: return this.#peerLeaving(stream, from);
    default:
      this.emit('refused', { from, type, why: 'unknown type' });
      return stream.drop();
    }
  }

  async #answerRoutes(stream) {
    wire.decodeRouteRequest(await wire.readFrame(stream));
    const entries = [this.#self(),
      ...[...this.table.records.values()].map(r => r.entry)]
      .filter(entry => entry.role === Role.HOST)
      .flatMap(entry => wire.routable(entry).map(
        model => ({ endpoint_id: entry.endpoint_id, model })));
    await stream.write(wire.frame(wire.encodeRoutes(entries, this.meshId)));
    await stream.finish();
  }

  async #peerDown(stream, from) {
    const id = wire.decodeNotice(await wire.readFrame(stream));
    await stream.finish();
    this.emit('peer_down', { from, id });
    if (id === this.id || this.table.seenLately(id, Date.now())) return;
    try {
      const probe = await within(8000, this.openStream(id), 'probe');
      await probe.drop();
    } catch (e) {
      this.table.bury(id, Date.now());
      this.emit('peer_gone', { id, why: reason(e) });
    }
  }

  async #peerLeaving(stream, from) {
    const id = wire.decodeNotice(await wire.readFrame(stream));
    await stream.finish();
    if (id !== from) return;
    const conn = this.#conns.get(id);
    this.#conns.delete(id);
    this.table.bury(id, Date.now());
    conn?.close(0n, []);
    this.emit('peer_gone', { id, why: 'left' });
  }
}

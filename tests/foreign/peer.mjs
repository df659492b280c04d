#!/usr/bin/env node
// A foreign node for the interop tests: speaks the mesh protocol on a real
// iroh endpoint and shares no code with the daemons.  One JSON object per
// line: events on standard output, commands on standard input.
//
//   node peer.mjs [--dialect sealed|plain|meshllm] [--posture mac|linux|none]
//     [--serve MODEL]... [--backend URL] [--framing http|eof] [--token-ms N]
//     [--join TOKEN]... [--heartbeat SECONDS] [--udp-port N] [--mesh-id ID]
//
// Events: ready, connected, closed, gossip_out, gossip_in, gossip_error,
// peer_seen, peer_gone, peer_down, request_in, request_done, refused,
// stream_error, handshake_error.  A command is answered by one event that
// repeats its "tag": response, raw_result, peers, routes, done or error.
//
// Commands, as {"cmd": NAME, ...}:
//   join token; connect token (no gossip follows); gossip to; heartbeat
//   request: see lib/opener.mjs; raw_stream: see lib/opener.mjs
//   fault name [at]: the host misbehaves from now on, see lib/host.mjs
//   announce_models n [name_len]; notice to type about; routes to; peers
//   leave (PeerLeaving to all, then close); stop (leave and exit)
import readline from 'node:readline';
import { parseArgs } from 'node:util';
import { rawStreams, request } from './lib/opener.mjs';
import { defaults, Peer } from './lib/peer.mjs';
import { reason } from './lib/stream.mjs';

const text = { type: 'string' }, list = { type: 'string', multiple: true };
const { values } = parseArgs({
  options: {
    dialect: text, posture: text, serve: list, backend: text, framing: text,
    'token-ms': text, join: list, heartbeat: text, 'udp-port': text,
    'mesh-id': text,
  },
});

const emit = (event, fields) =>
  process.stdout.write(`${JSON.stringify({ event, ...fields },
    (_, v) => typeof v === 'bigint' ? Number(v) : v)}\n`);

function options({ join, 'token-ms': tokenMs, 'udp-port': udpPort,
  'mesh-id': meshId, heartbeat, ...rest }) {
  return {
    ...defaults, ...rest, meshId,
    tokenMs: Number(tokenMs ?? defaults.tokenMs),
    udpPort: Number(udpPort ?? defaults.udpPort),
    heartbeat: Number(heartbeat ?? defaults.heartbeat),
  };
}

const peer = new Peer(options(values), emit);

const manyNames = (n, length) => Array.from({ length: n },
  (_, i) => `model-${i}`.padEnd(length, 'x'));

const commands = {
  join: async ({ token }) => ['done', { id: await peer.join(token) }],
  connect: async ({ token }) => {
    const id = await peer.connect(token);
    await (await peer.openStream(id)).drop();
    return ['done', { id }];
  },
  gossip: async ({ to }) => ['done', await peer.gossip(to)],
  heartbeat: async () => ['done', await peer.heartbeat()],
  request: async command => ['response', await request(peer, command)],
  raw_stream: async command => ['raw_result', await rawStreams(peer, command)],
  fault: async ({ name, at }) => ['done', void (peer.fault = { name, at })],
  announce_models: async ({ n, name_len = 0 }) =>
    ['done', await peer.announceModels(manyNames(n, name_len))],
  notice: async ({ to, type, about }) =>
    ['done', await peer.notice(to, type, about)],
  routes: async ({ to }) => ['routes', { routes: await peer.routes(to) }],
  peers: async () => ['peers', { peers: peer.peers() }],
  leave: async () => ['done', await peer.leave()],
  stop: async () => {
    await peer.leave();
    await peer.stop();
    return ['done'];
  },
};

async function obey(line) {
  let command = {};
  try {
    command = JSON.parse(line);
    const [event, fields] = await commands[command.cmd](command);
    emit(event, { cmd: command.cmd, tag: command.tag, ...fields });
  } catch (e) {
    emit('error', { cmd: command.cmd, tag: command.tag, error: reason(e) });
  }
  if (command.cmd === 'stop') process.exit(0);
}

process.stdout.on('error', () => process.exit(1)); // nobody reads any more
await peer.start();
emit('ready', {
  id: peer.id, token: peer.token, addrs: peer.address.addrs,
  dialect: peer.options.dialect, models: peer.models,
  key: Buffer.from(peer.box.publicKey).toString('base64'),
});
readline.createInterface({ input: process.stdin })
  .on('line', obey).on('close', () => obey('{"cmd":"stop"}'));
for (const token of values.join ?? [])
  await obey(JSON.stringify({ cmd: 'join', token }));

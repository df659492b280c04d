// The messages between nodes and their checks (wire-v1, sections 2.8, 3.1),
// in the three dialects that exist:
//   sealed    fields 36-38: key, posture, evidence.  The network's "PR".
//   plain     field 37 is a list of subprotocols, no key.  Its "MAIN".
//   meshllm   ours: field 36 and the signed announcement, 1000; lenient.
import { decode, encode, NUMBERS } from './proto.mjs';
import { addressFromJson, isEndpointId } from './token.mjs';

export const MAX_FRAME = 8388608;
export const Role = { WORKER: 1, HOST: 2, CLIENT: 3 };
export const Stream = {
  GOSSIP: 1, TUNNEL: 4, ROUTES: 5, PEER_DOWN: 6, PEER_LEAVING: 7,
};

const GPU = {
  name: [1, 'string'], vram_bytes: [2, 'string'],
};
const HARDWARE = {
  is_soc: [1, 'bool'], hostname: [2, 'string'], gpus: [3, [GPU]],
};
const DEMAND = {
  model_name: [1, 'string'], last_active: [2, 'uint64'],
  request_count: [3, 'uint64'],
};
const RUNTIME = {
  model_name: [1, 'string'], identity_hash: [2, 'string'],
  context_length: [3, 'uint32'], ready: [4, 'bool'],
};
const POSTURE = {
  sip_enabled: [1, 'bool'], rdma_disabled: [2, 'bool'],
  debugger_blocked: [3, 'bool'], core_dumps_disabled: [4, 'bool'],
  binary_hash: [5, 'string'],
};
const SUBPROTOCOL = {
  name: [1, 'string'], major: [2, 'uint32'], features: [3, ['string']],
};
// Messages whose content nothing here looks at stay bytes; those that the
// existing network never sends are left out and so skipped.
const COMMON = {
  endpoint_id: [1, 'bytes'],
  role: [2, 'uint32'],
  http_port: [3, 'uint32'],
  version: [4, 'string'],
  gpu_name: [5, 'string'],
  hostname: [6, 'string'],
  is_soc: [7, 'bool'],
  gpu_vram: [8, 'string'],
  serving_models: [10, ['string']],
  requested_models: [11, ['string']],
  catalog_models: [15, ['string']],
  vram_bytes: [16, 'uint64'],
  model_source: [17, 'string'],
  primary_serving: [18, 'string'],
  mesh_id: [19, 'string'],
  demand: [20, [DEMAND]],
  serialized_addr: [22, 'bytes'],
  hosted_models: [23, ['string']],
  hosted_models_known: [24, 'bool'],
  served_model_descriptors: [25, ['bytes']],
  served_model_identities: [26, ['bytes']],
  served_model_runtime: [27, [RUNTIME]],
  owner_attestation: [28, 'bytes'],
  gpu_mem_bandwidth_gbps: [29, 'string'],
  gpu_compute_tflops_fp32: [30, 'string'],
  gpu_compute_tflops_fp16: [31, 'string'],
  gpu_reserved_bytes: [32, 'string'],
  hardware: [33, HARDWARE],
  first_joined_mesh_ts: [34, 'uint64'],
  explicit_model_interests: [35, ['string']],
};

const frameOf = announcement => ({
  gen: [1, 'uint32'], peers: [2, [announcement]], sender_id: [3, 'bytes'],
});

export const dialects = {
  sealed: {
    version: '0.65.1+skippy.20260504.kv.2',
    frame: frameOf({
      ...COMMON,
      inference_public_key: [36, 'string'],
      security_posture: [37, POSTURE],
      hardware_attestation_blob: [38, 'bytes'],
    }),
  },
  plain: {
    version: '0.66.0',
    frame: frameOf({
      ...COMMON,
      subprotocols: [37, [SUBPROTOCOL]],
      latency_ms: [40, 'uint32'], latency_source: [41, 'uint32'],
      latency_age_ms: [42, 'uint32'], latency_observer_id: [43, 'bytes'],
    }),
    refuses: entry => (entry.subprotocols ?? []).some(
      s => !s.name?.trim() || !s.major) && 'subprotocol without a name',
    // The newest network drops nodes below 0.60 and lets unreadable in.
    drops: entry => /^0\.([0-9]|[1-5][0-9])(\.|$)/.test(entry.version ?? ''),
  },
  meshllm: {
    version: '0.66.0+meshllm.0.1.0',
    lenient: true,
    frame: frameOf({
      ...COMMON,
      inference_public_key: [36, 'string'],
      signed_announcement: [1000, 'bytes'],
    }),
  },
};

const NOTICE = { peer_id: [1, 'bytes'], gen: [2, 'uint32'] };
const ROUTE_REQUEST = { requester_id: [1, 'bytes'], gen: [2, 'uint32'] };
const ROUTE = { endpoint_id: [1, 'bytes'], model: [2, 'string'] };
const ROUTES = {
  entries: [1, [ROUTE]], mesh_id: [2, 'string'], gen: [3, 'uint32'],
};

// u32 length, little-endian, and the message.
export function frame(body) {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(body.length);
  return Buffer.concat([length, body]);
}

// The frame that `stream` (anything with `exactly`) holds next.
export async function readFrame(stream) {
  const length = (await stream.exactly(4)).readUInt32LE();
  if (length > MAX_FRAME) throw new Error(`frame of ${length} bytes`);
  return stream.exactly(length);
}

export function encodeGossip(dialect, senderId, peers) {
  return encode(dialects[dialect].frame,
    { gen: 1, peers, sender_id: Buffer.from(senderId, 'hex') });
}

// The address in an announcement; one that cannot be read counts as empty.
function addressOf(entry, id) {
  try {
    return addressFromJson(entry.serialized_addr.toString());
  } catch {
    return { id, addrs: [] };
  }
}

export function routable(entry) {
  const hosted = entry.hosted_models ?? [];
  const known = entry.hosted_models_known ?? hosted.length > 0;
  return known ? hosted : entry.serving_models ?? [];
}

// The usable announcements of a frame: { id, addr, entry, numbers }.  Throws
// when the frame must be dropped as a whole.
export function decodeGossip(dialect, bytes, connectionId) {
  const { frame: schema, lenient, refuses, drops } = dialects[dialect];
  const { gen, sender_id, peers = [] } = decode(schema, bytes, lenient);
  if (gen !== 1) throw new Error(`gen ${gen}`);
  if (sender_id?.toString('hex') !== connectionId)
    throw new Error('sender_id is not who is connected');
  const seen = [];
  for (const entry of peers) {
    if (entry.endpoint_id?.length !== 32) throw new Error('endpoint_id length');
    if (entry.role === Role.HOST && entry.http_port === undefined)
      throw new Error('host without http_port');
    const why = refuses?.(entry);
    if (why) throw new Error(why);
    const id = entry.endpoint_id.toString('hex');
    const addr = addressOf(entry, id);
    if (!isEndpointId(id) || addr.id !== id || drops?.(entry)) continue;
    if (![1, 2, 3].includes(entry.role)) entry.role = Role.WORKER;
    seen.push({ id, addr, entry, numbers: [...entry[NUMBERS]] });
  }
  return seen;
}

export const encodeNotice = id =>
  encode(NOTICE, { peer_id: Buffer.from(id, 'hex'), gen: 1 });

export function decodeNotice(bytes) {
  const { peer_id, gen } = decode(NOTICE, bytes);
  if (gen !== 1 || peer_id?.length !== 32) throw new Error('bad notice');
  return peer_id.toString('hex');
}

export const encodeRouteRequest = id =>
  encode(ROUTE_REQUEST, { requester_id: Buffer.from(id, 'hex'), gen: 1 });
export const encodeRoutes = (entries, mesh_id) =>
  encode(ROUTES, { entries, mesh_id, gen: 1 });

export function decodeRouteRequest(bytes) {
  const { requester_id = '', gen } = decode(ROUTE_REQUEST, bytes);
  if (gen !== 1 || ![0, 32].includes(requester_id.length))
    throw new Error('bad route request');
}

export const decodeRoutes = bytes => (decode(ROUTES, bytes).entries ?? [])
  .map(({ endpoint_id, model }) => [endpoint_id.toString('hex'), model]);

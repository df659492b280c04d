// What a node says about its inference key: our signed announcement (layout
// in common/announcement.h) and the evidence of the existing network, as its
// macOS nodes make it (wire-v1, sections 5.1, 5.2).
import crypto from 'node:crypto';
import nacl from 'tweetnacl';

const DOMAIN = Buffer.from('meshllm-inference-key-v1:');
const EVIDENCE_DOMAIN = Buffer.from('mesh-llm-hardware-attestation-v1:');
const DAY_MS = 24 * 3600 * 1000;

const toSign = (id, unsigned) =>
  Buffer.concat([DOMAIN, Buffer.from(id, 'hex'), unsigned]);

export function signAnnouncement(seed, inferenceKey, now = Date.now()) {
  const { publicKey, secretKey } = nacl.sign.keyPair.fromSeed(seed);
  const unsigned = Buffer.alloc(57);
  unsigned[0] = 1;
  unsigned.set(inferenceKey, 1);
  unsigned.writeBigUInt64LE(BigInt(now), 33);
  unsigned.writeBigUInt64LE(BigInt(now), 41);
  unsigned.writeBigUInt64LE(BigInt(now + DAY_MS), 49);
  const signed = toSign(Buffer.from(publicKey).toString('hex'), unsigned);
  return Buffer.concat([unsigned, nacl.sign.detached(signed, secretKey)]);
}

// The inference key that node `id` signed, or undefined.
export function openAnnouncement(bytes, id, now = Date.now()) {
  if (bytes?.length !== 121 || bytes[0] !== 1) return undefined;
  const unsigned = bytes.subarray(0, 57), signature = bytes.subarray(57);
  const key = Buffer.from(id, 'hex');
  if (!nacl.sign.detached.verify(toSign(id, unsigned), signature, key))
    return undefined;
  const skew = 5 * 60 * 1000;
  if (now + skew < Number(unsigned.readBigUInt64LE(41)) ||
      now - skew > Number(unsigned.readBigUInt64LE(49)))
    return undefined;
  return unsigned.subarray(1, 33);
}

function canonicalEvidence(a) {
  const text = value => {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(Buffer.byteLength(value));
    return Buffer.concat([length, Buffer.from(value)]);
  };
  const memory = Buffer.alloc(8);
  memory.writeBigUInt64LE(BigInt(a.unified_memory_bytes));
  return Buffer.concat([
    EVIDENCE_DOMAIN, text(a.chip_name), text(a.hardware_model), memory,
    Buffer.from([a.sip_enabled, a.secure_boot_enabled, a.rdma_disabled]),
    text(a.node_endpoint_id), text(a.inference_public_key),
    text(a.se_public_key), text(a.binary_hash), text(a.timestamp),
  ]);
}

export const newAttestationKey = () =>
  crypto.generateKeyPairSync('ec', { namedCurve: 'P-256' });

// Signed with a software key: the existing network cannot tell.
export function makeEvidence(id, inferenceKeyText, key, more = {}) {
  const { privateKey, publicKey } = key;
  const point = publicKey.export({ type: 'spki', format: 'der' }).subarray(-65);
  const attestation = {
    chip_name: 'Apple M4 Max', hardware_model: 'Mac16,1',
    unified_memory_bytes: 137438953472,
    sip_enabled: true, secure_boot_enabled: true, rdma_disabled: true,
    node_endpoint_id: id, inference_public_key: inferenceKeyText,
    se_public_key: point.toString('base64'), binary_hash: '11'.repeat(32),
    timestamp: new Date().toISOString(), ...more,
  };
  const signature = crypto.sign(
    'sha256', canonicalEvidence(attestation), privateKey).toString('base64');
  return Buffer.from(JSON.stringify({ attestation, signature }));
}

// What the existing network makes of it (wire-v1, 5.3), in its order.
export function judgeEvidence(blob, id, inferenceKeyText, now = Date.now()) {
  let verified = false;
  try {
    verified = verifyEvidence(blob);
  } catch { /* a point or a signature that is none */ }
  if (!verified) return 'InvalidSignature';
  const { attestation: a } = JSON.parse(blob);
  if (a.node_endpoint_id !== id) return 'MismatchedNodeId';
  if (a.inference_public_key !== inferenceKeyText) {
    return 'MismatchedInferenceKey';
  }
  if (!a.sip_enabled || !a.secure_boot_enabled || !a.rdma_disabled) {
    return 'InsecurePosture';
  }
  const age = Math.trunc((now - Date.parse(a.timestamp)) / 1000);
  return age >= -30 && age <= 660 ? 'Verified' : 'Expired';
}

export function verifyEvidence(blob) {
  const { attestation, signature } = JSON.parse(blob);
  const point = Buffer.from(attestation.se_public_key, 'base64');
  const spki = Buffer.concat([Buffer.from(
    '3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'), point]);
  return crypto.verify('sha256', canonicalEvidence(attestation),
    { key: spki, format: 'der', type: 'spki' },
    Buffer.from(signature, 'base64'));
}

// A small proto3 codec driven by tables, as strict as the Rust decoder of the
// existing network: truncation, bad UTF-8 and a known field with the wrong
// wire type are errors, unknown fields are skipped.  With `lenient` the wrong
// wire type makes a field unknown instead.  Groups are not accepted.
//
// A schema is { name: [number, type] }, where type is 'uint32', 'uint64',
// 'bool', 'string', 'bytes' or another schema; [type] means repeated.

const VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5;

// The field numbers that a decoded message had, known or not: message[NUMBERS].
export const NUMBERS = Symbol('field numbers');

const wireOf = type =>
  ['uint32', 'uint64', 'bool'].includes(type) ? VARINT : BYTES;

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function readVarint(bytes, at) {
  let value = 0n;
  for (let i = 0; i < 10; i++) {
    if (at + i >= bytes.length) throw new Error('truncated varint');
    value |= BigInt(bytes[at + i] & 0x7f) << BigInt(7 * i);
    if (bytes[at + i] < 0x80) return [BigInt.asUintN(64, value), at + i + 1];
  }
  throw new Error('varint too long');
}

// Every field of a message as [number, wire type, BigInt or Buffer].
export function* fieldsOf(bytes) {
  const sizes = { [FIXED64]: 8, [FIXED32]: 4 };
  for (let at = 0; at < bytes.length;) {
    let key, value;
    [key, at] = readVarint(bytes, at);
    const number = Number(key >> 3n), wire = Number(key & 7n);
    if (number === 0 || key > 0xffffffffn) throw new Error('bad tag');
    if (wire === VARINT) {
      [value, at] = readVarint(bytes, at);
    } else {
      let size = sizes[wire];
      if (wire === BYTES) {
        [size, at] = readVarint(bytes, at);
        size = Number(size);
      }
      if (size === undefined) throw new Error(`wire type ${wire}`);
      if (size > bytes.length - at) throw new Error('truncated field');
      value = bytes.subarray(at, at += size);
    }
    yield [number, wire, value];
  }
}

const indexes = new WeakMap();

function indexOf(schema) {
  if (!indexes.has(schema)) {
    indexes.set(schema, new Map(Object.entries(schema).map(
      ([name, [number, type]]) => {
        const repeated = Array.isArray(type);
        return [number, { name, type: repeated ? type[0] : type, repeated }];
      })));
  }
  return indexes.get(schema);
}

function fromWire(type, value, before, lenient) {
  switch (type) {
  case 'uint32': return Number(BigInt.asUintN(32, value));
  case 'uint64': return value;
  case 'bool': return value !== 0n;
  case 'string': return utf8.decode(value);
  case 'bytes': return Buffer.from(value);
  default: return decode(type, value, lenient, before);
  }
}

export function decode(schema, bytes, lenient = false, into = {}) {
  const index = indexOf(schema);
  into[NUMBERS] ??= new Set();
  for (const [number, wire, value] of fieldsOf(bytes)) {
    into[NUMBERS].add(number);
    const field = index.get(number);
    if (!field) continue;
    if (wire !== wireOf(field.type)) {
      if (lenient) continue;
      throw new Error(`field ${number} (${field.name}) has wire type ${wire}`);
    }
    const { name, type, repeated } = field;
    if (repeated)
      (into[name] ??= []).push(fromWire(type, value, undefined, lenient));
    else
      into[name] = fromWire(type, value, into[name], lenient);
  }
  return into;
}

function varint(value) {
  const out = [];
  for (value = BigInt(value); value > 0x7fn; value >>= 7n)
    out.push(Number(value & 0x7fn) | 0x80);
  return Buffer.from([...out, Number(value)]);
}

function toWire(number, type, value) {
  const key = varint(number << 3 | wireOf(type));
  if (wireOf(type) === VARINT) return Buffer.concat([key, varint(value)]);
  const body = type === 'string' ? Buffer.from(value)
    : type === 'bytes' ? value : encode(type, value);
  return Buffer.concat([key, varint(body.length), body]);
}

// Members that are undefined are left out; zero values are written.
export function encode(schema, message) {
  const parts = [];
  for (const [name, [number, type]] of Object.entries(schema)) {
    if (message[name] === undefined) continue;
    const [one, values] = Array.isArray(type)
      ? [type[0], message[name]] : [type, [message[name]]];
    parts.push(...values.map(value => toWire(number, one, value)));
  }
  return Buffer.concat(parts);
}

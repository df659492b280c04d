// Endpoint addresses and invite tokens (wire-v1, sections 1.3, 1.4).
// An address is { id: 64 hex digits, addrs: ['ip:port', ...] }; relays and
// custom transports are read and left out.
import iroh from '@number0/iroh';
import { parseObject, strictBase64 } from './json.mjs';

export function isEndpointId(hex) {
  try {
    iroh.EndpointId.fromBytes([...Buffer.from(hex, 'hex')]);
    return hex.length === 64;
  } catch {
    return false;
  }
}

function idFromText(text) {
  if (!/^([0-9a-f]{64}|[A-Za-z2-7]{52})$/.test(text))
    throw new Error('endpoint id');
  return iroh.EndpointId.fromString(text).toString();
}

function variantOf(addr) {
  const [[name, value], ...more] = Object.entries(addr);
  if (!['Relay', 'Ip', 'Custom'].includes(name) || more.length)
    throw new Error(`address kind ${name}`);
  return [name, value];
}

export function addressFromJson(text) {
  const { id, addrs } = parseObject(Buffer.from(text), ['id', 'addrs']);
  return {
    id: idFromText(id),
    addrs: addrs.map(variantOf).filter(([name]) => name === 'Ip')
      .map(([, value]) => value),
  };
}

export const addressToJson = ({ id, addrs }) =>
  JSON.stringify({ id, addrs: addrs.map(Ip => ({ Ip })) });

export const encodeToken = address =>
  Buffer.from(addressToJson(address)).toString('base64url');

export const decodeToken = token =>
  addressFromJson(strictBase64(token, 'base64url').toString());

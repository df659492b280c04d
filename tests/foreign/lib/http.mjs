// As much of HTTP/1.1 as a tunnel carries: one request, one response.

// { start, headers, body } of the message that begins `bytes`, or undefined
// while it is incomplete; `ended` says that no more will come.
export function parseMessage(bytes, ended) {
  const end = bytes.indexOf('\r\n\r\n');
  if (end < 0) return undefined;
  const [start, ...lines] = bytes.toString('utf8', 0, end).split('\r\n');
  const headers = Object.fromEntries(lines.map(line => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
  const rest = bytes.subarray(end + 4);
  const body = bodyOf(start, headers, rest, ended);
  return body && { start, headers, body };
}

function bodyOf(start, headers, rest, ended) {
  if (/chunked/i.test(headers['transfer-encoding'] ?? '')) return dechunk(rest);
  const length = headers['content-length'] ??
    (start.startsWith('HTTP/') ? undefined : 0);
  if (length === undefined) return ended ? rest : undefined;
  return rest.length < Number(length) ? undefined
    : rest.subarray(0, Number(length));
}

function dechunk(bytes) {
  const parts = [];
  for (let at = 0;;) {
    const line = bytes.indexOf('\r\n', at);
    if (line < 0) return undefined;
    const size = parseInt(bytes.toString('latin1', at, line), 16);
    if (!(size >= 0)) throw new Error('bad chunk size');
    at = line + 2 + size + 2;
    if (bytes.length < at) return undefined;
    if (size === 0) return Buffer.concat(parts);
    parts.push(bytes.subarray(line + 2, line + 2 + size));
  }
}

export function buildRequest({ method = 'POST', path, headers = {}, body }) {
  const bytes = Buffer.from(
    body === undefined ? '' : typeof body === 'string' ? body
      : JSON.stringify(body));
  const all = {
    host: 'mesh', 'content-type': 'application/json',
    'content-length': bytes.length, ...headers, connection: 'close',
  };
  const head = Object.entries(all).map(([k, v]) => `${k}: ${v}\r\n`).join('');
  return Buffer.concat(
    [Buffer.from(`${method} ${path} HTTP/1.1\r\n${head}\r\n`), bytes]);
}

// The payloads of the events in a text/event-stream body.
export const sseData = text =>
  [...text.matchAll(/^data: ?(.*)$/gm)].map(([, data]) => data);

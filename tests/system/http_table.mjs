// Requests that are malformed, ambiguous or merely odd, as raw bytes, with the
// end that RFC 9110 and 9112 want.  Shared by the listener and the tunnel.
//
// Each entry: { name, bytes, api, tunnel, stays, cut }
//   api, tunnel  statuses; 200 means that exactly this body is served
//   stays        the connection lives on, and what is behind is answered
//   cut          the message is incomplete: its sender ends it there

const LF = '\n'
const CRLF = '\r\n'
export const bodyOf = name => JSON.stringify({ model: 'echo',
  messages: [{ role: 'user', content: name }] })

const HOST = 'Host: localhost'
const JSON_TYPE = 'Content-Type: application/json'
const CHUNKED = 'Transfer-Encoding: chunked'

const head = (line, fields) => `${[line, ...fields].join(CRLF)}${CRLF}${CRLF}`
const get = (target = '/v1/models', fields = [HOST], version = 'HTTP/1.1') =>
  head(`GET ${target} ${version}`, fields)
const chunkOf = text => `${text.length.toString(16)}${CRLF}${text}${CRLF}`

const table = []
const names = new Set()

function add (name, bytes, api, more = {}) {
  if (names.has(name)) throw new Error(`twice: ${name}`)
  names.add(name)
  table.push({ name, tunnel: api, ...more, api,
    bytes: typeof bytes === 'function' ? bytes(bodyOf(name)) : bytes })
}

// A chat with these fields in place of its length; body: what follows.
const post = (fields, { body, line = 'POST /v1/chat/completions HTTP/1.1',
  host = HOST, type = JSON_TYPE } = {}) => text =>
  head(line, [host, type].filter(f => f !== null)
    .concat(typeof fields === 'function' ? fields(text) : fields)) +
    (body === undefined ? text : body(text))
const length = text => `Content-Length: ${text.length}`
const withLength = (more, how) => post(text => [length(text), ...more], how)
const chunked = body => post([CHUNKED], { body })

// ---- the request line

const line = (name, first, api, more) =>
  add(`line: ${name}`, head(first, [HOST]), api, more)

line('no version', 'GET /v1/models', 400)
line('no target', 'GET HTTP/1.1', 400)
line('an empty target', 'GET  HTTP/1.1', 400)
line('one word', 'GET', 400)
line('two spaces', 'GET  /v1/models HTTP/1.1', 400)
line('a space behind the version', 'GET /v1/models HTTP/1.1 ', 400)
line('a word behind the version', 'GET /v1/models HTTP/1.1 x', 400)
line('tabs', 'GET\t/v1/models\tHTTP/1.1', 400)
line('a vertical tab', 'GET\x0b/v1/models HTTP/1.1', 400)
line('a space in front', ' GET /v1/models HTTP/1.1', 400)
line('a bare CR', 'GET /v1/models\rx HTTP/1.1', 400)
line('a NUL in the method', 'G\0ET /v1/models HTTP/1.1', 400)
line('a colon in the method', 'GET: /v1/models HTTP/1.1', 400)
line('a quote in the method', '"GET" /v1/models HTTP/1.1', 400)
line('a method in lower case', 'get /v1/models HTTP/1.1', 405, { stays: true })
line('an unknown method', 'BREW /v1/models HTTP/1.1', 405, { stays: true })
line('a long method', `${'G'.repeat(5000)} /v1/models HTTP/1.1`, 405,
  { stays: true })
line('TRACE', 'TRACE /v1/models HTTP/1.1', 405, { stays: true })
line('PUT', 'PUT /v1/models HTTP/1.1', 405, { stays: true })
line('OPTIONS without a page', 'OPTIONS /v1/models HTTP/1.1', 405,
  { stays: true })
line('HEAD', 'HEAD /v1/models HTTP/1.1', 405)
line('GET of a chat', 'GET /v1/chat/completions HTTP/1.1', 405,
  { stays: true })
for (const version of ['HTTP/0.9', 'HTTP/1.2', 'HTTP/1.10', 'HTTP/2.0',
  'HTTP/3.0', 'HTTP/01.1', 'HTTP/1.01', 'HTTP/1', 'HTTP/11']) {
  line(`version ${version}`, `GET /v1/models ${version}`, 505)
}
for (const version of ['http/1.1', 'HTTP /1.1', 'HTTP/+1.1', 'HTTP/1.1x',
  'HTTPS/1.1', 'HTTP/1.1\0', 'HTTP/-1.1', 'HTTP\\1.1', 'HTTP/1,1', 'ICY']) {
  line(`version ${JSON.stringify(version)}`, `GET /v1/models ${version}`, 400)
}
for (const target of ['http://localhost/v1/models', 'http://192.0.2.1/v1/models',
  'https://192.0.2.1/v1/models', 'file:///etc/passwd', 'localhost:80',
  '*', 'v1/models', '?x', '\\v1\\models', '#/v1/models', '']) {
  line(`target ${JSON.stringify(target)} is not of origin form`,
    `GET ${target} HTTP/1.1`, 400)
}
line('CONNECT to an authority', 'CONNECT 192.0.2.1:443 HTTP/1.1', 400)
line('CONNECT to a path', 'CONNECT /v1/models HTTP/1.1', 405, { stays: true })
line('OPTIONS *', 'OPTIONS * HTTP/1.1', 400)
line('a space in the target', 'GET /v1/ models HTTP/1.1', 400)
for (const code of [0x00, 0x01, 0x1b, 0x7f, 0x80, 0xff]) {
  line(`byte 0x${code.toString(16)} in the target`,
    `GET /v1/models${String.fromCharCode(code)} HTTP/1.1`, 400)
}
for (const target of ['/', '//v1/models', '/v1//models', '/v1/./models',
  '/v1/../v1/models', '/v1/%6dodels', '/V1/models', '/v1/models#x', '/v1/models;x',
  '/v1/chat/completions/', '/v1/chat/../models', '/api/status', '/metrics',
  '//192.0.2.1/v1/models', '/v1/models%00', '/v1/models%0d%0aX:y',
  '/%2e%2e/api/status', '/@192.0.2.1/']) {
  line(`there is nothing at ${target}`, `GET ${target} HTTP/1.1`, 404,
    { stays: true })
}
line('a model with an encoded NUL', 'GET /v1/models/a%00b HTTP/1.1', 404,
  { stays: true })
line('a model with a broken encoding', 'GET /v1/models/a%2 HTTP/1.1', 404,
  { stays: true })
line('a target that fills the head', `GET /${'x'.repeat(40000)} HTTP/1.1`, 431,
  { tunnel: 400 })

add('TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400)
add('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400, 505])
add('SSH', 'SSH-2.0-OpenSSH_9.2\r\n', 400, { cut: true })
add('zeros', '\0'.repeat(64), 400)
add('one empty line in front', `${CRLF}${get()}`, 200, { stays: true })
add('two empty lines in front', `${CRLF}${CRLF}${get()}`, 400)
add('a bare LF in front', `${LF}${get()}`, 400)
add('LF alone, everywhere', get().replaceAll(CRLF, LF), 400)
add('CR alone, everywhere', get().replaceAll(CRLF, '\r'), 400, { cut: true })
add('an LF at the end of the head', get().slice(0, -2) + LF, 400)
add('a head that ends in CR CR LF', get().slice(0, -2) + '\r\r\n', 400)

// ---- fields

const field = (name, text, api, more) =>
  add(`field: ${name}`, head('GET /v1/models HTTP/1.1', [HOST, text]), api, more)

field('no colon', 'Nonsense', 400)
field('no name', ': x', 400)
field('a space before the colon', 'X : y', 400)
field('a tab before the colon', 'X\t: y', 400)
field('a space in the name', 'X Y: z', 400)
field('a space before the name', ' X: y', 400)
field('folded with a space', `X: a${CRLF} b`, 400)
field('folded with a tab', `X: a${CRLF}\tb`, 400)
for (const c of ['(', ')', '[', '{', '@', '"', '/', '\\', ',', ';', '<', '=',
  '\0', '\x7f', '\x80', '\x0b']) {
  field(`${JSON.stringify(c)} in the name`, `X${c}Y: z`, 400)
}
for (const c of ['\0', '\x01', '\x08', '\x0b', '\x0c', '\x1b', '\x7f', '\r',
  '\n']) {
  field(`${JSON.stringify(c)} in the value`, `X: a${c}b`, 400)
}
field('an empty value', 'X:', 200, { stays: true })
field('white space around the value', 'X: \t a \t ', 200, { stays: true })
field('bytes over 0x7f in the value', 'X: \x80\xff', 200, { stays: true })
field('too large', `X: ${'x'.repeat(40000)}`, 431, { tunnel: 400 })
field('a name that is too large', `${'X'.repeat(40000)}: x`, 431,
  { tunnel: 400 })
add('field: 101 of them', head('GET /v1/models HTTP/1.1', [HOST,
  ...Array.from({ length: 100 }, (_, i) => `X-${i}: 1`)]), 431)
add('field: 100 of them', head('GET /v1/models HTTP/1.1', [HOST,
  ...Array.from({ length: 99 }, (_, i) => `X-${i}: 1`)]), 200, { stays: true })
add('field: a head that never ends', `GET /v1/models HTTP/1.1${CRLF}X: ` +
  'x'.repeat(100000), 431, { tunnel: 400 })

// ---- Host; out of a tunnel it means nothing, and only its form is checked

const host = (name, fields, api, tunnel = api) => add(`host: ${name}`,
  head('GET /v1/models HTTP/1.1', fields), api,
  { tunnel, stays: api === 200 || api === 403 })

host('none', ['X: y'], 400, 200)
host('two', [HOST, HOST], 400)
host('two that differ', [HOST, 'Host: evil.example.com'], 400)
host('empty', ['Host:'], 400)
host('a list', ['Host: localhost, evil.example.com'], 400)
host('with a user', ['Host: localhost@evil.example.com'], 400)
host('with a space', ['Host: local host'], 400)
host('with a path', ['Host: localhost/x'], 400)
host('a URL', ['Host: http://localhost'], 400)
host('with a quote', ['Host: "localhost"'], 400)
host('with a query', ['Host: localhost?x'], 400)
host('with a byte over 0x7f', ['Host: localh\xf6st'], 400)
host('a name that was re-bound', ['Host: rebind.example.com'], 403, 200)
host('a name that begins like ours', ['Host: localhost.example.com'], 403, 200)
host('another address', ['Host: 192.0.2.1:9337'], 403, 200)
host('a port that is none', ['Host: localhost:x'], 403, 200)
host('a bracket that stays open', ['Host: [::1'], 403, 200)
host('a number', ['Host: 2130706433'], 403, 200)
host('with a dot behind', ['Host: localhost.'], 403, 200)
host('in capitals', ['HOST: LOCALHOST:1'], 200)

// ---- Content-Length

const lengths = (name, values, api, more) => add(`length: ${name}`,
  post(text => [values(text.length)].flat().map(v => `Content-Length: ${v}`)),
  api, more)

lengths('twice', n => [n, n], 400)
lengths('twice and different', n => [n, 5], 400)
lengths('a list', n => `${n}, ${n}`, 400)
lengths('a list that differs', n => `5, ${n}`, 400)
lengths('a comma behind', n => `${n},`, 400)
lengths('empty', () => '', 400)
lengths('with a plus', n => `+${n}`, 400)
lengths('with a minus', n => `-${n}`, 400)
lengths('minus zero', () => '-0', 400)
lengths('hexadecimal', n => `0x${n.toString(16)}`, 400)
lengths('a fraction', n => `${n}.0`, 400)
lengths('with an exponent', () => '1e3', 400)
lengths('with a unit', n => `${n} bytes`, 400)
lengths('with a space inside', n => `${n} 0`, 400)
lengths('with a semicolon', n => `${n};x=y`, 400)
lengths('in quotes', n => `"${n}"`, 400)
lengths('with a NUL', n => `${n}\0`, 400)
lengths('with a vertical tab', n => `\x0b${n}`, 400)
lengths('digits of another script', () => '\u0665\u0665', 400)
lengths('words', () => 'chunked', 400)
lengths('of 19 digits', () => '9'.repeat(19), 400)
lengths('beyond 64 bits', () => '18446744073709551617', 400)
lengths('beyond every number', () => '9'.repeat(5000), 400)
lengths('over the limit', () => String(200 << 20), 413)
lengths('of 18 digits', () => '9'.repeat(18), 413)
lengths('with zeros in front', n => `00${n}`, 200, { stays: true })
lengths('with white space around', n => ` \t${n}\t `, 200, { stays: true })
lengths('too short', n => n - 3, 400, { answers: 2 })
lengths('zero', () => 0, 400, { answers: 2 })
lengths('too long', n => n + 10, 400, { cut: true })
add('length: none', post([]), 411, { tunnel: 400 })
add('length: with an underscore',
  post(text => [`Content_Length: ${text.length}`]), 411, { tunnel: 400 })
add('length: with a space before the colon',
  post(text => [`Content-Length : ${text.length}`]), 400)
add('length: in a folded line',
  post(text => [`X: y${CRLF} Content-Length: ${text.length}`]), 400)
add('length: on its own folded line',
  post(text => [`Content-Length:${CRLF} ${text.length}`]), 400)
add('length: of a GET', text => head('GET /v1/models HTTP/1.1',
  [HOST, length(text)]) + text, 400, { tunnel: [200, 400] })
add('length: zero, of a GET', head('GET /v1/models HTTP/1.1',
  [HOST, 'Content-Length: 0']), 200, { stays: true })
add('length: named by Connection', withLength(['Connection: content-length']),
  200, { stays: true })

// ---- Transfer-Encoding

const coding = (name, fields, api, more) => add(`coding: ${name}`,
  post(fields, { body: text => chunkOf(text) + `0${CRLF}${CRLF}` }), api, more)

coding('good', [CHUNKED], 200, { stays: true })
coding('in capitals', ['TRANSFER-ENCODING: CHUNKED'], 200, { stays: true })
coding('with white space', ['Transfer-Encoding:  \tchunked \t'], 200,
  { stays: true })
coding('and a length', text => [CHUNKED, length(text)], 400)
coding('behind a length', text => [length(text), CHUNKED], 400)
coding('and a length of zero', ['Content-Length: 0', CHUNKED], 400)
coding('and a malformed length', ['Content-Length: x', CHUNKED], 400)
coding('twice', [CHUNKED, CHUNKED], 400)
coding('twice, one unknown', [CHUNKED, 'Transfer-Encoding: cow'], 400)
for (const value of ['gzip', 'gzip, chunked', 'chunked, gzip', 'identity',
  'chunked, identity', 'identity, chunked', 'cow', 'xchunked', 'chunkedx',
  'chunked;q=1', '"chunked"', "'chunked'", 'chunked,', ',chunked',
  'chunked, chunked', 'chunked chunked', 'chunk ed', '', 'chunked\xa0', '\x85chunked']) {
  coding(`${JSON.stringify(value)}`, [`Transfer-Encoding: ${value}`], 501)
}
coding('with a NUL behind', ['Transfer-Encoding: chunked\0'], 400)
coding('with a vertical tab', ['Transfer-Encoding: \x0bchunked'], 400)
coding('with a form feed', ['Transfer-Encoding:\x0cchunked'], 400)
coding('with a bare LF', ['X: y\nTransfer-Encoding: chunked'], 400)
coding('with a bare CR', ['X: y\rTransfer-Encoding: chunked'], 400)
coding('with a space before the colon', ['Transfer-Encoding : chunked'], 400)
coding('with a tab before the colon', ['Transfer-Encoding\t: chunked'], 400)
coding('folded', [`Transfer-Encoding:${CRLF} chunked`], 400)
coding('with an underscore', ['Transfer_Encoding: chunked'], 411,
  { tunnel: 400 })
coding('with a space in front', [' Transfer-Encoding: chunked'], 400)
coding('named by Connection', [CHUNKED, 'Connection: transfer-encoding'], 200,
  { stays: true })
add('coding: in HTTP/1.0', post([CHUNKED], {
  line: 'POST /v1/chat/completions HTTP/1.0',
  body: text => chunkOf(text) + `0${CRLF}${CRLF}` }), 400)

// ---- chunks

const chunks = (name, body, api, more) =>
  add(`chunk: ${name}`, chunked(body), api, more)
// One chunk with this in place of its first line's end.
const sized = (name, write, api, more) => chunks(name, text =>
  `${write(text.length.toString(16), text.length)}${text}${CRLF}0${CRLF}${CRLF}`,
  api, more)
const END = `0${CRLF}${CRLF}`

sized('capitals', x => `${x.toUpperCase()}${CRLF}`, 200, { stays: true })
sized('zeros in front', x => `000${x}${CRLF}`, 200, { stays: true })
sized('an extension', x => `${x};a=b;c${CRLF}`, 200, { stays: true })
sized('a quoted extension', x => `${x};a="b\\"c;d"${CRLF}`, 200,
  { stays: true })
sized('a prefix', x => `0x${x}${CRLF}`, 400)
sized('a plus', x => `+${x}${CRLF}`, 400)
sized('a minus', x => `-${x}${CRLF}`, 400)
sized('minus zero', () => `-0${CRLF}`, 400)
sized('a space in front', x => ` ${x}${CRLF}`, 400)
sized('a space behind', x => `${x} ${CRLF}`, 400)
sized('a tab behind', x => `${x}\t${CRLF}`, 400)
sized('no size', () => CRLF, 400)
sized('no digit', () => `zz${CRLF}`, 400)
sized('a NUL', x => `${x}\0${CRLF}`, 400)
sized('a fraction', x => `${x}.0${CRLF}`, 400)
sized('an empty extension', x => `${x};${CRLF}`, 400)
sized('an extension after a space', x => `${x} ;a=b${CRLF}`, 400)
sized('an extension with a space', x => `${x};a b${CRLF}`, 400)
sized('an extension without a value', x => `${x};a=${CRLF}`, 400)
sized('a quote that stays open', x => `${x};a="b${CRLF}`, 400)
sized('a line end inside a quote', x => `${x};a="${LF}"${CRLF}`, 400)
sized('a bare LF inside an extension', x => `${x};a${LF}b${CRLF}`, 400)
sized('an endless extension', x => `${x};${'x'.repeat(70000)}${CRLF}`, 400)
sized('endless zeros', x => `${'0'.repeat(70000)}${x}${CRLF}`, 400)
sized('a size beyond 64 bits', x => `1000000000000000${x}${CRLF}`, 400)
sized('a size of 15 digits', () => `${'f'.repeat(15)}${CRLF}`, 400,
  { cut: true, api: [400, 413] })
sized('LF alone', x => `${x}${LF}`, 400)
sized('CR alone', x => `${x}\r`, 400)
sized('CR CR LF', x => `${x}\r${CRLF}`, 400)
chunks('too small', text => `3${CRLF}${text}${CRLF}${END}`, 400)
chunks('too large', text =>
  `${(text.length + 1).toString(16)}${CRLF}${text}${CRLF}${END}`, 400)
chunks('nothing between data and size', text =>
  `${text.length.toString(16)}${CRLF}${text}${END}`, 400)
chunks('LF behind the data', text =>
  `${text.length.toString(16)}${CRLF}${text}${LF}${END}`, 400)
chunks('a space behind the data', text =>
  `${text.length.toString(16)}${CRLF}${text} ${CRLF}${END}`, 400)
chunks('no last one', text => chunkOf(text), 400, { cut: true })
chunks('an end without its empty line', text =>
  `${chunkOf(text)}0${CRLF}`, 400, { cut: true })
chunks('an end with LF alone', text => `${chunkOf(text)}0${LF}${LF}`, 400)
chunks('an end in CR CR LF', text => `${chunkOf(text)}0${CRLF}\r${CRLF}`, 400)
chunks('no data at all', () => END, 400, { stays: true })
chunks('many of one byte', text =>
  [...text].map(c => chunkOf(c)).join('') + END, 200, { stays: true })
for (const [name, trailer, api] of [
  ['a trailer', 'X: y', 200],
  ['a trailer with a length', 'Content-Length: 5', 200],
  ['a trailer with a coding', CHUNKED, 200],
  ['a trailer with a key', 'Authorization: Bearer x', 200],
  ['a trailer without a colon', 'Nonsense', 400],
  ['a trailer without a name', ': x', 400],
  ['a trailer with a space in its name', 'X Y: z', 400],
  ['a trailer with a NUL', 'X: \0', 400],
  ['a trailer with a bare LF', 'X: y\nZ: z', 400],
  ['a folded trailer', `X: y${CRLF} z`, 400],
  ['endless trailers', `X: y${CRLF}`.repeat(3000) + 'X: y', 400],
  ['an endless trailer', `X: ${'y'.repeat(70000)}`, 400]]) {
  chunks(name, text => `${chunkOf(text)}0${CRLF}${trailer}${CRLF}${CRLF}`, api,
    { stays: api === 200 })
}

// ---- Expect, Connection, Upgrade, HTTP/1.0

add('expect: another', withLength(['Expect: 200-maybe']), 417)
add('expect: two', withLength(['Expect: 100-continue', 'Expect: 100-continue']),
  417)
add('expect: a list', withLength(['Expect: 100-continue, x']), 417)
add('expect: empty', withLength(['Expect:']), 417)
add('expect: 100-continue', withLength(['Expect: 100-Continue']), 200,
  { stays: true, answers: 2, interim: true })
add('expect: 100-continue of a body that will not be taken', withLength(
  ['Expect: 100-continue'], { type: 'Content-Type: text/plain' }), 415)
add('expect: 100-continue of a GET', head('GET /v1/models HTTP/1.1',
  [HOST, 'Expect: 100-continue']), 200, { stays: true })
add('expect: 100-continue of HTTP/1.0', withLength(['Expect: 100-continue'],
  { line: 'POST /v1/chat/completions HTTP/1.0' }), 200)
for (const value of ['close x', 'a/b', '"close"', 'close; x', '\x80', '@']) {
  add(`connection: ${JSON.stringify(value)}`,
    withLength([`Connection: ${value}`]), 400)
}
add('connection: close', withLength(['Connection: close']), 200)
add('connection: CLOSE in a list', withLength(['Connection: x, CLOSE,']), 200)
add('connection: names Host', withLength(['Connection: host']), 200,
  { stays: true })
add('connection: names Content-Type', withLength(['Connection: content-type']),
  200, { stays: true })
add('upgrade: to HTTP/2', withLength(['Connection: Upgrade, HTTP2-Settings',
  'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA']), 200,
{ stays: true })
add('upgrade: to a websocket', head('GET /v1/models HTTP/1.1', [HOST,
  'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==']), 501)
add('upgrade: of a chat', withLength(['Connection: keep-alive, upgrade',
  'Upgrade: websocket']), 501)
add('upgrade: to HTTP/2 or a websocket', withLength(['Connection: Upgrade',
  'Upgrade: h2c, websocket']), 501)
add('upgrade: in a second field', withLength(['Connection: Upgrade',
  'Upgrade: h2c', 'Upgrade: TLS/1.3']), 501)
add('upgrade: to something malformed', withLength(['Connection: Upgrade',
  'Upgrade: "h2c"']), 501)
add('upgrade: to H2C', withLength(['Connection: upgrade', 'Upgrade: H2C']), 200,
  { stays: true })
add('upgrade: to nothing', withLength(['Connection: upgrade', 'Upgrade: ,']),
  200, { stays: true })
add('upgrade: not named in Connection', withLength(['Upgrade: websocket']), 200,
  { stays: true })
add('upgrade: of HTTP/1.0', withLength(['Connection: Upgrade',
  'Upgrade: websocket'], { line: 'POST /v1/chat/completions HTTP/1.0' }), 200)
add('HTTP/1.0', withLength([], { line: 'POST /v1/chat/completions HTTP/1.0' }),
  200)
add('HTTP/1.0 that would like to stay', withLength(['Connection: keep-alive'],
  { line: 'POST /v1/chat/completions HTTP/1.0' }), 200)
add('HTTP/1.0 without Host', withLength([],
  { line: 'POST /v1/chat/completions HTTP/1.0', host: 'X: y' }), 200)
add('HTTP/1.0 without a length', post([],
  { line: 'POST /v1/chat/completions HTTP/1.0' }), 411, { tunnel: 400 })

// ---- what the body is

const typed = (name, type, api, more) => add(`type: ${name}`,
  withLength([], { type }), api, { stays: api === 200, ...more })

typed('none', null, 415)
typed('text/plain', 'Content-Type: text/plain', 415)
typed('a form', 'Content-Type: application/x-www-form-urlencoded', 415)
typed('a form of parts', 'Content-Type: multipart/form-data; boundary=x', 415)
typed('one that begins like JSON', 'Content-Type: application/jsonp', 415)
typed('a list', 'Content-Type: application/json, text/plain', 415)
typed('two', `${JSON_TYPE}${CRLF}Content-Type: text/plain`, 415)
typed('two that are equal', `${JSON_TYPE}${CRLF}${JSON_TYPE}`, 415)
typed('JSON with a charset', 'Content-Type: Application/JSON; charset=utf-8',
  200)
add('type: compressed', withLength(['Content-Encoding: gzip']), 415)
add('type: compressed twice', withLength(
  ['Content-Encoding: identity', 'Content-Encoding: br']), 415)
add('type: not compressed, and says so',
  withLength(['Content-Encoding: identity']), 200, { stays: true })
add('method override', withLength(['X-HTTP-Method-Override: DELETE']), 200,
  { stays: true })
add('a query that is not passed on', withLength([],
  { line: 'POST /v1/chat/completions?api-key=x HTTP/1.1' }), 200,
{ stays: true })

export { table }

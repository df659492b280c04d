// A backend whose every byte the test chooses.
import net from 'node:net'

const LIST = '{"object":"list","data":[{"id":"echo","object":"model"}]}'
// The same, with the size of its context.
export const listWith = n => LIST.replace('"model"', `"model","max_model_len":${n}`)
export const whole = (body, head = 'HTTP/1.1 200 OK') => `${head}\r\n` +
  `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`

// answer(socket, nth request of the connection, its text) writes.
export async function startRaw (scope, more = {}) {
  const server = net.createServer(socket => {
    let text = ''
    let nth = 0
    socket.setNoDelay()
    socket.setEncoding('latin1') // a character is a byte
    socket.on('error', () => {})
    socket.on('data', piece => {
      text += piece
      for (;;) {
        const at = text.indexOf('\r\n\r\n')
        const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
        if (at === -1 || text.length < at + 4 + length) return
        const isGet = text.startsWith('GET')
        const request = text.slice(0, at + 4 + length)
        text = text.slice(at + 4 + length)
        nth++
        if (isGet) {
          socket.write(whole(backend.list))
        } else {
          backend.posts++
          backend.answer(socket, nth, request)
        }
      }
    })
  })
  const backend = { server, posts: 0, list: LIST, answer: s => s.end(whole('{}')), ...more }
  await new Promise(resolve => server.listen(0, '127.0.0.1', resolve))
  scope.after(() => server.close())
  backend.url = `http://127.0.0.1:${server.address().port}`
  return backend
}

export const SSE = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n'
export const event = word =>
  `data: {"choices":[{"delta":{"content":"${word}"}}]}\n\n`
export const chunk = (text, extension = '') =>
  `${Buffer.byteLength(text).toString(16)}${extension}\r\n${text}\r\n`

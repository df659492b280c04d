// What /proc tells about the daemons of a node.
import fs from 'node:fs'

// { name: pid } of a node's processes.
export async function processesOf (node) {
  const { processes } = await node.status()
  return Object.fromEntries(processes.map(p => [p.name, p.pid]))
}

function statusKib (pid, field) {
  return Number(new RegExp(`^${field}:\\s+(\\d+)`, 'm')
    .exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1])
}

export const rssKib = pid => statusKib(pid, 'VmRSS')
// What it has asked the kernel for, whether it was touched or not.
export const dataKib = pid => statusKib(pid, 'VmData')

export const descriptors = pid => fs.readdirSync(`/proc/${pid}/fd`).length

// SIGKILL to all of a node: nobody gets to say goodbye.
export async function killNode (node) {
  const pids = Object.values(await processesOf(node))
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // went with its parent
    }
  }
  await node.ended
}

function * readable (pid) {
  for (const line of fs.readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n')) {
    const m = /^([0-9a-f]+)-([0-9a-f]+) r\S+ \S+ \S+ \S+\s*(.*)$/.exec(line)
    if (m && !['[vvar]', '[vsyscall]', '[vvar_vclock]'].includes(m[3])) {
      yield { from: parseInt(m[1], 16), to: parseInt(m[2], 16) }
    }
  }
}

const STEP = 4 << 20

// Which of the needles (Buffers) stand in the memory of the process; all of
// it that can be read is read.  Returns { found: Set of indices, bytes }.
export function searchMemory (pid, needles) {
  const fd = fs.openSync(`/proc/${pid}/mem`, 'r')
  const overlap = Math.max(...needles.map(n => n.length)) - 1
  const buffer = Buffer.alloc(STEP)
  const found = new Set()
  let bytes = 0
  try {
    for (const { from, to } of readable(pid)) {
      for (let at = from; at < to; at += STEP - overlap) {
        const want = Math.min(STEP, to - at)
        let n
        try {
          n = fs.readSync(fd, buffer, 0, want, at)
        } catch {
          break // guard pages, secret memory
        }
        bytes += n
        const part = buffer.subarray(0, n)
        needles.forEach((needle, i) => {
          if (part.includes(needle)) found.add(i)
        })
        if (n < want || at + want >= to) break
      }
    }
  } finally {
    fs.closeSync(fd)
  }
  return { found, bytes }
}

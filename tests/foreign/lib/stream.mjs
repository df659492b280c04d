// Buffers over the streams of iroh, whose JavaScript side knows only arrays
// of numbers.
const WRITE = 256 * 1024;

export function within(ms, promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: ${ms} ms passed`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

// The first line: iroh's errors carry a stack backtrace.
export const reason = error => String(error?.message ?? error).split('\n')[0];

// Something that was ended by the other side need not be ended by us.
const ignore = () => {};

export class BiStream {
  #unread = Buffer.alloc(0);

  constructor({ send, recv }) {
    Object.assign(this, { send, recv });
  }

  async write(bytes) {
    for (let at = 0; at < bytes.length; at += WRITE)
      await this.send.writeAll([...bytes.subarray(at, at + WRITE)]);
  }

  // A half that the other side has stopped is freed by a reset alone.
  async finish() {
    await this.send.finish().catch(ignore);
    this.send.stopped().then(code => code === null || this.reset())
      .catch(ignore);
  }

  reset() {
    return this.send.reset(0n).catch(ignore);
  }

  // What a Rust node does to a stream that it drops.
  async drop() {
    await this.finish();
    await this.recv.stop(0n).catch(ignore);
  }

  // Empty at the end.
  async read() {
    const bytes = this.#unread.length ? this.#unread
      : Buffer.from(await this.recv.read(65536));
    this.#unread = Buffer.alloc(0);
    return bytes;
  }

  unread(bytes) {
    this.#unread = bytes;
  }

  async exactly(count) {
    const parts = [];
    for (let missing = count; missing > 0;) {
      const bytes = await this.read();
      if (!bytes.length)
        throw new Error(`end of stream, ${missing} of ${count} bytes missing`);
      parts.push(bytes.subarray(0, missing));
      this.unread(bytes.subarray(missing));
      missing -= parts.at(-1).length;
    }
    return Buffer.concat(parts);
  }

  async toEnd(limit) {
    const parts = [];
    for (let size = 0;;) {
      const bytes = await this.read();
      if (!bytes.length) return Buffer.concat(parts);
      if ((size += bytes.length) > limit) throw new Error('too long');
      parts.push(bytes);
    }
  }
}

// Who is in the mesh (wire-v1, sections 3.3 to 3.8).  No network, no clock of
// its own.  A record is { id, addr, entry, numbers, direct, seen, mentioned }.
import { openAnnouncement } from './identity.mjs';
import { routable } from './messages.mjs';
import { keyFromBase64 } from './sealed.mjs';

const STALE_MS = 180e3, REMOVED_MS = 360e3, DEAD_MS = 300e3;

export class Table {
  records = new Map();
  #dead = new Map();

  constructor(self) {
    this.self = self;
  }

  isDead(id, now) {
    return now - (this.#dead.get(id) ?? -Infinity) < DEAD_MS;
  }

  bury(id, now) {
    this.#dead.set(id, now);
    this.records.delete(id);
  }

  revive(id) {
    this.#dead.delete(id);
  }

  // What `from` said, over its own connection.  Returns the records that are
  // new or changed.  Where the existing network lets a relay overwrite the
  // entry of a node that spoke for itself, this table does not.
  merge(from, heard, now) {
    const changed = [];
    for (const { id, addr, entry, numbers } of heard) {
      const direct = id === from, old = this.records.get(id);
      if (id === this.self || (!direct && this.isDead(id, now))) continue;
      if (direct) this.#dead.delete(id);
      if (old?.direct && !direct) {
        old.mentioned = now;
        continue;
      }
      const record = {
        id, addr: addr.addrs.length ? addr : old?.addr ?? addr,
        entry, numbers, direct, failures: 0,
        seen: direct ? now : old?.seen ?? now - REMOVED_MS,
        mentioned: direct ? old?.mentioned : now,
      };
      this.records.set(id, record);
      changed.push(record);
    }
    return changed;
  }

  #aliveWithin(ms, now) {
    return [...this.records.values()].filter(
      r => now - Math.max(r.seen, r.mentioned ?? -Infinity) < ms);
  }

  // The entries to pass on; what only a node itself may say is left out.
  relayed(now) {
    return this.#aliveWithin(STALE_MS, now).map(
      ({ entry }) => ({ ...entry, mesh_id: undefined, demand: undefined }));
  }

  // Removes and returns the records that nobody has spoken of.
  age(now) {
    const alive = new Set(this.#aliveWithin(REMOVED_MS, now));
    const gone = [...this.records.values()].filter(r => !alive.has(r));
    gone.forEach(r => this.records.delete(r.id));
    return gone;
  }

  seenLately(id, now) {
    return now - (this.records.get(id)?.seen ?? -Infinity) < STALE_MS;
  }
}

// The key to seal to, and whether the node has signed it.  An unsigned key
// counts only from the node itself.
export function keyOf({ id, entry, direct }) {
  const signed = openAnnouncement(entry.signed_announcement, id);
  if (signed) return { key: signed, signed: true };
  try {
    if (direct)
      return { key: keyFromBase64(entry.inference_public_key), signed: false };
  } catch {
    // An unusable key is no key.
  }
  return {};
}

export function describe(record) {
  const { id, addr, entry, numbers, direct } = record;
  const { key, signed } = keyOf(record);
  return {
    id, role: entry.role, version: entry.version, direct,
    models: routable(entry), key: key?.toString('base64'), signed,
    addrs: addr.addrs, fields: numbers, mesh_id: entry.mesh_id,
    subprotocols: entry.subprotocols, posture: entry.security_posture,
  };
}

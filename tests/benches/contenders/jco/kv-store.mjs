// A store in memory behind kvfs:store/kv-store: a Map of values, and its keys in order for scans.
//
// Keys are kept as strings with one character per byte: those compare as bytes do, and a Map finds
// them by content.

const LIMITS = {
  maxKeyBytes: 1024,
  maxValueBytes: 1 << 20,
  maxBatchEntries: 1024,
  maxBatchBytes: 4 << 20,
  durable: false,
};

const values = new Map();
const order = [];

const text = (key) => Buffer.from(key.buffer, key.byteOffset, key.byteLength).latin1Slice();
const bytes = (key) => new Uint8Array(Buffer.from(key, 'latin1'));

// Returns the place of the first key that is not before `key`.
function place(key) {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (order[middle] < key) low = middle + 1;
    else high = middle;
  }
  return low;
}

function same(one, other) {
  if (one === undefined || other === undefined) return one === other;
  return one.length === other.length && Buffer.compare(one, other) === 0;
}

// An error of the contract reaches the guest as the payload of an exception.
function fail(tag) {
  throw Object.assign(new Error(tag), { payload: { tag } });
}

function check(mutations) {
  let total = 0;
  for (const { tag, val } of mutations) {
    const [key, value] = tag === 'put' ? [val.key, val.value] : [val, undefined];
    const length = value?.length ?? 0;
    if (key.length > LIMITS.maxKeyBytes || length > LIMITS.maxValueBytes) fail('too-large');
    total += key.length + length;
  }
  if (mutations.length > LIMITS.maxBatchEntries || total > LIMITS.maxBatchBytes) fail('too-large');
}

function put(key, value) {
  if (!values.has(key)) {
    // Most new keys come behind all others.
    if (order.length === 0 || order[order.length - 1] < key) order.push(key);
    else order.splice(place(key), 0, key);
  }
  values.set(key, value);
}

function remove(key) {
  if (values.delete(key)) order.splice(place(key), 1);
}

export const kvStore = {
  getLimits: () => LIMITS,

  get(keys) {
    if (keys.length > LIMITS.maxBatchEntries) fail('too-large');
    return keys.map((key) => values.get(text(key)));
  },

  scan(start, end, maxEntries, maxBytes) {
    const found = [];
    const last = end.length === 0 ? undefined : text(end);
    let room = Math.min(maxBytes, LIMITS.maxBatchBytes);
    for (let at = place(text(start)); at < order.length; at += 1) {
      const key = order[at];
      if (last !== undefined && key >= last) break;
      if (found.length >= Math.min(maxEntries, LIMITS.maxBatchEntries)) break;
      const value = values.get(key);
      room -= key.length + value.length;
      if (room < 0 && found.length > 0) break;
      found.push({ key: bytes(key), value });
    }
    return found;
  },

  apply(guards, mutations, _level) {
    check(mutations);
    for (const { key, expected } of guards) {
      if (!same(values.get(text(key)), expected)) fail('conflict');
    }
    for (const { tag, val } of mutations) {
      if (tag === 'put') put(text(val.key), val.value);
      else remove(text(val));
    }
  },
};

// JSON as strict as the Rust reader: no duplicate of a member that is asked
// for, and valid UTF-8.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

// The names of the members of the outermost object, duplicates included.
// The text has been parsed already.
function memberNames(text) {
  const names = [];
  let depth = 0, last;
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\]:]/gs)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (token === ':' && depth === 1) names.push(JSON.parse(last));
    else last = token;
  }
  return names;
}

export function parseObject(bytes, wanted) {
  const text = utf8.decode(bytes);
  const value = JSON.parse(text);
  if (value === null || typeof value !== 'object' || Array.isArray(value))
    throw new Error('not an object');
  const names = memberNames(text);
  for (const name of wanted) {
    const count = names.filter(n => n === name).length;
    if (count !== 1) throw new Error(`member ${name}: ${count} times`);
  }
  return value;
}

// Canonical text only: alphabet, padding and unused bits as written by us.
export function strictBase64(text, encoding = 'base64') {
  const bytes = Buffer.from(text, encoding);
  if (bytes.toString(encoding) !== text) throw new Error('base64');
  return bytes;
}

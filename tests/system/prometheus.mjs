// A strict reader of Prometheus' text format 0.0.4: what it takes, Prometheus
// takes.  Returns { name: { type, help, samples: [{ name, labels, value }] } }.
import assert from 'node:assert/strict'

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const LABEL = '([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\\\\n]|\\\\["\\\\n])*)"'
const NUMBER = /^(?:[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|NaN|[+-]Inf)$/

function readLabels (text) {
  const labels = {}
  let rest = text
  while (rest !== '') {
    const found = new RegExp(`^${LABEL}(,|$)`).exec(rest)
    assert.ok(found, `bad labels: ${text}`)
    const [all, name, value] = found
    assert.ok(!(name in labels), `label twice: ${text}`)
    labels[name] = value.replace(/\\(.)/g,
      (_, c) => c === 'n' ? '\n' : c)
    rest = rest.slice(all.length)
  }
  return labels
}

function checkHistogram (name, { samples }) {
  const series = new Map()
  for (const s of samples) {
    const { le, ...others } = s.labels
    const key = JSON.stringify(others)
    if (!series.has(key)) series.set(key, { buckets: [] })
    const one = series.get(key)
    if (s.name === `${name}_bucket`) one.buckets.push([le, s.value])
    else one[s.name.slice(name.length + 1)] = s.value
  }
  for (const { buckets, sum, count } of series.values()) {
    assert.equal(buckets.at(-1)[0], '+Inf', name)
    assert.equal(buckets.at(-1)[1], count, name)
    assert.ok(sum >= 0)
    for (let i = 1; i < buckets.length; i++) {
      assert.ok(buckets[i][1] >= buckets[i - 1][1], `${name} is not cumulative`)
      if (i + 1 < buckets.length) {
        assert.ok(Number(buckets[i][0]) > Number(buckets[i - 1][0]), name)
      }
    }
  }
}

export function parseMetrics (text) {
  assert.ok(text.endsWith('\n'), 'the last line has no end')
  const families = {}
  let current
  for (const line of text.slice(0, -1).split('\n')) {
    const meta = new RegExp(`^# (HELP|TYPE) (${NAME}) (.+)$`).exec(line)
    if (meta) {
      const [, what, name, rest] = meta
      if (what === 'HELP') {
        assert.ok(!(name in families), `${name} comes twice`)
        families[name] = { help: rest, samples: [] }
        current = name
      } else {
        assert.equal(name, current, 'TYPE without its HELP')
        assert.match(rest, /^(counter|gauge|histogram|summary|untyped)$/)
        assert.equal(families[name].type, undefined)
        families[name].type = rest
      }
      continue
    }
    const found = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`).exec(line)
    assert.ok(found, `no sample: ${line}`)
    const [, name, labels, value] = found
    const family = families[current]
    const own = family?.type === 'histogram'
      ? [`${current}_bucket`, `${current}_sum`, `${current}_count`] : [current]
    assert.ok(own.includes(name), `${name} stands below ${current}`)
    assert.match(value, NUMBER)
    const sample = { name, labels: readLabels(labels ?? ''),
      value: Number(value.replace('Inf', 'Infinity')) }
    if (family.type === 'counter') {
      assert.match(name, /_total$/)
      assert.ok(sample.value >= 0)
    }
    assert.ok(!family.samples.some(s => s.name === name &&
      JSON.stringify(s.labels) === JSON.stringify(sample.labels)),
    `sample twice: ${line}`)
    family.samples.push(sample)
  }
  for (const [name, family] of Object.entries(families)) {
    assert.ok(family.type, `${name} has no type`)
    if (family.type === 'histogram') checkHistogram(name, family)
  }
  return families
}

// What all modules share: making elements, asking the API, writing numbers. Names and messages become text, never markup.

export const base = document.body.dataset.base

// An element; functions among `properties` listen, the others are properties or attributes.
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') element.addEventListener(name, value)
    else if (name in element && name !== 'list') element[name] = value
    else element.setAttribute(name, value)
  }
  element.append(...children.filter((child) => child != null))
  return element
}

// A path below the base path; `query` without what is empty.
export function url(path, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== '' && value != null)
  return base + path + (given.length ? `?${new URLSearchParams(given)}` : '')
}

export const escaped = encodeURIComponent

// The path of a topic or of a channel in it.
export const place = (topic, channel) => `/topics/${escaped(topic)}${channel ? `/${escaped(channel)}` : ''}`

// Asks the API. What it refuses, and what does not arrive, is an error whose message is for people.
export async function ask(path, { method = 'GET', body } = {}) {
  let answer
  try {
    answer = await fetch(path, {
      method,
      // The proof that a page of ours asks.
      headers: { 'x-requested-with': 'nsqadmin', 'content-type': 'application/json' },
      body: body && JSON.stringify(body),
    })
  } catch {
    throw new Error('nsqadmin does not answer.')
  }
  if (answer.status === 401 && !path.endsWith('/api/login')) location.assign(url('/login'))
  const told = await answer.json().catch(() => ({}))
  if (!answer.ok) throw new Error(explained(told.message ?? `status ${answer.status}`))
  return told
}

const EXPLAINED = {
  FORBIDDEN: 'You may not do this.',
  INVALID_TOPIC: 'This is no name of a topic: letters, digits, . _ - and at most 64 of them.',
  INVALID_CHANNEL: 'This is no name of a channel: letters, digits, . _ - and at most 64 of them.',
  TOPIC_NOT_FOUND: 'The topic is gone.',
  CHANNEL_NOT_FOUND: 'The channel is gone.',
  NODE_NOT_FOUND: 'The node is gone.',
  MSG_EMPTY: 'The message is empty.',
  MSG_TOO_BIG: 'The message is too big.',
  WRONG_PASSWORD: 'No user has this name and this password.',
  TOO_MANY_ATTEMPTS: 'Too many attempts: wait a minute.',
  NO_LOGIN: 'Nobody can log in here: there is no password file.',
}

const explained = (message) => EXPLAINED[message] ?? message

const COUNT = new Intl.NumberFormat('en-US')
export const count = (value) => COUNT.format(value)

export function rate(value) {
  if (value < 0.05) return '0'
  return value < 9.95 ? value.toFixed(1) : count(Math.round(value))
}

// Nanoseconds in a unit that fits, with three digits.
function latency(nanoseconds) {
  const [unit, name] = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs']].find(([least]) => nanoseconds >= least) ?? []
  if (!unit) return nanoseconds > 0 ? '<1 µs' : '–'
  const value = nanoseconds / unit
  return `${value.toFixed(value < 10 ? 2 : value < 100 ? 1 : 0)} ${name}`
}

// Seconds in the two largest units: `5m 26s`.
export function span(seconds) {
  const units = [[86400, 'd'], [3600, 'h'], [60, 'm'], [1, 's']]
  let rest = Math.max(0, Math.floor(seconds))
  const first = Math.max(0, units.findIndex(([unit]) => rest >= unit))
  const shown = rest === 0 ? [units[3]] : units.slice(first, first + 2)
  return shown
    .map(([unit, name]) => {
      const text = `${Math.floor(rest / unit)}${name}`
      rest %= unit
      return text
    })
    .join(' ')
}

export function size(bytes) {
  if (bytes < 1024) return `${bytes} B`
  return bytes < 1 << 20 ? `${(bytes / 1024).toFixed(1)} KiB` : `${(bytes / (1 << 20)).toFixed(1)} MiB`
}

// The worst first: place and colour of each verdict, as in the pages as they come.
const VERDICTS = {
  stuck: 'bad', not_ready: 'bad', no_consumers: 'bad', timeouts: 'warn', requeue_storm: 'warn', growing: 'bad', imbalance: 'warn',
  missing_on_nodes: 'warn', paused: 'warn', partly_paused: 'warn', draining: 'warn', keeping_up: 'good', idle: 'idle',
}
const RANKS = Object.keys(VERDICTS)
export const rank = (text) => {
  const place = RANKS.indexOf(text.replaceAll(' ', '_'))
  return place < 0 ? RANKS.length : place
}

const STATES = { up: 'good', down: 'bad', unwell: 'bad', drained: 'good', 'in use': '' }
const WRITE = {
  count,
  rate,
  span,
  latency,
  age: (nanoseconds) => span(nanoseconds / 1e9),
  verdict: (name) => name.replaceAll('_', ' '),
  state: (name) => name,
}

// Writes a value into an element, as its column or itself says. Tags change their colour too.
export function write(element, value, as) {
  if (as === 'load') return void (element.querySelector('meter').value = value)
  const text = value == null ? '–' : (WRITE[as] ?? String)(value)
  const tag = as === 'verdict' || as === 'state' ? element.querySelector('.tag') ?? element : element
  if (tag.textContent === text) return
  tag.textContent = text
  if (tag.classList.contains('tag')) tag.className = `tag ${VERDICTS[value] ?? STATES[value] ?? ''}`
}

// What lies at `a.b.c`.
export const dig = (data, path) => path.split('.').reduce((at, key) => at?.[key], data)

// A dialog that goes when it is closed; the focus then is where it was.
export function dialog(title, ...children) {
  const heading = h('h2', { id: 'dialog-title' }, title)
  const element = h('dialog', { 'aria-labelledby': 'dialog-title' }, heading, ...children)
  const before = document.activeElement
  element.addEventListener('close', () => {
    element.remove()
    before?.focus()
  })
  document.body.append(element)
  element.showModal()
  return element
}

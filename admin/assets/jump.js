// Going anywhere by typing a part of its name, and the keys that pages know.
import { ask, dialog, escaped, h, place, url } from './dom.js'

const form = document.getElementById('jump')
const input = form.querySelector('input')
const list = document.getElementById('jump-list')
let active = -1
let asked = 0

const KINDS = {
  topic: ({ topic }) => [topic, place(topic)],
  channel: ({ topic, channel }) => [`${topic} / ${channel}`, place(topic, channel)],
  node: ({ node, hostname }) => [`${node} ${hostname}`, `/nodes/${escaped(node)}`],
  client: ({ client_id, hostname, topic, channel }) => [`${hostname} ${client_id} at ${topic} / ${channel}`, place(topic, channel)],
}

async function find() {
  const words = input.value.trim()
  const number = ++asked
  const { results } = words ? await ask(url('/api/search', { q: words })).catch(() => ({ results: [] })) : { results: [] }
  // Answers may overtake one another.
  if (number !== asked) return
  const options = results.slice(0, 12).map((result, index) => {
    const [name, path] = KINDS[result.kind](result)
    return h('li', { id: `jump-${index}`, role: 'option', 'data-path': path, 'aria-selected': 'false' }, name, h('span', { className: 'quiet' }, result.kind))
  })
  list.replaceChildren(...options)
  open(options.length > 0)
  choose(options.length ? 0 : -1)
}

function open(isOpen) {
  list.hidden = !isOpen
  input.setAttribute('aria-expanded', String(isOpen))
}

function choose(index) {
  active = index
  ;[...list.children].forEach((option, at) => option.setAttribute('aria-selected', String(at === index)))
  if (index < 0) input.removeAttribute('aria-activedescendant')
  else input.setAttribute('aria-activedescendant', `jump-${index}`)
  list.children[index]?.scrollIntoView({ block: 'nearest' })
}

const go = (option) => option && location.assign(url(option.dataset.path))

input.addEventListener('input', find)
input.addEventListener('focus', () => list.children.length && open(true))
input.addEventListener('blur', () => open(false))
list.addEventListener('mousedown', (event) => {
  event.preventDefault()
  go(event.target.closest('[role=option]'))
})
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  if (!list.children.length) await find()
  go(list.children[Math.max(active, 0)])
})
input.addEventListener('keydown', (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
  if (step && list.children.length) {
    event.preventDefault()
    open(true)
    choose((active + step + list.children.length) % list.children.length)
  } else if (event.key === 'Escape') {
    open(false)
    input.value = ''
    input.blur()
  }
})

const KEYS = [
  ['/ or Ctrl-K', 'jump to a topic, channel, node or client'],
  ['g then o t n c l w a', 'overview, topics, nodes, consumers, lookup, wall counter, audit'],
  ['f', 'filter the table'],
  ['?', 'this sheet'],
  ['Tab, Enter, Esc', 'go on, do, leave a dialog'],
]
const PARTS = { o: '/', t: '/topics', n: '/nodes', c: '/consumers', l: '/lookup', w: '/counter', a: '/audit' }
let awaitsPart = false

function help() {
  if (document.querySelector('dialog[open]')) return
  const keys = KEYS.flatMap(([key, does]) => [h('dt', {}, h('kbd', {}, key)), h('dd', {}, does)])
  const box = dialog('Keys', h('dl', { className: 'keys' }, ...keys), h('p', { className: 'buttons' }, h('button', { className: 'primary', click: () => box.close() }, 'Close')))
}

document.getElementById('help').addEventListener('click', help)
document.addEventListener('keydown', (event) => {
  const { key, ctrlKey, metaKey, altKey, target } = event
  const isJump = (key === 'k' && (ctrlKey || metaKey)) || (key === '/' && !isTyping(target))
  if (isJump && !document.querySelector('dialog[open]')) {
    event.preventDefault()
    input.focus()
    input.select()
    return
  }
  if (ctrlKey || metaKey || altKey || isTyping(target) || document.querySelector('dialog[open]')) return
  const part = awaitsPart && PARTS[key]
  awaitsPart = key === 'g'
  if (part) location.assign(url(part))
  else if (key === '?') help()
  else if (key === 'f') {
    const filter = document.querySelector('main input[type=search]')
    if (filter) event.preventDefault()
    filter?.focus()
  }
})

const isTyping = (element) => element.matches('input, textarea, select')

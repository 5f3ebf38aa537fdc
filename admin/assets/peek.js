// Messages of a channel, looked at without taking them.
import { ask, count, h, size, span, url } from './dom.js'
import { write } from './publish.js'

const section = document.getElementById('peek')
const form = section?.querySelector('form')
const list = document.getElementById('messages')
let messages = []

form?.addEventListener('submit', async (event) => {
  event.preventDefault()
  const { topic, channel } = section.dataset
  const { node, state, offset, n } = form.elements
  list.replaceChildren(h('p', { className: 'quiet' }, 'Looking…'))
  try {
    const told = await ask(url('/api/peek', { topic, channel, node: node.value, state: state.value, offset: offset.value, n: n.value }))
    messages = told.messages.map((found) => ({ ...found, bytes: Uint8Array.from(atob(found.body), (character) => character.charCodeAt(0)) }))
    show(told.message)
  } catch (error) {
    const hint = error.message.includes('PEEK_DISABLED') ? ' Nodes allow it when they are started with --enable-peek.' : ''
    list.replaceChildren(h('p', { className: 'error' }, error.message + hint))
  }
})
form?.elements.form.addEventListener('change', () => messages.length && show(''))
form?.elements.words.addEventListener('input', () => messages.length && show(''))

function show(warning) {
  const words = form.elements.words.value.toLowerCase().split(/\s+/).filter(Boolean)
  const texts = messages.map((found) => [found, written(found.bytes, form.elements.form.value)])
  const shown = texts.filter(([found, text]) => words.every((word) => `${found.id} ${text}`.toLowerCase().includes(word)))
  const number = shown.length === messages.length ? count(messages.length) : `${count(shown.length)} of ${count(messages.length)}`
  const head = messages.length
    ? h('p', { className: 'quiet found' }, `${number} ${messages.length === 1 ? 'message' : 'messages'} `, h('button', { type: 'button', className: 'small', click: () => save(shown.map(([found]) => found)) }, 'Download'))
    : h('p', { className: 'empty' }, 'There are none.')
  list.replaceChildren(...[warning && h('p', { className: 'error' }, warning), head, ...shown.map(([found, text]) => article(found, text))].filter(Boolean))
}

function article(found, text) {
  const copy = h('button', { type: 'button', className: 'small', click: () => copied(copy, text) }, 'Copy')
  // Of a long body only the start is here.
  const again = found.body_truncated ? null : h('button', { type: 'button', className: 'small', click: () => write(section.dataset.topic, found.bytes) }, 'Publish again…')
  const age = span(Date.now() / 1000 - found.timestamp / 1e9)
  const due = found.due ? ` · due in ${span(found.due / 1e9 - Date.now() / 1000)}` : ''
  const facts = ` ${age} old · ${count(found.attempts)} attempts${due} · ${size(found.size)} · ${found.node} `
  return h(
    'article',
    { className: 'message' },
    h('header', {}, h('code', {}, found.id), facts, h('span', { className: 'end' }, copy, ' ', again)),
    h('pre', { tabIndex: 0, 'aria-label': `Body of ${found.id}` }, text + (found.body_truncated ? '\n… and more' : '')),
  )
}

function written(bytes, form) {
  if (form === 'hex') return hex(bytes)
  const text = new TextDecoder().decode(bytes)
  if (form === 'text') return text
  try {
    return JSON.stringify(JSON.parse(text), null, 2)
  } catch {
    return text // Not all messages are JSON.
  }
}

// Sixteen bytes a line: offset, bytes, what is printable of them.
function hex(bytes) {
  const lines = []
  for (let at = 0; at < bytes.length; at += 16) {
    const line = [...bytes.subarray(at, at + 16)]
    const codes = line.map((byte) => byte.toString(16).padStart(2, '0')).join(' ')
    const letters = line.map((byte) => (byte > 31 && byte < 127 ? String.fromCharCode(byte) : '.')).join('')
    lines.push(`${at.toString(16).padStart(6, '0')}  ${codes.padEnd(47)}  ${letters}`)
  }
  return lines.join('\n')
}

async function copied(button, text) {
  try {
    await navigator.clipboard.writeText(text)
    button.textContent = 'Copied'
  } catch {
    button.textContent = 'Not allowed'
  }
}

// A file with a message a line, as the API tells them.
function save(chosen) {
  const lines = chosen.map(({ bytes, ...told }) => JSON.stringify(told))
  const href = URL.createObjectURL(new Blob([`${lines.join('\n')}\n`], { type: 'application/x-ndjson' }))
  const { topic, channel } = section.dataset
  h('a', { href, download: `${topic}.${channel}.ndjson` }).click()
  URL.revokeObjectURL(href)
}

// Messages that wait, looked at without taking them.
import { ask, count, h, size, span, url } from './dom.js'

const section = document.getElementById('peek')
const form = section?.querySelector('form')
const list = document.getElementById('messages')
let messages = []

form?.addEventListener('submit', async (event) => {
  event.preventDefault()
  const { topic, channel } = section.dataset
  const { node, offset, n } = form.elements
  list.replaceChildren(h('p', { className: 'quiet' }, 'Looking…'))
  try {
    const told = await ask(url('/api/peek', { topic, channel, node: node.value, offset: offset.value, n: n.value }))
    messages = told.messages
    show(told.message)
  } catch (error) {
    const isOff = /404|NOT_FOUND|PEEK/.test(error.message)
    const hint = isOff ? ' Nodes allow it when they are started with --enable-peek.' : ''
    list.replaceChildren(h('p', { className: 'error' }, error.message + hint))
  }
})
form?.elements.form.addEventListener('change', () => messages.length && show(''))

function show(message) {
  const shown = messages.map((found) => {
    const bytes = Uint8Array.from(atob(found.body), (character) => character.charCodeAt(0))
    const text = written(bytes, form.elements.form.value)
    const copy = h('button', { type: 'button', className: 'small', click: () => copied(copy, text) }, 'Copy')
    const age = span(Date.now() / 1000 - found.timestamp / 1e9)
    return h(
      'article',
      { className: 'message' },
      h('header', {}, h('code', {}, found.id), ` ${age} old · ${count(found.attempts)} attempts · ${size(found.size)} · ${found.node} `, copy),
      h('pre', { tabIndex: 0, 'aria-label': `Body of ${found.id}` }, text + (found.body_truncated ? '\n… and more' : '')),
    )
  })
  const head = shown.length ? h('p', { className: 'quiet' }, `${shown.length} messages`) : h('p', { className: 'empty' }, 'Nothing waits.')
  list.replaceChildren(...[message && h('p', { className: 'error' }, message), head, ...shown].filter(Boolean))
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

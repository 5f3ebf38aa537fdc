// A message as it is shown: where it was peeked at, and where it comes by.
import { count, h, size, span } from './dom.js'
import { write } from './publish.js'

// The same with its body as bytes.
export const decoded = (found) => ({ ...found, bytes: Uint8Array.from(atob(found.body), (character) => character.charCodeAt(0)) })

export function article(topic, found, text) {
  const copy = h('button', { type: 'button', className: 'small', click: () => copied(copy, text) }, 'Copy')
  // Of a long body only the start is here.
  const again = found.body_truncated ? null : h('button', { type: 'button', className: 'small', click: () => write(topic, found.bytes) }, 'Publish again…')
  const age = span(Date.now() / 1000 - found.timestamp / 1e9)
  const due = found.due ? ` · due in ${span(found.due / 1e9 - Date.now() / 1000)}` : ''
  const attempts = `${count(found.attempts)} ${found.attempts === 1 ? 'attempt' : 'attempts'}`
  return h(
    'article',
    { className: 'message' },
    h('header', {}, h('code', {}, found.id), ` ${age} old · ${attempts}${due} · ${size(found.size)} · ${found.node} `, h('span', { className: 'end' }, copy, ' ', again)),
    h('pre', { tabIndex: 0, 'aria-label': `Body of ${found.id}` }, text + (found.body_truncated ? '\n… and more' : '')),
  )
}

export function written(bytes, form) {
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

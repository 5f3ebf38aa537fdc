// A message, written or read from a file, and published.
import { ask, dialog, h, size, url } from './dom.js'

const BYTES_MAX = 5 << 20

document.addEventListener('click', ({ target }) => {
  const button = target.closest('[data-publish]')
  if (button) write(button.dataset.publish)
})

// Opens the form; `given` is a body to begin with: bytes, as text where they are.
export async function write(topic, given) {
  const body = h('textarea', { rows: 8, spellcheck: false, required: true })
  const file = h('input', { type: 'file' })
  const batch = h('input', { type: 'checkbox' })
  const json = h('input', { type: 'checkbox' })
  const defer = h('input', { type: 'number', min: 0, value: 0 })
  const node = h('select', {}, h('option', { value: '' }, 'any'))
  const length = h('p', { className: 'quiet' })
  const state = h('p', { role: 'status' })
  const go = h('button', { className: 'primary' }, 'Publish')
  let bytes // Of the file, if one is chosen, or of what is no text.

  const measure = () => {
    const length_bytes = bytes?.length ?? new TextEncoder().encode(body.value).length
    length.textContent = `${size(length_bytes)} of ${size(BYTES_MAX)}`
    const fault = length_bytes > BYTES_MAX ? 'Too big.' : json.checked && !bytes ? faultOf(body.value, batch.checked) : ''
    state.textContent = fault
    state.className = fault ? 'error' : ''
    go.disabled = fault !== ''
    defer.disabled = batch.checked // nsqd defers single messages only.
  }
  const submit = async (event) => {
    event.preventDefault()
    const message = { topic, node: node.value, batch: batch.checked, defer_ms: batch.checked ? 0 : Number(defer.value) }
    if (bytes) message.body_base64 = base64(bytes)
    else message.body = body.value
    go.disabled = true
    try {
      const told = await ask(url('/api/publish'), { method: 'POST', body: message })
      state.className = ''
      state.textContent = `Published on ${told.node}. ${told.message}`
    } catch (error) {
      state.className = 'error'
      state.textContent = error.message
    }
    go.disabled = false
  }
  const box = dialog(
    `Publish to ${topic}`,
    h(
      'form',
      { submit, input: measure },
      h('label', {}, 'Message', body),
      h('label', {}, 'or a file', file),
      h(
        'div',
        { className: 'row' },
        h('label', { className: 'inline' }, json, ' check that it is JSON'),
        h('label', { className: 'inline' }, batch, ' a message for each line'),
        h('label', {}, 'Deferred by ms', defer),
        h('label', {}, 'Node', node),
      ),
      length,
      state,
      h('p', { className: 'buttons' }, h('button', { type: 'button', click: () => box.close() }, 'Close'), go),
    ),
  )
  box.classList.add('wide')
  file.addEventListener('change', async () => {
    bytes = file.files[0] && new Uint8Array(await file.files[0].arrayBuffer())
    body.disabled = Boolean(bytes)
    measure()
  })
  if (given) {
    try {
      body.value = new TextDecoder('utf-8', { fatal: true }).decode(given)
    } catch {
      bytes = given
      body.disabled = true
      body.placeholder = 'These bytes are no text; they are published as they are.'
    }
  }
  measure()
  body.focus()
  const { nodes } = await ask(url('/api/live', { view: 'nodes' })).catch(() => ({ nodes: {} }))
  node.append(...Object.keys(nodes).map((name) => h('option', {}, name)))
}

function faultOf(text, isBatch) {
  const parts = isBatch ? text.split('\n').filter(Boolean) : [text]
  for (const [index, part] of parts.entries()) {
    try {
      JSON.parse(part)
    } catch (error) {
      return `${isBatch ? `Line ${index + 1}` : 'This'} is no JSON: ${error.message}`
    }
  }
  return ''
}

// In pieces: a call takes only so many arguments.
function base64(bytes) {
  let text = ''
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192))
  return btoa(text)
}

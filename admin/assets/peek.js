// Messages of a channel, looked at without taking them.
import { ask, count, h, url } from './dom.js'
import { article, decoded, written } from './message.js'

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
    messages = told.messages.map(decoded)
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
  list.replaceChildren(...[warning && h('p', { className: 'error' }, warning), head, ...shown.map(([found, text]) => article(section.dataset.topic, found, text))].filter(Boolean))
}

// A file with a message a line, as the API tells them.
function save(chosen) {
  const lines = chosen.map(({ bytes, ...told }) => JSON.stringify(told))
  const href = URL.createObjectURL(new Blob([`${lines.join('\n')}\n`], { type: 'application/x-ndjson' }))
  const { topic, channel } = section.dataset
  h('a', { href, download: `${topic}.${channel}.ndjson` }).click()
  URL.revokeObjectURL(href)
}

// New messages of a topic as they come by, until somebody stops it. The newest are kept, on top.
import { base, count, h } from './dom.js'
import { article, decoded, written } from './message.js'

const KEPT = 100

const section = document.getElementById('tail')
const form = section?.querySelector('form')
const list = section?.querySelector('.passing')
const state = section?.querySelector('[role=status]')
const button = form?.querySelector('button')
let stop // Ends the stream that there is.

form?.addEventListener('submit', (event) => {
  event.preventDefault()
  if (stop) stop.abort()
  else watch()
})

async function watch() {
  stop = new AbortController()
  button.textContent = 'Stop'
  list.replaceChildren()
  let seen = 0
  try {
    state.textContent = 'Subscribing…'
    for await (const found of events({ topic: section.dataset.topic, percent: Number(form.elements.percent.value) })) {
      if (found) {
        seen += 1
        list.prepend(article(section.dataset.topic, decoded(found), written(decoded(found).bytes, form.elements.form.value)))
        if (list.children.length > KEPT) list.lastElementChild.remove()
      }
      state.textContent = `${count(seen)} seen${seen > KEPT ? `, the last ${KEPT} here` : ''}`
    }
    state.textContent += '; ended'
  } catch (error) {
    if (error.name === 'AbortError') state.textContent = `${count(seen)} seen; stopped`
    else state.replaceChildren(h('span', { className: 'error' }, error.message))
  }
  stop = undefined
  button.textContent = 'Start'
}

// The messages of the stream; first, and now and then, nothing, which says that it is there.
async function* events(wanted) {
  const headers = { 'x-requested-with': 'nsqadmin', 'content-type': 'application/json' }
  const answer = await fetch(`${base}/api/tail`, { method: 'POST', headers, body: JSON.stringify(wanted), signal: stop.signal })
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({}))).message ?? `status ${answer.status}`)
  yield null
  let rest = ''
  for await (const text of pieces(answer.body.pipeThrough(new TextDecoderStream()))) {
    const whole = (rest + text).split('\n\n')
    rest = whole.pop()
    for (const event of whole) yield event.startsWith('data: ') ? JSON.parse(event.slice(6)) : null
  }
}

// Not every browser walks through a stream by itself.
async function* pieces(stream) {
  const reader = stream.getReader()
  for (let { done, value } = await reader.read(); !done; { done, value } = await reader.read()) yield value
}

addEventListener('pagehide', () => stop?.abort())

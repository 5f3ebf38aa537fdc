// Many topics that are on no node, deleted at once: all are named before, and what came of each is told.
import { ask, dialog, h, place, url } from './dom.js'

document.querySelector('[data-clean]')?.addEventListener('click', () => {
  const topics = [...document.querySelectorAll('.inactive[data-topic]')].map((button) => button.dataset.topic)
  const typed = h('input', { autocomplete: 'off', spellcheck: false, required: true, inputMode: 'numeric' })
  const go = h('button', { className: 'primary danger', disabled: true }, 'Delete')
  typed.addEventListener('input', () => { go.disabled = typed.value.trim() !== String(topics.length) })
  const box = dialog(
    `Delete ${topics.length} topics?`,
    h(
      'form',
      { submit: (event) => { event.preventDefault(); clean(box, topics) } },
      h('p', {}, 'They are forgotten by every nsqlookupd. No node has them, so no message is lost.'),
      h('ul', { className: 'list many' }, ...topics.map((topic) => h('li', {}, topic))),
      h('label', {}, h('span', {}, 'Type ', h('code', {}, topics.length), ' to confirm'), typed),
      h('p', { className: 'buttons' }, h('button', { type: 'button', click: () => box.close() }, 'Cancel'), go),
    ),
  )
})

// One after the other; those that failed can be tried again.
async function clean(box, topics) {
  const lines = h('ul', { className: 'results many', role: 'status' })
  const title = h('h2', { id: 'dialog-title' }, `Deleting ${topics.length} topics…`)
  box.replaceChildren(title, lines)
  box.addEventListener('close', () => location.reload())
  const failed = []
  for (const topic of topics) {
    const message = await ask(url(`/api${place(topic)}`), { method: 'DELETE' }).then((told) => told.message, (error) => error.message)
    if (message) failed.push(topic)
    lines.append(h('li', {}, h('span', { className: `tag ${message ? 'bad' : 'good'}` }, message ? 'failed' : 'done'), ` ${topic} `, h('span', { className: 'error' }, message)))
  }
  title.textContent = failed.length ? `${failed.length} of ${topics.length} are left` : `${topics.length} topics are deleted`
  const done = h('button', { type: 'button', className: 'primary', click: () => box.close() }, 'Done')
  const again = failed.length ? h('button', { type: 'button', click: () => clean(box, failed) }, 'Try again') : null
  box.append(h('p', { className: 'buttons' }, again, done))
  done.focus()
}

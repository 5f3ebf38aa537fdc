// Actions: first what would happen, then a yes, then the result of each node.
import { ask, count, dialog, escaped, h, place, url } from './dom.js'

const VERBS = {
  pause: { title: 'Pause', does: 'Consumers get nothing more until it is unpaused. Nothing is lost.' },
  unpause: { title: 'Unpause', does: 'Messages go out again.' },
  empty: { title: 'Empty', typed: true },
  delete: { title: 'Delete', typed: true },
  tombstone: { title: 'Tombstone', typed: true },
}

document.addEventListener('click', ({ target }) => {
  const button = target.closest('[data-act]')
  if (!button) return
  const deed = { ...button.dataset }
  if (deed.act === 'create') create(deed.topic ?? '')
  else begin(deed)
})

const named = ({ topic, channel, node }) => [topic, channel].filter(Boolean).join(' / ') + (node ? ` on ${node}` : '')

// Asks what the deed would do, and lets it be confirmed.
async function begin(deed) {
  const verb = VERBS[deed.act]
  const text = h('div', { className: 'impact' }, 'Asking the nodes…')
  const name = deed.channel ?? deed.topic
  const typed = h('input', { autocomplete: 'off', spellcheck: false, required: true })
  const go = h('button', { className: verb.typed ? 'primary danger' : 'primary', disabled: true }, verb.title)
  const form = h(
    'form',
    { submit: (event) => { event.preventDefault(); perform(box, deed) } },
    text,
    verb.typed ? h('label', {}, h('span', {}, 'Type ', h('code', {}, name), ' to confirm'), typed) : null,
    h('p', { className: 'buttons' }, h('button', { type: 'button', click: () => box.close() }, 'Cancel'), go),
  )
  const box = dialog(`${verb.title} ${named(deed)}?`, form)
  if (verb.typed) typed.addEventListener('input', () => { go.disabled = typed.value !== name })
  try {
    const impact = await ask(url('/api/impact', { action: deed.act, topic: deed.topic, channel: deed.channel, node: deed.node }))
    text.replaceChildren(...told(deed, verb, impact))
  } catch (error) {
    text.replaceChildren(h('p', { className: 'error' }, `What it would do is not known: ${error.message}`))
  }
  if (!verb.typed) {
    go.disabled = false
    go.focus()
  }
}

function told(deed, verb, impact) {
  const lost = impact.lost_messages
  const loss = deed.act === 'pause' || deed.act === 'unpause'
    ? verb.does
    : lost === 0 ? 'No message is lost.' : `${count(lost)} ${lost === 1 ? 'message is' : 'messages are'} lost, for good.`
  const also = {
    delete: impact.client_count ? `${count(impact.client_count)} consumers are disconnected.` : null,
    tombstone: `Consumers of ${deed.topic} no longer find ${deed.node}, and ${deed.topic} is deleted there.`,
  }[deed.act]
  const rows = impact.nodes.map((node) =>
    h('tr', {}, h('th', { scope: 'row' }, node.node), ...[node.depth, node.in_flight_count, node.client_count].map((number) => h('td', { className: 'n' }, count(number)))),
  )
  const headings = ['Node', 'Unfinished', 'In flight', 'Consumers'].map((name, index) => h('th', { scope: 'col', className: index ? 'n' : '' }, name))
  return [
    h('p', { className: lost ? 'lost' : '' }, h('b', {}, loss)),
    also && h('p', {}, also),
    rows.length ? h('div', { className: 'table' }, h('table', {}, h('thead', {}, h('tr', {}, ...headings)), h('tbody', {}, ...rows))) : h('p', {}, 'It is on no node.'),
    impact.message && h('p', { className: 'error' }, impact.message),
  ].filter(Boolean)
}

function request({ act, topic, channel, node }) {
  if (act === 'tombstone') return [url(`/api/nodes/${escaped(node)}`), { method: 'DELETE', body: { topic } }]
  const path = url(`/api${place(topic, channel)}`)
  return act === 'delete' ? [path, { method: 'DELETE' }] : [path, { method: 'POST', body: { action: act } }]
}

// Does it, and shows what came of it, node by node. What has failed can be tried again.
async function perform(box, deed) {
  box.querySelectorAll('button, input').forEach((element) => { element.disabled = true })
  const lines = []
  let failed = false
  try {
    const { nodes = [], message } = await ask(...request(deed))
    failed = message !== ''
    for (const node of nodes) {
      const wrong = message.includes(node)
      lines.push(h('li', {}, h('span', { className: `tag ${wrong ? 'bad' : 'good'}` }, wrong ? 'failed' : 'done'), ` ${node}`))
    }
    if (message) lines.push(h('li', { className: 'error' }, message))
    else if (!nodes.length) lines.push(h('li', {}, h('span', { className: 'tag good' }, 'done'), ' on no node, and with every nsqlookupd'))
  } catch (error) {
    failed = true
    lines.push(h('li', { className: 'error' }, error.message))
  }
  const done = h('button', { className: 'primary', type: 'button', click: () => leave(deed) }, 'Done')
  const again = failed ? h('button', { type: 'button', click: () => perform(box, deed) }, 'Try again') : null
  box.replaceChildren(
    h('h2', { id: 'dialog-title' }, `${VERBS[deed.act].title} ${named(deed)}: ${failed ? 'not all done' : 'done'}`),
    h('ul', { className: 'results', role: 'status' }, ...lines),
    h('p', { className: 'buttons' }, ...[again, done].filter(Boolean)),
  )
  box.addEventListener('close', () => leave(deed))
  done.focus()
}

// To where what was done is to be seen: of what is deleted, one level up.
function leave({ act, topic, channel, node }) {
  const isHere = decodeURIComponent(location.pathname).endsWith(channel ? `/${topic}/${channel}` : `/topics/${topic}`)
  if (act === 'delete' && !node && isHere) location.assign(url(channel ? place(topic) : '/topics'))
  else location.reload()
}

function create(topic) {
  const fields = {
    topic: h('input', { value: topic, required: true, maxLength: 64, autocomplete: 'off', spellcheck: false }),
    channels: h('input', { required: topic !== '', autocomplete: 'off', spellcheck: false }),
  }
  const nodes = h('fieldset', {}, h('legend', {}, topic ? 'Also on these nodes' : 'At once on these nodes; on others as soon as somebody publishes'))
  const error = h('p', { className: 'error', role: 'alert' })
  const submit = async (event) => {
    event.preventDefault()
    const body = {
      topic: fields.topic.value.trim(),
      channels: fields.channels.value.split(/[\s,]+/).filter(Boolean),
      nodes: [...nodes.querySelectorAll(':checked')].map((box) => box.value),
    }
    try {
      const { message } = await ask(url('/api/topics'), { method: 'POST', body })
      if (message) error.textContent = message
      // Its channels may be on no node yet.
      else location.assign(url(place(body.topic)))
    } catch (refusal) {
      error.textContent = refusal.message
    }
  }
  const box = dialog(
    topic ? 'Create channels' : 'Create a topic',
    h(
      'form',
      { submit },
      h('label', {}, 'Topic', fields.topic),
      h('label', {}, topic ? 'Channels' : 'Channels, if any are wanted', fields.channels),
      nodes,
      error,
      h('p', { className: 'buttons' }, h('button', { type: 'button', click: () => box.close() }, 'Cancel'), h('button', { className: 'primary' }, 'Create')),
    ),
  )
  fields[topic ? 'channels' : 'topic'].focus()
  ask(url('/api/live', { view: 'nodes' })).then(({ nodes: known }) => {
    const up = Object.keys(known).filter((name) => !known[name].error)
    nodes.append(...up.map((name) => h('label', { className: 'inline' }, h('input', { type: 'checkbox', value: name }), name)))
  }, () => nodes.remove())
}

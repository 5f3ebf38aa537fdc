// The list of alerts in the overview, and the buttons that silence them.
import { ask, base, escaped, h, place, span, url } from './dom.js'

const list = document.getElementById('alerts')
const well = document.getElementById('well')
const mayAct = list?.querySelector('[data-silence]') !== null || document.querySelector('nav a[href$="/audit"]') !== null

// Shows the alerts of an event; those that stay keep their place, and the focus.
export function showAlerts({ alerts, time }) {
  const old = new Map([...list.children].map((item) => [item.dataset.key, item]))
  const items = alerts.map((alert) => {
    const item = old.get(alert.id) ?? make(alert)
    item.classList.toggle('silenced', alert.is_silenced)
    const link = item.querySelector('a')
    if (link.textContent !== alert.text) link.textContent = alert.text
    item.querySelector('[data-since]').textContent = span(time - alert.since)
    const button = item.querySelector('button')
    if (button) {
      button.textContent = alert.is_silenced ? 'Unsilence' : 'Silence 1 h'
      button.dataset.minutes = alert.is_silenced ? 0 : 60
    }
    return item
  })
  const same = items.length === list.children.length && items.every((item, index) => item === list.children[index])
  if (!same) list.replaceChildren(...items)
  well.hidden = alerts.length > 0
  const loud = alerts.filter((alert) => !alert.is_silenced).length
  document.title = `${loud ? `(${loud}) ` : ''}Overview · nsqadmin`
}

function make(alert) {
  const path = alert.topic ? place(alert.topic, alert.channel) : alert.node ? `/nodes/${escaped(alert.node)}` : '/'
  const item = h(
    'li',
    { className: `alert ${alert.severity}` },
    h('span', { className: `tag ${alert.severity === 'critical' ? 'bad' : 'warn'}` }, alert.severity),
    h('a', { href: base + path }, alert.text),
    h('span', { className: 'end' }, h('span', { className: 'quiet' }, 'for ', h('span', { 'data-since': alert.since }))),
  )
  item.dataset.key = alert.id
  if (mayAct) item.lastChild.append(h('button', { type: 'button', className: 'small', 'data-silence': alert.id }))
  return item
}

list?.addEventListener('click', async ({ target }) => {
  const button = target.closest('[data-silence]')
  if (!button) return
  const minutes = Number(button.dataset.minutes)
  try {
    await ask(url('/api/alerts/silence'), { method: 'POST', body: { id: button.dataset.silence, minutes } })
    button.closest('.alert').classList.toggle('silenced', minutes > 0)
    button.dataset.minutes = minutes > 0 ? 0 : 60
    button.textContent = minutes > 0 ? 'Unsilence' : 'Silence 1 h'
  } catch (error) {
    button.textContent = error.message
  }
})

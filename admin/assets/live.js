// Figures that move: each part of a page that is live has a stream of its own, closed while nobody looks.
import { base, dig, write } from './dom.js'
import { extend } from './spark.js'
import { tables } from './table.js'
import { showAlerts } from './alerts.js'

const status = document.getElementById('stream')
const lost = new Set()
let timeSeen

class Stream {
  constructor(part) {
    this.part = part
    const within = (selector) => [...part.querySelectorAll(selector)].filter((element) => element.closest('[data-live]') === part)
    this.cells = within('[data-f]').filter((cell) => !cell.closest('table, template'))
    this.sparks = within('.figure .spark')
    this.tables = within('table[data-rows]')
    this.open()
  }

  open() {
    this.source ??= new EventSource(`${base}/api/live?${this.part.dataset.live}`)
    this.source.onmessage = ({ data }) => {
      lost.delete(this)
      this.show(shaped(JSON.parse(data)))
    }
    this.source.onerror = () => {
      lost.add(this)
      tell()
      // A browser gives up after a refusal; this does not.
      if (this.source.readyState === EventSource.CLOSED) {
        this.close()
        setTimeout(() => document.hidden || this.open(), 5000)
      }
    }
  }

  close() {
    this.source?.close()
    this.source = undefined
  }

  show(data) {
    timeSeen = data.time
    tell()
    for (const cell of this.cells) {
      const value = dig(data, cell.dataset.f)
      if (value !== undefined) write(cell, value, cell.dataset.as)
    }
    for (const svg of this.sparks) {
      const figures = data.figures ?? data.node
      if (figures) extend(svg, figures[svg.dataset.spark], data.time)
    }
    for (const element of this.tables) this.fill(tables.get(element), element.dataset, data)
    if (data.alerts) showAlerts(data)
  }

  fill(table, { rows, keep }, data) {
    const list = dig(data, rows)
    if (!list) return
    const whole = data.is_whole ?? true
    // Some topics are on no node: nobody sees them there.
    table.put(list, whole && keep === undefined)
    table.drop(data.gone ?? [])
    for (const { tr, data: row } of table.rows.values()) {
      if (row) tr.querySelectorAll('.spark').forEach((svg) => extend(svg, row[svg.dataset.spark], data.time))
    }
    table.show()
    const none = table.head?.nextElementSibling
    if (none?.matches('[data-empty]')) none.hidden = table.rows.size > 0
  }
}

// Makes rows of what events tell more shortly.
function shaped(data) {
  if (data.columns) data.rows = data.rows.map((row) => Object.fromEntries(data.columns.map((name, index) => [name, row[index]])))
  if (data.topic && data.channels) {
    data.topic.channels = (data.topic.channels ?? []).map((channel) => ({ ...channel, ...data.channels[channel.channel_name] }))
  }
  if (data.channel?.clients) addLoads(data.channel.clients, data.time)
  if (data.node_count !== undefined) data.up_node_count = data.node_count - data.missing_node_count
  if (data.node) data.node = stated(data.node, data.time)
  if (data.nodes) data.nodes = Object.entries(data.nodes).map(([name, node]) => ({ name, ...stated(node, data.time) }))
  return data
}

// What consumers had finished when they were seen last.
let finished = new Map()

// Adds how much of what it is ready for each consumer has in flight, and how fast it finishes.
function addLoads(clients, time) {
  const seen = new Map()
  for (const client of clients) {
    const key = `${client.node} ${client.remote_address} ${client.connect_ts}`
    const before = finished.get(key)
    const isNewer = before && time > before.time
    client.load = Math.min(1, client.in_flight_count / Math.max(1, client.ready_count))
    client.finish_rate = isNewer ? Math.max(0, (client.finish_count - before.count) / (time - before.time)) : before?.rate
    seen.set(key, before && !isNewer ? before : { time, count: client.finish_count, rate: client.finish_rate })
  }
  finished = seen
}

function stated(node, time) {
  const state = node.error ? 'down' : ['OK', ''].includes(node.health) ? 'up' : 'unwell'
  const left = node.message_rate + node.depth + node.in_flight_count + node.deferred_count
  const drained = node.error || left > 0 ? 'in use' : 'drained'
  return { ...node, state, drained, uptime: node.start_time ? time - node.start_time : null }
}

// Says whether figures move. Only a change is told, so that screen readers stay quiet.
function tell() {
  const since = timeSeen && new Date(timeSeen * 1000).toLocaleTimeString()
  const text = lost.size ? `not live${since ? ` since ${since}` : ''}` : 'live'
  if (status.textContent !== text) status.textContent = text
  status.classList.toggle('lost', lost.size > 0)
}

const streams = [...document.querySelectorAll('[data-live]')].map((part) => new Stream(part))
document.addEventListener('visibilitychange', () => streams.forEach((stream) => (document.hidden ? stream.close() : stream.open())))
addEventListener('pagehide', () => streams.forEach((stream) => stream.close()))
addEventListener('pageshow', ({ persisted }) => persisted && streams.forEach((stream) => stream.open()))

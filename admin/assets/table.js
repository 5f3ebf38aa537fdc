// Tables: sorted by a click on a heading, filtered as one types, both kept in the URL; fed by live.js.
//
// Columns say what they are in their headings: `data-f`, where a row's data has it, and `data-as`, how it is written. A new row
// is made from the template beside the table. Of very many rows only the first are put into the page.
import { dig, escaped, rank, url, write } from './dom.js'

const ROWS_MAX = 1000

export const tables = new Map()

class Table {
  constructor(table) {
    this.body = table.tBodies[0]
    this.region = table.closest('.table')
    this.template = this.region.querySelector('template')
    this.keys = (table.dataset.key ?? '').split(' ')
    this.limit = Number(table.dataset.limit ?? ROWS_MAX)
    this.prefix = table.dataset.name ? `${table.dataset.name}.` : ''
    this.columns = [...table.tHead.rows[0].cells].map((heading) => ({ heading, f: heading.dataset.f, as: heading.dataset.as }))
    this.rows = new Map([...this.body.rows].map((tr, index) => [tr.dataset.key ?? index, this.adopt(tr, index)]))
    this.made = this.rows.size
    const query = new URLSearchParams(location.search)
    this.order = query.get(`${this.prefix}sort`) ?? table.dataset.sort ?? ''
    this.usual = table.dataset.sort ?? ''
    this.text = query.get(`${this.prefix}filter`) ?? ''
    const head = this.region.previousElementSibling
    this.head = head?.classList.contains('head') ? head : this.region.parentElement.querySelector('.head')
    this.number = this.head?.querySelector('[data-count]')
    this.columns.filter(({ f }) => f).forEach((column) => this.makeSortable(column))
    this.listen(this.head?.querySelector('input.js[type=search]'))
    this.more = document.createElement('p')
    this.more.className = 'more quiet'
    this.wider = document.createElement('button')
    this.wider.type = 'button'
    this.wider.className = 'small'
    this.wider.textContent = 'Show more'
    this.wider.addEventListener('click', () => {
      this.limit += ROWS_MAX
      this.show()
    })
    this.region.after(this.more)
    this.show()
  }

  adopt(tr, index) {
    const values = this.columns.map(({ as }, column) => {
      const cell = tr.cells[column]
      const text = cell?.textContent.trim() ?? ''
      if (as === 'verdict') return rank(text)
      if (as === undefined || as === 'state') return text.toLowerCase()
      return Number(cell.dataset.v ?? text.replaceAll(',', '')) || 0
    })
    return { tr, values, index, data: null }
  }

  makeSortable(column) {
    const button = document.createElement('button')
    button.type = 'button'
    button.append(...column.heading.childNodes)
    button.addEventListener('click', () => {
      const descends = column.as === undefined || column.as === 'verdict' || column.as === 'state' ? '' : '-'
      const first = descends + column.f
      const second = descends ? column.f : `-${column.f}`
      this.order = this.order === first ? second : first
      this.remember('sort', this.order, this.usual)
      this.show()
    })
    column.heading.append(button)
  }

  listen(input) {
    if (!input) return
    input.value = this.text
    input.addEventListener('input', () => {
      this.text = input.value
      this.remember('filter', this.text, '')
      this.show()
    })
  }

  remember(name, value, usual) {
    const here = new URL(location.href)
    if (value === usual) here.searchParams.delete(this.prefix + name)
    else here.searchParams.set(this.prefix + name, value)
    history.replaceState(null, '', here)
  }

  // Takes in rows as they are now; those which are not there any more go if this is `whole`.
  put(list, whole) {
    const seen = new Set()
    for (const data of list) {
      const key = this.keys.map((name) => data[name]).join(' ')
      seen.add(key)
      if (!this.rows.has(key)) {
        if (!this.template) continue
        this.rows.set(key, { tr: this.make(data, key), values: [], index: this.made++ })
      }
      this.update(this.rows.get(key), data)
    }
    if (whole) {
      for (const key of [...this.rows.keys()]) if (!seen.has(key)) this.rows.delete(key)
    }
  }

  drop(keys) {
    keys.forEach((key) => this.rows.delete(key))
  }

  update(row, data) {
    row.data = data
    this.columns.forEach(({ f, as }, index) => {
      const value = f && dig(data, f)
      if (value === undefined) return
      const cell = row.tr.cells[index]
      row.values[index] = as === 'verdict' ? rank(value) : typeof value === 'string' ? value.toLowerCase() : value
      write(cell.firstElementChild?.matches('a, .tag') ? cell.firstElementChild : cell, value, as)
    })
  }

  make(data, key) {
    const tr = this.template.content.cloneNode(true).firstElementChild
    tr.dataset.key = key
    for (const element of tr.querySelectorAll('[data-if]')) if (!data[element.dataset.if]) element.remove()
    for (const element of tr.querySelectorAll('[data-f]')) element.textContent = dig(data, element.dataset.f) ?? ''
    for (const link of tr.querySelectorAll('[data-href]')) {
      link.href = url(link.dataset.href.replace(/\{(\w+)\}/g, (_, name) => escaped(data[name])))
    }
    return tr
  }

  // Puts the rows that are wanted into the page, in order; what is right already is not touched.
  show() {
    const [name, sign] = this.order.startsWith('-') ? [this.order.slice(1), -1] : [this.order, 1]
    const column = this.columns.findIndex(({ f }) => f === name && name !== '')
    this.columns.forEach(({ heading, f }, index) => {
      if (!f) return
      if (index === column) heading.setAttribute('aria-sort', sign < 0 ? 'descending' : 'ascending')
      else heading.removeAttribute('aria-sort')
    })
    const words = this.text.toLowerCase().split(/\s+/).filter(Boolean)
    const wanted = [...this.rows.values()].filter(({ tr }) => {
      const text = words.length && tr.textContent.toLowerCase()
      return words.every((word) => text.includes(word))
    })
    if (column >= 0) {
      const depth = this.columns.findIndex(({ f }) => f === 'depth')
      wanted.sort((a, b) => sign * compare(a.values[column], b.values[column]) || compare(b.values[depth], a.values[depth]) || a.index - b.index)
    }
    const shown = wanted.slice(0, this.limit).map(({ tr }) => tr)
    this.place(shown)
    this.region.hidden = this.rows.size === 0
    if (this.number) this.number.textContent = words.length ? `${wanted.length} of ${this.rows.size}` : String(this.rows.size)
    const rest = this.limit >= ROWS_MAX ? wanted.length - shown.length : 0
    this.more.replaceChildren(...(rest ? [`${rest} more: filter to find them. `, this.wider] : words.length && !wanted.length ? ['No row has these words.'] : []))
  }

  place(shown) {
    let at = this.body.firstElementChild
    for (const tr of shown) {
      if (tr === at) at = at.nextElementSibling
      else this.body.insertBefore(tr, at)
    }
    while (at) {
      const next = at.nextElementSibling
      at.remove()
      at = next
    }
  }
}

const compare = (a = 0, b = 0) => (typeof a === 'string' || typeof b === 'string' ? String(a).localeCompare(String(b), 'en', { numeric: true }) : a - b)

for (const table of document.querySelectorAll('.table > table')) tables.set(table, new Table(table))

// Figures move while one looks, and tables keep what was asked of them.
import test from 'node:test'
import assert from 'node:assert/strict'
import { NSQDS, until, visit } from './site.js'

const number = async (cell) => Number((await cell.innerText()).replaceAll(',', ''))

for (const [path, selector] of [
  ['/', '.figure [data-f="figures.depth"]'],
  ['/topics', 'tr[data-key="orders"] td:last-child'],
  ['/topics/orders', '[data-f="topic.message_count"]'],
  ['/topics/orders/billing', 'table[data-rows="channel.clients"] tbody tr:first-child td:nth-child(9)'],
  [`/nodes/${new URL(NSQDS[0]).host}`, '[data-f="node.message_count"]'],
  ['/counter', '.number'],
]) {
  test(`${path} moves without a reload`, () =>
    visit(path, async (page) => {
      await page.evaluate(() => { globalThis.isSamePage = true })
      const cell = page.locator(selector)
      const before = await number(cell)
      await until('the figure moves', async () => (await number(cell)) !== before)
      assert.equal(await page.locator('#stream').innerText(), 'live')
      assert.ok(await page.evaluate(() => globalThis.isSamePage), 'it was reloaded')
    }))
}

test('a topic that comes gets a row, and one that goes loses it', () =>
  visit('/topics', async (page) => {
    await fetch(`${NSQDS[0]}/topic/create?topic=comes.and.goes`, { method: 'POST' })
    const row = page.locator('tr[data-key="comes.and.goes"]')
    await row.waitFor()
    assert.equal(await row.locator('a').getAttribute('href'), '/topics/comes.and.goes')
    await fetch(`${NSQDS[0]}/topic/delete?topic=comes.and.goes`, { method: 'POST' })
    await row.waitFor({ state: 'detached' })
  }))

test('a stream that ends is told, and so is its return', () =>
  visit('/', async (page) => {
    await page.locator('#stream', { hasText: /^live$/ }).waitFor()
    await page.route('**/api/live**', (route) => route.fulfill({ contentType: 'text/event-stream', body: '' }))
    await page.reload()
    await page.locator('#stream', { hasText: 'not live' }).waitFor()
    await page.unroute('**/api/live**')
    await page.locator('#stream', { hasText: /^live$/ }).waitFor()
  }))

test('order and filter are kept in the URL', () =>
  visit('/topics', async (page) => {
    const names = () => page.locator('tbody th').allInnerTexts()
    const heading = page.getByRole('columnheader', { name: 'Waiting' })
    await heading.getByRole('button').click()
    assert.equal(await heading.getAttribute('aria-sort'), 'descending')
    assert.equal((await names())[0], 'orders')
    await page.getByLabel('Filter topics').fill('cli')
    assert.deepEqual(await names(), ['clicks'])
    await page.reload()
    assert.deepEqual(await names(), ['clicks'])
    assert.equal(await heading.getAttribute('aria-sort'), 'descending')
    assert.equal(new URL(page.url()).search, '?sort=-depth&filter=cli')
  }))

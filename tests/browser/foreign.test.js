// A page of another site, in the browser of somebody who may act: nothing that it sends changes anything.
import test from 'node:test'
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { ADMIN, GATED, logIn, visit } from './site.js'

// Serves one page at another origin while `use` runs; the page is told what to attack.
async function foreign(use) {
  const page = `<!doctype html><title>elsewhere</title><iframe name="hole"></iframe>
    <form method="post" target="hole" enctype="text/plain" action=""><input name='{"topic":"foreign.form","x":"' value='"}'></form>`
  const server = createServer((request, response) => response.setHeader('content-type', 'text/html').end(page))
  await new Promise((listening) => server.listen(0, '127.0.0.1', listening))
  try {
    // Another name of this host is another site.
    await use(`http://localhost:${server.address().port}`)
  } finally {
    server.close()
  }
}

// What a page of another site can make a browser send; statuses of what it gets to know.
const attack = (page, site) =>
  page.evaluate(async (site) => {
    const form = document.querySelector('form')
    form.action = `${site}/api/topics`
    form.submit()
    const send = (path, options) => fetch(site + path, { credentials: 'include', ...options }).then((answer) => answer.status || answer.type, () => 'refused')
    const body = JSON.stringify({ topic: 'foreign.fetch' })
    const image = new Image()
    image.src = `${site}/api/topics/orders?action=empty`
    return [
      await send('/api/topics', { method: 'POST', mode: 'no-cors', body }),
      await send('/api/topics', { method: 'POST', body, headers: { 'x-requested-with': 'nsqadmin' } }),
      await send('/api/topics/orders', { method: 'DELETE' }),
      await send('/api/topics'),
    ]
  }, site)

async function isUnchanged() {
  const { topics } = await (await fetch(`${ADMIN}/api/topics`)).json()
  assert.ok(topics.includes('orders'))
  assert.ok(!topics.some((name) => name.startsWith('foreign.')), topics.join(' '))
}

test('no form, no script and no image of another site changes or reads anything', () =>
  foreign((elsewhere) =>
    visit('/', async (page) => {
      const other = await page.context().newPage()
      await other.goto(elsewhere)
      const [blind, ...refused] = await attack(other, ADMIN)
      assert.equal(blind, 'opaque')
      assert.deepEqual(refused, ['refused', 'refused', 'refused'])
      await other.waitForTimeout(500)
      await isUnchanged()
    })))

test('a login is of no use to another site', () =>
  foreign((elsewhere) =>
    visit('/login', async (page) => {
      await logIn(page, 'root')
      await page.waitForURL(GATED)
      const other = await page.context().newPage()
      await other.goto(elsewhere)
      await attack(other, GATED)
      await other.waitForTimeout(500)
      await isUnchanged()
    }, { site: GATED })))

test('no site puts a page of ours into a frame', () =>
  foreign((elsewhere) =>
    visit('/', async (page) => {
      const other = await page.context().newPage()
      await other.goto(elsewhere)
      await other.evaluate((site) => { document.querySelector('iframe').src = site }, ADMIN)
      await other.waitForTimeout(1000)
      const frame = other.frames().find((frame) => frame.parentFrame())
      assert.equal(await frame.locator('.brand').count(), 0)
    })))

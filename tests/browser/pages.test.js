// Every page opens whole: no fault, no barrier, nothing wider than a phone. What they look like is kept as screenshots.
import test from 'node:test'
import assert from 'node:assert/strict'
import { NARROW, NSQDS, WIDE, screenshot, sideways, violations, visit } from './site.js'

const node = new URL(NSQDS[0]).host
const PAGES = {
  overview: '/',
  topics: '/topics',
  topic: '/topics/orders',
  channel: '/topics/orders/billing',
  'channel-paused': '/topics/clicks/paused',
  'channel-odd': '/topics/strange.names/odd_client',
  nodes: '/nodes',
  node: `/nodes/${node}`,
  consumers: '/consumers',
  lookup: '/lookup',
  counter: '/counter',
  audit: '/audit',
  login: '/login',
}
const LOOKS = [
  { size: WIDE, scheme: 'light', suffix: '' },
  { size: WIDE, scheme: 'dark', suffix: '-dark' },
  { size: NARROW, scheme: 'light', suffix: '-narrow' },
]

for (const [name, path] of Object.entries(PAGES)) {
  for (const look of LOOKS) {
    test(`${name}${look.suffix}`, () =>
      visit(
        path,
        async (page, answer) => {
          assert.equal(answer.status(), 200)
          assert.notEqual(await page.locator('h1').innerText(), '')
          assert.ok((await sideways(page)) <= 0, 'the page scrolls sideways')
          await screenshot(page, name + look.suffix)
          assert.deepEqual(await violations(page), [])
        },
        look,
      ))
  }
}

for (const path of ['/topics/nobody-has-this', '/topics/orders/nobody', '/nodes/nowhere:1', '/no/such/page', '/topics/%00%3Cscript%3E']) {
  test(`${path} is refused in words`, () =>
    // The browser itself tells the console of an answer that is not 200, so this page is watched by hand.
    visit('/', async (page) => {
      const answer = await page.context().request.get(new URL(path, page.url()).href, { headers: { accept: 'text/html' } })
      assert.ok([400, 404].includes(answer.status()), `status ${answer.status()}`)
      assert.doesNotMatch(await answer.text(), /<script>/)
    }))
}

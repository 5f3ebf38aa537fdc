// Names and messages that try to be markup never are; who may only read finds nothing to press.
import test from 'node:test'
import assert from 'node:assert/strict'
import { NSQDS, visit } from './site.js'

for (const path of ['/topics/strange.names/odd_client', '/consumers', `/nodes/${new URL(NSQDS[0]).host}`, '/consumers?q=%3Cimg%20src%3Dx%20onerror%3Dalert(3)%3E']) {
  test(`${path} shows odd names as text`, () =>
    visit(path, async (page) => {
      // Rows that a script makes are shown by then too.
      await page.waitForTimeout(2500)
      assert.equal(await page.locator('main img, main script').count(), 0)
    }))
}

test('a message that is markup is shown as text', async () => {
  const [nsqd] = NSQDS
  const body = '</pre><img src=x onerror=alert(4)><script>alert(5)</script>'
  for (const path of ['/topic/create?topic=hostile', '/channel/create?topic=hostile&channel=c']) await fetch(nsqd + path, { method: 'POST' })
  await fetch(`${nsqd}/pub?topic=hostile`, { method: 'POST', body })
  await visit('/topics/hostile/c', async (page) => {
    await page.getByRole('button', { name: 'Peek' }).click()
    await page.locator('.message').waitFor()
    assert.equal(await page.locator('.message pre').innerText(), body)
    assert.equal(await page.locator('main img').count(), 0)
  })
})

test('an action that the API refuses is told in its words', () =>
  visit('/topics/orders/billing', async (page) => {
    await page.route('**/api/impact**', (route) =>
      route.fulfill({ json: { lost_messages: 0, client_count: 0, nodes: [], message: '<img src=x onerror=alert(6)>' } }))
    await page.getByRole('button', { name: 'Pause…' }).click()
    await page.getByRole('dialog').getByText('<img src=x').waitFor()
    assert.equal(await page.locator('dialog img').count(), 0)
  }))

test('who may only read finds no buttons', () =>
  visit(
    '/topics/orders/billing',
    async (page) => {
      await page.locator('#stream', { hasText: 'live' }).waitFor()
      assert.equal(await page.locator('[data-act], [data-publish], #peek').count(), 0)
      for (const path of ['/', '/topics', '/topics/orders', '/lookup']) {
        await page.goto(new URL(path, page.url()).href)
        assert.equal(await page.locator('[data-act], [data-publish], [data-silence], nav a[href="/audit"]').count(), 0, path)
      }
    },
    { site: process.env.READER },
  ))

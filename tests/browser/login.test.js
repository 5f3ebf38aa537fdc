// Below a base path, behind a password: who gets in, what each role finds, and the past that is kept.
import test from 'node:test'
import assert from 'node:assert/strict'
import { GATED, logIn, screenshot, until, violations, visit } from './site.js'

const asUser = (user, path, use) =>
  visit('/login', async (page) => {
    await logIn(page, user)
    await page.waitForURL(GATED)
    await page.goto(GATED + path)
    await use(page)
  }, { site: GATED })

test('who is not logged in is led to the form, and a wrong password leads nowhere', async () => {
  for (const path of ['/', '/topics/orders', '/audit']) {
    await visit(path, (page) => assert.equal(page.url(), `${GATED}/login`), { site: GATED })
  }
  const answer = await fetch(`${GATED}/api/topics`)
  assert.equal(answer.status, 401)
  await visit('/login', async (page) => {
    assert.deepEqual(await violations(page), [])
    // Asked for beside the page: the browser tells the console of every refusal.
    const refused = await page.context().request.post(`${GATED}/api/login`, { data: { user: 'root', password: 'wrong' } })
    assert.deepEqual([refused.status(), (await refused.json()).message], [401, 'WRONG_PASSWORD'])
  }, { site: GATED })
})

test('an admin logs in, acts, and out again', () =>
  asUser('root', '/topics/orders', async (page) => {
    await page.getByRole('button', { name: 'Pause…' }).waitFor()
    const [cookie] = await page.context().cookies()
    assert.deepEqual([cookie.httpOnly, cookie.sameSite, cookie.path], [true, 'Strict', '/nsq/admin'])
    await page.getByRole('link', { name: 'Audit' }).click()
    await page.waitForURL(`${GATED}/audit`)
    await page.getByRole('row', { name: /login/ }).first().waitFor()
    await page.getByRole('button', { name: 'Log out' }).click()
    await page.waitForURL(`${GATED}/login`)
    await page.goto(`${GATED}/topics`)
    assert.equal(page.url(), `${GATED}/login`)
  }))

test('who may only read finds nothing to press, and the API refuses too', () =>
  asUser('viewer', '/topics/orders/billing', async (page) => {
    await page.locator('#stream', { hasText: 'live' }).waitFor()
    assert.equal(await page.locator('[data-act], [data-publish], #peek, nav a[href$="/audit"]').count(), 0)
    const refused = await page.context().request.post(`${GATED}/api/topics/orders`, { data: { action: 'pause' }, headers: { 'x-requested-with': 'x' } })
    assert.equal(refused.status(), 403)
    const withoutProof = await page.context().request.post(`${GATED}/api/topics/orders`, { data: { action: 'pause' } })
    assert.equal(withoutProof.status(), 403)
  }))

test('below a base path links, streams, the jump and keys lead to the right places', () =>
  asUser('root', '/', async (page) => {
    await page.locator('#stream', { hasText: /^live$/ }).waitFor()
    await page.getByRole('link', { name: 'orders', exact: true }).click()
    await page.waitForURL(`${GATED}/topics/orders`)
    await page.getByRole('link', { name: 'billing', exact: true }).click()
    await page.waitForURL(`${GATED}/topics/orders/billing`)
    await page.keyboard.press('/')
    await page.keyboard.type('clicks')
    await page.getByRole('option').first().waitFor()
    await page.keyboard.press('Enter')
    await page.waitForURL(`${GATED}/topics/clicks`)
    await page.keyboard.press('g')
    await page.keyboard.press('n')
    await page.waitForURL(`${GATED}/nodes`)
  }))

test('the last day is shown, and goes on', () =>
  asUser('root', '/topics/orders', async (page) => {
    await page.getByRole('link', { name: '24 h' }).click()
    await page.waitForURL('**/topics/orders?range=24h')
    assert.equal(await page.getByRole('navigation', { name: 'Time range' }).locator('[aria-current]').innerText(), '24 h')
    const spark = page.locator('.figure .spark[data-spark="depth"]')
    const points = async () => (await spark.getAttribute('data-points')).split(' ').filter((point) => point !== '-')
    await until('there are points of the day', async () => {
      await page.reload()
      return (await points()).length >= 2
    })
    assert.equal(await spark.getAttribute('data-step'), '3')
    const history = await (await page.context().request.get(`${GATED}/api/history?topic=orders&range=24h`)).json()
    assert.equal(history.step_seconds, 3)
    const before = await spark.locator('.line').getAttribute('d')
    await until('the line is drawn on', async () => (await spark.locator('.line').getAttribute('d')) !== before)
    await screenshot(page, 'topic-24h')
  }))

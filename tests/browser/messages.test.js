// Messages are looked at without being taken, and published.
import test from 'node:test'
import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { NSQDS, channels, screenshot, until, visit } from './site.js'

test('a waiting message is shown as JSON, text and hex, and waits on', () =>
  visit('/topics/clicks/paused', async (page) => {
    const before = await channels('clicks', 'paused')
    await page.getByLabel('Count').fill('2')
    await page.getByRole('button', { name: 'Peek' }).click()
    const messages = page.locator('.message')
    await messages.first().waitFor()
    assert.equal(await messages.count(), 2 * NSQDS.length)
    assert.match(await messages.first().innerText(), /0 attempts · 7 B/)
    assert.equal(await messages.first().locator('pre').innerText(), 'click 0')
    await page.getByLabel('Show as').selectOption('hex')
    assert.match(await messages.first().locator('pre').innerText(), /^000000 {2}63 6c 69 63 6b 20 30 .* click 0$/)
    await screenshot(page, 'peek')
    assert.deepEqual((await channels('clicks', 'paused')).map(({ depth, message_count }) => [depth, message_count]),
      before.map(({ depth, message_count }) => [depth, message_count]))
  }))

test('JSON is laid out, and markup in it is text', () =>
  visit('/topics/orders/archive', async (page) => {
    await page.getByRole('button', { name: 'Peek' }).click()
    const body = page.locator('.message pre').first()
    await body.waitFor()
    assert.match(await body.innerText(), /^\{\n {2}"order": 1,\n/)
    assert.match(await body.innerText(), /"note": "<b>hot<\/b>"/)
    assert.equal(await page.locator('.message b').count(), 0)
  }))

test('what is shown is filtered, downloaded and published again', async () => {
  const [nsqd] = NSQDS
  for (const path of ['/topic/create?topic=again', '/channel/create?topic=again&channel=c']) await fetch(nsqd + path, { method: 'POST' })
  await fetch(`${nsqd}/mpub?topic=again`, { method: 'POST', body: 'red apple\ngreen pear' })
  await until('they wait', async () => (await channels('again', 'c'))[0]?.depth === 2)
  await visit('/topics/again/c', async (page) => {
    await page.getByRole('button', { name: 'Peek' }).click()
    const messages = page.locator('.message')
    await messages.nth(1).waitFor()
    await page.getByLabel('Filter', { exact: true }).fill('pear green')
    assert.equal(await messages.count(), 1)
    const [file] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()])
    const saved = JSON.parse(await readFile(await file.path(), 'utf8'))
    assert.deepEqual([file.suggestedFilename(), atob(saved.body)], ['again.c.ndjson', 'green pear'])
    await messages.getByRole('button', { name: 'Publish again…' }).click()
    const dialog = page.getByRole('dialog')
    assert.equal(await dialog.getByLabel('Message', { exact: true }).inputValue(), 'green pear')
    await dialog.getByRole('button', { name: 'Publish' }).click()
    await dialog.getByText('Published on').waitFor()
    await until('it waits twice', async () => (await channels('again', 'c')).reduce((sum, found) => sum + (found?.depth ?? 0), 0) === 3)
  })
})

test('a deferred message is shown with the time when it is due', async () => {
  const [nsqd] = NSQDS
  for (const path of ['/topic/create?topic=later', '/channel/create?topic=later&channel=c']) await fetch(nsqd + path, { method: 'POST' })
  await fetch(`${nsqd}/pub?topic=later&defer=600000`, { method: 'POST', body: 'much later' })
  await until('it is deferred', async () => (await channels('later', 'c'))[0]?.deferred_count === 1)
  await visit('/topics/later/c', async (page) => {
    await page.getByLabel('Which').selectOption('deferred')
    await page.getByRole('button', { name: 'Peek' }).click()
    await page.locator('.message', { hasText: 'much later' }).waitFor()
    assert.match(await page.locator('.message header').innerText(), /due in (9m|10m) \d+s/)
  })
})

test('a message is published to the node that was chosen', () =>
  visit('/topics/clicks', async (page) => {
    const before = await channels('clicks', 'paused')
    await page.getByRole('button', { name: 'Publish…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('check that it is JSON').check()
    await dialog.getByLabel('Message', { exact: true }).fill('{"from": ')
    await dialog.getByText('This is no JSON').waitFor()
    assert.ok(await dialog.getByRole('button', { name: 'Publish' }).isDisabled())
    await dialog.getByLabel('Message', { exact: true }).fill('{"from": "a page"}')
    const node = new URL(NSQDS[1]).host
    await dialog.locator('option', { hasText: node }).waitFor({ state: 'attached' })
    await dialog.getByLabel('Node').selectOption(node)
    await screenshot(page, 'dialog-publish')
    await dialog.getByRole('button', { name: 'Publish' }).click()
    await dialog.getByText(`Published on ${node}`).waitFor()
    await until('it waits there', async () => (await channels('clicks', 'paused'))[1].depth === before[1].depth + 1)
  }))

test('a message for each line, and from a file', () =>
  visit('/topics/clicks', async (page) => {
    const depth = async () => (await channels('clicks', 'paused')).reduce((sum, channel) => sum + channel.depth, 0)
    const before = await depth()
    await page.getByRole('button', { name: 'Publish…' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('a message for each line').check()
    await dialog.getByLabel('Message', { exact: true }).fill('a\nb\nc')
    await dialog.getByRole('button', { name: 'Publish' }).click()
    await until('three more wait', async () => (await depth()) === before + 3)
    await dialog.getByLabel('a message for each line').uncheck()
    await dialog.getByLabel('or a file').setInputFiles({ name: 'body', mimeType: 'text/plain', buffer: Buffer.from([0, 255, 10]) })
    await dialog.getByText('3 B of').waitFor()
    await dialog.getByRole('button', { name: 'Publish' }).click()
    await until('the file waits', async () => (await depth()) === before + 4)
  }))

test('messages are shown as they come, until that is stopped', () =>
  visit('/topics/orders', async (page) => {
    const channelNames = async () => {
      const stats = await (await fetch(`${NSQDS[0]}/stats?format=json&topic=orders`)).json()
      return stats.topics[0].channels.map(({ channel_name }) => channel_name)
    }
    const tail = page.getByRole('region', { name: 'Messages as they come' })
    await tail.getByRole('button', { name: 'Start' }).click()
    await tail.locator('.message').nth(5).waitFor()
    assert.match(await tail.locator('.message pre').first().innerText(), /"order": \d+/)
    assert.ok((await channelNames()).some((name) => name.startsWith('nsqadmin-tail-')))
    await screenshot(page, 'tail')
    await tail.getByRole('button', { name: 'Stop' }).click()
    await tail.getByText('stopped').waitFor()
    await until('its channel has gone', async () => !(await channelNames()).some((name) => name.startsWith('nsqadmin-tail-')))
  }))

// What is done on a page is done in the cluster: nsqd itself is asked.
import test from 'node:test'
import assert from 'node:assert/strict'
import { ADMIN, LOOKUPDS, NSQDS, channels, screenshot, until, visit } from './site.js'

const act = (path) => Promise.all(NSQDS.map((nsqd) => fetch(nsqd + path, { method: 'POST' })))

// A channel on every node with three messages, none of which are others' business.
async function prepare(topic) {
  await act(`/topic/create?topic=${topic}`)
  await act(`/channel/create?topic=${topic}&channel=c`)
  await Promise.all(NSQDS.map((nsqd) => fetch(`${nsqd}/mpub?topic=${topic}`, { method: 'POST', body: 'one\ntwo\nthree' })))
  await until('the topic is known', async () => (await fetch(`${ADMIN}/topics/${topic}/c`)).ok)
}

const all = async (topic, holds) => (await channels(topic, 'c')).every(holds)

// Presses a button of the page, and confirms what it asks.
async function confirm(page, name, typed) {
  await page.getByRole('button', { name: `${name}…`, exact: true }).click()
  const dialog = page.getByRole('dialog')
  const go = dialog.getByRole('button', { name, exact: true })
  if (typed) {
    await dialog.getByRole('row').nth(3).waitFor()
    assert.ok(await go.isDisabled(), 'nothing is typed yet')
    await dialog.getByRole('textbox').fill(`${typed}x`)
    assert.ok(await go.isDisabled(), 'another name is typed')
    await dialog.getByRole('textbox').fill(typed)
  }
  return { dialog, go }
}

async function done(dialog) {
  await dialog.getByRole('heading', { name: ': done' }).waitFor()
  assert.equal(await dialog.getByText('done', { exact: true }).count(), NSQDS.length)
  await dialog.getByRole('button', { name: 'Done' }).click()
}

test('a channel is paused and unpaused', async () => {
  await prepare('acts.pause')
  await visit('/topics/acts.pause/c', async (page) => {
    for (const [name, paused] of [['Pause', true], ['Unpause', false]]) {
      const { dialog, go } = await confirm(page, name)
      await go.click()
      await done(dialog)
      assert.ok(await all('acts.pause', (channel) => channel.paused === paused), name)
    }
    await page.getByRole('button', { name: 'Pause…' }).waitFor()
  })
})

test('a channel is emptied, after it was said what is lost', async () => {
  await prepare('acts.empty')
  await visit('/topics/acts.empty/c', async (page) => {
    const { dialog, go } = await confirm(page, 'Empty', 'c')
    assert.match(await dialog.innerText(), /9 messages are lost/)
    await screenshot(page, 'dialog-empty')
    await go.click()
    await done(dialog)
    assert.ok(await all('acts.empty', (channel) => channel.depth === 0))
  })
})

test('who cancels has changed nothing', async () => {
  await prepare('acts.cancel')
  await visit('/topics/acts.cancel/c', async (page) => {
    for (const name of ['Empty', 'Delete']) {
      const { dialog } = await confirm(page, name, 'c')
      await dialog.getByRole('button', { name: 'Cancel' }).click()
      await dialog.waitFor({ state: 'detached' })
    }
    const { dialog } = await confirm(page, 'Pause')
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    assert.ok(await all('acts.cancel', (channel) => channel.depth === 3 && !channel.paused))
  })
})

test('a channel is deleted, and then its topic', async () => {
  await prepare('acts.delete')
  await visit('/topics/acts.delete/c', async (page) => {
    const channel = await confirm(page, 'Delete', 'c')
    await channel.go.click()
    await done(channel.dialog)
    await page.waitForURL('**/topics/acts.delete')
    assert.ok(await all('acts.delete', (found) => found === undefined))
    const topic = await confirm(page, 'Delete', 'acts.delete')
    await topic.go.click()
    await done(topic.dialog)
    await page.waitForURL('**/topics')
    for (const nsqd of NSQDS) {
      const stats = await (await fetch(`${nsqd}/stats?format=json&topic=acts.delete`)).json()
      assert.equal(stats.topics, null)
    }
  })
})

// Opens the form for a new topic, and sends it.
async function create(page, topic, channels, node) {
  await page.getByRole('button', { name: 'Create…' }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('Topic').fill(topic)
  await dialog.getByLabel('Channels').fill(channels)
  if (node) await dialog.getByLabel(node).check()
  await screenshot(page, 'dialog-create')
  await dialog.getByRole('button', { name: 'Create' }).click()
  await page.waitForURL(`**/topics/${topic}`)
}

test('a topic is created with a channel', () =>
  visit('/topics', async (page) => {
    await create(page, 'acts.create', 'c')
    // nsqds make it as soon as somebody publishes; until then nsqlookupds know it.
    const { topics } = await (await fetch(`${ADMIN}/api/topics?inactive=true`)).json()
    assert.deepEqual(topics['acts.create'], ['c'])
  }))

test('a topic with two channels is created at once on the node that was chosen', () =>
  visit('/topics', async (page) => {
    await create(page, 'acts.placed', 'c d', new URL(NSQDS[1]).host)
    for (const channel of ['c', 'd']) {
      assert.deepEqual((await channels('acts.placed', channel)).map(Boolean), [false, true, false])
    }
  }))

test('topics that are on no node are deleted together', async () => {
  for (const lookupd of LOOKUPDS) {
    for (const topic of ['acts.stale.a', 'acts.stale.b']) await fetch(`${lookupd}/topic/create?topic=${topic}`, { method: 'POST' })
  }
  await visit('/lookup', async (page) => {
    await page.getByRole('button', { name: /^Delete all \d+…$/ }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('acts.stale.b').waitFor()
    const go = dialog.getByRole('button', { name: 'Delete' })
    assert.ok(await go.isDisabled(), 'nothing is typed yet')
    await dialog.getByRole('textbox').fill(await dialog.locator('code').innerText())
    await screenshot(page, 'dialog-clean')
    await go.click()
    await dialog.getByRole('heading', { name: 'are deleted' }).waitFor()
    await dialog.getByRole('button', { name: 'Done' }).click()
    const { topics } = await (await fetch(`${ADMIN}/api/topics?inactive=true`)).json()
    assert.deepEqual(Object.keys(topics).filter((topic) => topic.startsWith('acts.stale')), [])
  })
})

test('a tombstone names the topic that it deletes', async () => {
  await prepare('acts.tombstone')
  await visit('/topics/acts.tombstone', async (page) => {
    const node = new URL(NSQDS[0]).host
    await page.getByRole('button', { name: `Tombstone acts.tombstone on ${node}` }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByText('acts.tombstone is deleted there').waitFor()
    await dialog.getByRole('textbox').fill('acts.tombstone')
    await dialog.getByRole('button', { name: 'Tombstone' }).click()
    await dialog.getByRole('heading', { name: ': done' }).waitFor()
    await dialog.getByRole('button', { name: 'Done' }).click()
    const [first, ...others] = await channels('acts.tombstone', 'c')
    assert.equal(first, undefined)
    assert.ok(others.every(Boolean))
  })
})

test('an alert is silenced, and heard again', () =>
  visit('/', async (page) => {
    const alert = page.locator('.alert[data-key="no_consumers:orders:archive"]')
    await alert.getByRole('button', { name: 'Silence 1 h' }).click({ timeout: 20_000 })
    const isSilenced = async () => {
      const { alerts } = await (await fetch(`${ADMIN}/api/alerts`)).json()
      return alerts.find(({ id }) => id === 'no_consumers:orders:archive').is_silenced
    }
    await until('it is silenced', isSilenced)
    await alert.getByRole('button', { name: 'Unsilence' }).click()
    await until('it is heard', async () => !(await isSilenced()))
  }))

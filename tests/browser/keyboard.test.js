// Everything by keyboard: to a place, through an action, and out of it.
import test from 'node:test'
import assert from 'node:assert/strict'
import { NSQDS, channels, screenshot, until, visit } from './site.js'

const focused = (page) => page.evaluate(() => document.activeElement.textContent.trim() || document.activeElement.ariaLabel)

// Goes on with Tab until what has the focus is called `name`.
async function tabTo(page, name) {
  for (let step = 0; step < 60; step += 1) {
    if ((await focused(page)) === name) return
    await page.keyboard.press('Tab')
  }
  assert.fail(`${name} was never reached`)
}

test('a part of a name leads to a channel', () =>
  visit('/', async (page) => {
    await page.keyboard.press('/')
    await page.keyboard.type('orders/bil')
    const option = page.getByRole('option', { selected: true })
    await option.waitFor()
    assert.match(await option.innerText(), /orders \/ billing/)
    await screenshot(page, 'jump')
    await page.keyboard.press('Enter')
    await page.waitForURL('**/topics/orders/billing')
    await page.keyboard.press('Control+k')
    await page.keyboard.type('cli')
    await page.getByRole('option').first().waitFor()
    await page.keyboard.press('ArrowDown')
    await page.keyboard.press('ArrowUp')
    assert.equal(await page.getByRole('combobox', { name: 'Jump' }).getAttribute('aria-activedescendant'), 'jump-0')
    await page.keyboard.press('Escape')
    assert.equal(await page.getByRole('listbox').count(), 0)
  }))

test('keys lead to the parts of the site, and a sheet tells them', () =>
  visit('/', async (page) => {
    await page.keyboard.press('?')
    await page.getByRole('dialog', { name: 'Keys' }).waitFor()
    await screenshot(page, 'keys')
    await page.keyboard.press('Escape')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await page.keyboard.press('g')
    await page.keyboard.press('n')
    await page.waitForURL('**/nodes')
    await page.keyboard.press('f')
    assert.equal(await focused(page), 'Filter nodes')
  }))

test('the first Tab offers the content', () =>
  visit('/topics', async (page) => {
    await page.keyboard.press('Tab')
    assert.equal(await focused(page), 'Skip to content')
    await page.keyboard.press('Enter')
    assert.equal(await page.evaluate(() => document.activeElement.id), 'main')
  }))

test('a channel is emptied with keys alone', async () => {
  const [nsqd] = NSQDS
  for (const path of ['/topic/create?topic=keys', '/channel/create?topic=keys&channel=c']) await fetch(nsqd + path, { method: 'POST' })
  await fetch(`${nsqd}/pub?topic=keys`, { method: 'POST', body: 'x' })
  await until('it waits', async () => (await channels('keys', 'c'))[0]?.depth === 1)
  await visit('/topics/keys/c', async (page) => {
    await tabTo(page, 'Empty…')
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog')
    await dialog.getByText('1 message is lost').waitFor()
    await page.keyboard.type('c')
    await page.keyboard.press('Enter')
    await dialog.getByRole('heading', { name: ': done' }).waitFor()
    assert.equal(await focused(page), 'Done')
    assert.equal((await channels('keys', 'c'))[0].depth, 0)
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
  })
})

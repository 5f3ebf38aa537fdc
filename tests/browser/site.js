// What all tests share: one browser, pages that write down what goes wrong in them, the cluster's own words.
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { after, before } from 'node:test'
import assert from 'node:assert/strict'
import { chromium } from 'playwright-core'

const urls = (name) => process.env[name].split(',')
export const { ADMIN, READER, GATED, HOSTILE } = process.env
export const NSQDS = urls('NSQDS')
export const LOOKUPDS = urls('LOOKUPDS')
const SCREENSHOTS = process.env.SCREENSHOTS
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js')

export const WIDE = { width: 1280, height: 900 }
export const NARROW = { width: 360, height: 740 }

let browser

before(async () => {
  await mkdir(SCREENSHOTS, { recursive: true })
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ['--no-sandbox'] })
})
after(() => browser?.close())

// Opens a page, hands it to `use`, and fails if meanwhile anything was wrong in it.
export async function visit(path, use, { size = WIDE, scheme = 'light', site = ADMIN } = {}) {
  // The tests bring axe along, which the page's policy would not let in.
  const context = await browser.newContext({ viewport: size, colorScheme: scheme, bypassCSP: true, reducedMotion: 'reduce' })
  const page = await context.newPage()
  page.setDefaultTimeout(20_000)
  const faults = watch(page, site)
  try {
    const answer = await page.goto(site + path)
    await use(page, answer)
    assert.deepEqual(faults, [], `${path}: the page has faults`)
  } finally {
    await context.close()
  }
}

// Everything that should never happen on a page.
function watch(page, site) {
  const faults = []
  page.on('console', (message) => message.type() === 'error' && faults.push(`console: ${message.text()}`))
  page.on('pageerror', (error) => faults.push(`script: ${error.message}`))
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`)
    return dialog.dismiss()
  })
  page.on('request', (request) => {
    if (!request.url().startsWith(site)) faults.push(`foreign request: ${request.url()}`)
  })
  return faults
}

// What axe finds that keeps people out.
export async function violations(page) {
  await page.addScriptTag({ path: AXE })
  const found = await page.evaluate(() => axe.run(document, { resultTypes: ['violations'] }))
  const serious = found.violations.filter(({ impact }) => impact === 'serious' || impact === 'critical')
  return serious.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' | ')}`)
}

export const screenshot = (page, name) => page.screenshot({ path: `${SCREENSHOTS}/${name}.png`, fullPage: true })

// How far the page can be scrolled sideways, in pixels.
export const sideways = (page) =>
  page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)

// Waits until `find` gives something that is true, and returns it.
export async function until(what, find) {
  const deadline = Date.now() + 15_000
  for (;;) {
    const found = await find()
    if (found) return found
    assert.ok(Date.now() < deadline, `waited in vain until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

// Logs in on the site that wants it; the page is then where it was led.
export async function logIn(page, user, password = process.env.PASSWORD) {
  await page.getByLabel('User').fill(user)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Log in' }).click()
}

// What each nsqd says of a channel; undefined where it is not.
export const channels = (topic, channel) =>
  Promise.all(
    NSQDS.map(async (nsqd) => {
      const stats = await (await fetch(`${nsqd}/stats?format=json&topic=${encodeURIComponent(topic)}`)).json()
      // No topics are null.
      return stats.topics?.[0]?.channels?.find(({ channel_name }) => channel_name === channel)
    }),
  )

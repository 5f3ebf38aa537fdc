// Names and messages that try to be markup never are; who may only read finds nothing to press.
import test from 'node:test'
import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import { HOSTILE, NSQDS, READER, until, visit } from './site.js'

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
    { site: READER },
  ))

// Each does something if it is ever taken for a part of a page.
const PAYLOADS = [
  '<script>alert(1)</script>',
  '<img src=x onerror=alert(1)>',
  '"><svg onload=alert(1)>',
  '\' onmouseover=\'alert(1)',
  '</title><script>alert(1)</script>',
  '--><iframe src=javascript:alert(1)>',
  'javascript:alert(1)',
]

// All that an nsqd and its clients may say of themselves, with `payload` in every text.
function told(payload, port) {
  const client = {
    client_id: payload, hostname: payload, version: payload, user_agent: payload, remote_address: payload, ready_count: 1, authed: true,
    auth_identity: payload, auth_identity_url: payload, tls: true, tls_version: payload, tls_cipher_suite: payload, topology_zone: payload,
    topology_region: payload, pub_counts: [{ topic: payload, count: 1 }],
  }
  const channel = (channel_name) => ({ channel_name, depth: 1, client_count: 1, clients: [client] })
  const topics = ['t', payload].map((topic_name) => ({ topic_name, message_count: 1, channels: [channel('c'), channel(payload)] }))
  return {
    '/info': { version: payload, hostname: payload, broadcast_address: '127.0.0.1', http_port: port, tcp_port: port, topology_zone: payload, topology_region: payload, peek: true },
    '/stats': { version: payload, health: payload, start_time: 1, producers: [client], topics },
    '/channel/peek': { messages: [{ id: payload, attempts: 1, size: payload.length, body: Buffer.from(payload).toString('base64') }] },
  }
}

test('whatever a node says of itself and of its clients is text', { timeout: 120_000 }, async () => {
  const port = Number(process.env.HOSTILE_NSQD)
  let payload = PAYLOADS[0]
  const node = createServer((request, response) => response.end(JSON.stringify(told(payload, port)[new URL(request.url, 'http://x').pathname] ?? {})))
  await new Promise((listening) => node.listen(port, '127.0.0.1', listening))
  try {
    for (payload of PAYLOADS) {
      await until('the node is seen', async () => {
        const { rows } = await (await fetch(`${HOSTILE}/api/live?view=topics`)).json()
        return rows.some(([name]) => name === payload)
      })
      const name = encodeURIComponent(payload)
      for (const path of ['/', '/topics', '/topics/t', '/topics/t/c', `/topics/${name}/${name}`, '/nodes', `/nodes/127.0.0.1:${port}`, '/consumers', '/lookup', '/audit']) {
        await visit(path, async (page) => {
          // By then rows come from a script too.
          if (await page.locator('[data-live]').count()) await page.locator('#stream', { hasText: 'live' }).waitFor()
          assert.equal(await page.locator('main img, main script, main iframe, main svg[onload], [onmouseover], a[href^="javascript:"]').count(), 0, `${path}: ${payload}`)
        }, { site: HOSTILE })
      }
      await visit('/topics/t/c', async (page) => {
        await page.getByRole('button', { name: 'Peek' }).click()
        await page.locator('.message').first().waitFor()
        assert.equal(await page.locator('.message pre').first().innerText(), payload)
      }, { site: HOSTILE })
    }
  } finally {
    node.close()
  }
})

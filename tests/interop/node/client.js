// nsqjs: a producer and two channels, through a restart of nsqd.
//
// 20,000 numbers are published to one or more nsqds; each must be finished on both channels. Some are requeued, touched,
// or left to time out on their first delivery. Consumers know the nsqds, unless there are nsqlookupds to find them by.
// In the middle an nsqd is restarted by whoever started this program.
'use strict'

const { Reader, Writer } = require('nsqjs')

const list = (text) => text.split(',').filter((address) => address)
const NSQDS = list(process.env.NSQD_TCP)
const NSQDS_HTTP = list(process.env.NSQD_HTTP).map((address) => `http://${address}`)
const LOOKUPDS = list(process.env.NSQLOOKUPD_HTTP)
const TOPIC = 'nsqjs'
const CHANNELS = ['archive', 'billing']
const COUNT = 20000
const BATCH = 100

const finished = new Map(CHANNELS.map((channel) => [channel, new Set()]))
const attempts = new Map()

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

function fail(text) {
  console.error(text)
  process.exit(1)
}

async function post(path) {
  for (const http of NSQDS_HTTP) {
    const answer = await fetch(http + path, { method: 'POST' })
    if (!answer.ok) fail(`POST ${path}: ${answer.status}`)
  }
}

function handle(channel, message) {
  const number = Number(message.body.toString())
  const key = `${channel} ${number}`
  attempts.set(key, Math.max(message.attempts, attempts.get(key) || 0))
  if (attempts.get(key) === 1) {
    if (number % 1000 === 7) return
    if (number % 50 === 3) return message.requeue(100, false)
    if (number % 70 === 5) message.touch()
  }
  message.finish()
  finished.get(channel).add(number)
}

function consume(channel) {
  const sources = LOOKUPDS.length ? { lookupdHTTPAddresses: LOOKUPDS } : { nsqdTCPAddresses: NSQDS }
  const reader = new Reader(TOPIC, channel, {
    ...sources,
    lookupdPollInterval: 1, // also how often a lost connection is tried again
    maxInFlight: 200,
    messageTimeout: 2000,
  })
  reader.on('message', (message) => handle(channel, message))
  reader.on('error', () => {}) // a lost connection; what it costs shows in the books
  reader.connect()
}

/** A connected producer; tries until nsqd is there. */
async function connect(nsqd) {
  const [host, port] = nsqd.split(':')
  for (;;) {
    const writer = new Writer(host, Number(port))
    const ready = new Promise((resolve) => {
      writer.on('ready', () => resolve(true))
      writer.on('error', () => resolve(false))
      writer.on('closed', () => resolve(false))
    })
    writer.connect()
    if (await ready) return writer
    await sleep(200)
  }
}

function publish(writer, bodies) {
  return new Promise((resolve) => {
    writer.on('closed', () => resolve(false))
    writer.publish(TOPIC, bodies, (error) => resolve(!error))
  })
}

/** The nsqds get the batches in turns. */
async function publishAll() {
  const writers = await Promise.all(NSQDS.map(connect))
  for (let start = 0; start < COUNT; start += BATCH) {
    if (start === (COUNT * 2) / 5) console.log('RESTART')
    const bodies = Array.from({ length: BATCH }, (_, index) => String(start + index))
    const nsqd = (start / BATCH) % NSQDS.length
    while (!(await publish(writers[nsqd], bodies))) writers[nsqd] = await connect(NSQDS[nsqd])
  }
}

/** Channels in which an nsqd holds anything; empty when none holds anything. */
async function held() {
  const answers = NSQDS_HTTP.map((http) => fetch(`${http}/stats?format=json&topic=${TOPIC}`).then((answer) => answer.json()))
  const channels = (await Promise.all(answers)).flatMap((stats) => stats.topics[0].channels)
  const figures = (c) => [c.depth, c.in_flight_count, c.deferred_count]
  return channels.filter((c) => figures(c).some((value) => value > 0)).map((c) => [c.channel_name, ...figures(c)])
}

function check(left) {
  for (const [channel, done] of finished) {
    const missing = Array.from({ length: COUNT }, (_, number) => number).filter((n) => !done.has(n))
    if (missing.length) fail(`${channel}: ${missing.length} messages never came: ${missing.slice(0, 10)}`)
  }
  for (const [key, count] of attempts) {
    const number = Number(key.split(' ')[1])
    const twice = number % 1000 === 7 || number % 50 === 3
    if (twice && count < 2) fail(`${key} came ${count} times, expected 2 or more`)
  }
  if (left.length) fail(`nsqd still holds ${JSON.stringify(left)}`)
  console.log(`${TOPIC}: ${COUNT} messages of ${NSQDS.length} nsqd finished on ${CHANNELS.length} channels`)
  process.exit(0)
}

async function main() {
  await post(`/topic/create?topic=${TOPIC}`)
  for (const channel of CHANNELS) await post(`/channel/create?topic=${TOPIC}&channel=${channel}`)
  CHANNELS.forEach(consume)
  await publishAll()
  const complete = () => [...finished.values()].every((done) => done.size === COUNT)
  let left = await held()
  for (let tries = 0; tries < 900 && !(complete() && left.length === 0); tries += 1) {
    await sleep(100)
    left = await held()
  }
  check(left)
}

main().catch((error) => fail(String(error.stack)))

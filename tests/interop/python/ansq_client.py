"""ansq: a producer and two channels with one message in flight each, through a restart of nsqd."""

import asyncio

import ansq

from ledger import CHANNELS, MSG_TIMEOUT_MS, Ledger

FEATURES = ansq.ConnectionFeatures(msg_timeout=MSG_TIMEOUT_MS)
# What publishing over a connection that ends may raise.
LOST = (
    OSError,
    IndexError,
    asyncio.TimeoutError,
    ansq.tcp.exceptions.ConnectionClosedError,
    ansq.tcp.exceptions.NSQException,
)


def ends(reader, at_eof=asyncio.StreamReader.at_eof):
    """ansq reads until the end, which a connection that was reset never reaches: it would turn in a loop for ever."""
    return at_eof(reader) or reader.exception() is not None


asyncio.StreamReader.at_eof = ends


async def consume(ledger, channel):
    reader = await ansq.create_reader(
        topic=ledger.topic,
        channel=channel,
        **ledger.sources(),
        lookupd_poll_interval=500,
        connection_options=ansq.ConnectionOptions(features=FEATURES),
    )
    try:
        async for message in reader.messages():
            await answer(ledger, channel, message)
    finally:
        await reader.close()


async def answer(ledger, channel, message):
    number = int(message.body)
    treatment = ledger.treatment(channel, number, message.attempts)
    if treatment == "ignore" or message.is_timed_out:
        return
    if treatment == "requeue":
        await message.req(100)
        return
    if treatment == "touch":
        await message.touch()
    await message.fin()
    ledger.finish(channel, number)


async def publish_all(ledger):
    """Publishes in order. The client cannot repair a producer's connection, so a lost one is replaced."""
    options = ansq.ConnectionOptions(auto_reconnect=False)
    writers = [None for _ in ledger.nsqds]
    for nsqd, bodies in ledger.batches():
        while True:
            try:
                writers[nsqd] = writers[nsqd] or await ansq.create_writer([ledger.nsqds[nsqd]], options)
                reply = await asyncio.wait_for(writers[nsqd].mpub(ledger.topic, *bodies), 5)
                assert reply.is_ok, reply
                break
            except LOST:
                writers[nsqd] = None
                await asyncio.sleep(0.2)


async def main():
    ledger = Ledger("ansq", count=10_000)
    consumers = [asyncio.create_task(consume(ledger, channel)) for channel in CHANNELS]
    await publish_all(ledger)
    await ledger.settle()
    for consumer in consumers:
        consumer.cancel()
    await asyncio.wait(consumers, timeout=5)


asyncio.run(main())

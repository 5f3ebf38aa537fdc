"""pynsq: a producer and two channels, through a restart of nsqd."""

import asyncio
import functools
import logging

import nsq

from ledger import CHANNELS, MSG_TIMEOUT_MS, Ledger


def handle(ledger, channel, message):
    number = int(message.body)
    treatment = ledger.treatment(channel, number, message.attempts)
    message.enable_async()
    if treatment == "ignore":
        return
    if treatment == "requeue":
        message.requeue(backoff=False, time_ms=100)
        return
    if treatment == "touch":
        message.touch()
    message.finish()
    ledger.finish(channel, number)


async def publish(writer, topic, bodies):
    """One MPUB, repeated until nsqd has answered OK."""
    while True:
        answer = asyncio.get_running_loop().create_future()
        set_once = lambda _, data: answer.done() or answer.set_result(data)
        writer.mpub(topic, bodies, callback=set_once)
        if await asyncio.wait_for(answer, 30) == b"OK":
            return
        await asyncio.sleep(0.2)


async def main():
    logging.getLogger("nsq").setLevel(logging.CRITICAL)
    ledger = Ledger("pynsq", count=20_000)
    for channel in CHANNELS:
        nsq.Reader(
            topic=ledger.topic,
            channel=channel,
            message_handler=functools.partial(handle, ledger, channel),
            **ledger.sources(),
            lookupd_poll_interval=1,
            max_in_flight=200,
            msg_timeout=MSG_TIMEOUT_MS / 1000,
        )
    writers = [nsq.Writer([address], reconnect_interval=0.5) for address in ledger.nsqds]
    for nsqd, bodies in ledger.batches():
        await publish(writers[nsqd], ledger.topic, bodies)
    await ledger.settle()


asyncio.run(main())

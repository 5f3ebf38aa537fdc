"""What every Python client must account for: which messages were finished on which channel.

There are one or more nsqds to publish to. Consumers know these too, unless there are nsqlookupds to find them by.
"""

import asyncio
import json
import os
import urllib.request
from collections import defaultdict

CHANNELS = ("archive", "billing")
MSG_TIMEOUT_MS = 2000
BATCH = 100


class Ledger:
    """Numbers 0 to `count` - 1 are published; each must be finished on both channels."""

    def __init__(self, topic, count):
        self.topic = topic
        self.count = count
        self.finished = {channel: set() for channel in CHANNELS}
        self.attempts = defaultdict(int)
        self.nsqds = os.environ["NSQD_TCP"].split(",")
        self.nsqds_http = ["http://" + address for address in os.environ["NSQD_HTTP"].split(",")]
        self.lookupds = [address for address in os.environ["NSQLOOKUPD_HTTP"].split(",") if address]
        self.post(f"/topic/create?topic={topic}")
        for channel in CHANNELS:
            self.post(f"/channel/create?topic={topic}&channel={channel}")

    def sources(self):
        """What a consumer may know, as arguments of its constructor."""
        if self.lookupds:
            return {"lookupd_http_addresses": self.lookupds}
        return {"nsqd_tcp_addresses": self.nsqds}

    def batches(self):
        """All numbers in batches, each with the index of the nsqd that gets it, in turns.

        In the middle an nsqd is restarted by whoever started this program.
        """
        for start in range(0, self.count, BATCH):
            if start == self.count * 2 // 5:
                print("RESTART", flush=True)
            yield start // BATCH % len(self.nsqds), [str(number).encode() for number in range(start, start + BATCH)]

    def treatment(self, channel, number, attempts):
        """What a consumer does with this delivery: `finish`, `touch` first, `requeue`, or `ignore` it until it times out."""
        seen = self.attempts[channel, number] = max(attempts, self.attempts[channel, number])
        if seen > 1:
            return "finish"
        if number % 1000 == 7:
            return "ignore"
        if number % 50 == 3:
            return "requeue"
        return "touch" if number % 70 == 5 else "finish"

    def finish(self, channel, number):
        self.finished[channel].add(number)

    async def settle(self, bound_s=90):
        """Waits until everything is finished and nsqd holds nothing more, then checks the books."""
        for _ in range(bound_s * 10):
            if all(len(done) == self.count for done in self.finished.values()) and not self.held():
                break
            await asyncio.sleep(0.1)
        self.check()

    def check(self):
        """Ends the program with a message when anything is missing."""
        for channel, done in self.finished.items():
            missing = sorted(set(range(self.count)) - done)
            if missing:
                raise SystemExit(f"{channel}: {len(missing)} messages never came: {missing[:10]}")
        for (channel, number), attempts in self.attempts.items():
            if (number % 1000 == 7 or number % 50 == 3) and attempts < 2:
                raise SystemExit(f"{channel}: {number} came {attempts} times, expected 2 or more")
        if self.held():
            raise SystemExit(f"nsqd still holds {self.held()}")
        print(f"{self.topic}: {self.count} messages of {len(self.nsqds)} nsqd finished on {len(CHANNELS)} channels")

    def held(self):
        """Channels in which an nsqd holds anything, with the figures; empty when none holds anything."""
        held = {}
        for http in self.nsqds_http:
            url = f"{http}/stats?format=json&topic={self.topic}"
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    channels = json.load(answer)["topics"][0]["channels"]
            except OSError as error:
                return str(error)
            fields = ("depth", "in_flight_count", "deferred_count")
            figures = {f"{http} {c['channel_name']}": [c[field] for field in fields] for c in channels}
            held.update((name, values) for name, values in figures.items() if any(values))
        return held

    def post(self, path):
        for http in self.nsqds_http:
            urllib.request.urlopen(urllib.request.Request(http + path, method="POST"), timeout=5)

//! nsqadmin over a live cluster: the real nsqadmin, nsqlookupd and nsqds.

mod cluster;
mod safety;
mod secrets;
mod slow;
mod tail;

use serde_json::Value;
use tests::daemon::Nsqd;
use tests::http::{self, Answer};
use tests::lookupd::Lookupd;
use tests::nsqadmin::Nsqadmin;
use tests::wait;

/// An nsqlookupd, two nsqds that register there, and an nsqadmin that looks at them often.
struct World {
    admin: Nsqadmin,
    a: Nsqd,
    b: Nsqd,
    _lookupd: Lookupd,
}

impl World {
    #[track_caller]
    fn start(admin_flags: &[&str], nsqd_flags: &[&str]) -> Self {
        let lookupd = Lookupd::start();
        let flag = lookupd.flag();
        let nsqd = || {
            let always = [flag.as_str(), "--broadcast-address=127.0.0.1"];
            Nsqd::start(&[&always[..], nsqd_flags].concat())
        };
        let (a, b) = (nsqd(), nsqd());
        let source = format!("--lookupd-http-address={}", lookupd.http());
        // The harness asks for a host of this name.
        let always = [
            source.as_str(),
            "--sample-interval=100ms",
            "--allowed-host=nsqd",
        ];
        let admin = Nsqadmin::start(&[&always[..], admin_flags].concat());
        let world = Self {
            admin,
            a,
            b,
            _lookupd: lookupd,
        };
        wait::until("both nsqds are known", || {
            world.json("/api/live?view=overview")["node_count"] == 2
        });
        world
    }

    /// GET, that must be answered with JSON.
    #[track_caller]
    fn json(&self, path: &str) -> Value {
        self.admin.get(path).json()
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        let body = body.to_string();
        http::request(self.admin.http(), "POST", path, body.as_bytes())
    }

    /// Waits until a channel, as it is sampled, has this depth.
    #[track_caller]
    fn await_depth(&self, topic: &str, channel: &str, depth: u64) {
        let path = format!("/api/live?view=channel&topic={topic}&channel={channel}");
        wait::until("the depth is seen", || {
            self.json(&path)["figures"]["depth"] == depth
        });
    }
}

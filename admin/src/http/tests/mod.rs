//! What is asked over HTTP, of an nsqadmin whose cluster is made of fake nodes.

mod changing;
mod explaining;
mod guarding;
mod hostile;
mod login;
mod messages;
mod raw;
mod reading;
mod routes;
mod showing;
mod tls;
mod watching;

use serde_json::{Value, json};

use crate::Daemon;
use crate::testing::{Answer, Fake, request, start};

/// Two nsqds that have `t`, known to one nsqlookupd, and an nsqadmin that asks it.
struct World {
    admin: Daemon,
    lookupd: Fake,
    a: Fake,
    b: Fake,
}

impl World {
    async fn start(flags: &[&str]) -> Self {
        let (lookupd, a, b) = (
            Fake::start().await,
            Fake::start().await,
            Fake::start().await,
        );
        let producers =
            json!({"producers": [producer(&a, "host-a"), producer(&b, "host-b")]}).to_string();
        lookupd.says("/topics", r#"{"topics":["t","idle"]}"#);
        lookupd.says("/nodes", &*producers);
        lookupd.says("/lookup?topic=t", &*producers);
        lookupd.says("/lookup?topic=idle", r#"{"channels":[],"producers":[]}"#);
        lookupd.says("/channels?topic=idle", r#"{"channels":["c1"]}"#);
        for node in [&a, &b] {
            node.says("/stats", stats("t", "c").to_string());
        }
        for node in [&lookupd, &a, &b] {
            node.says("/topic/", "");
            node.says("/channel/", "");
        }
        let source = format!("--lookupd-http-address={}", lookupd.address());
        let flags: Vec<&str> = flags.iter().copied().chain([source.as_str()]).collect();
        let admin = start(&flags).await;
        for fake in [&lookupd, &a, &b] {
            // The sampler has had its look.
            fake.asked();
        }
        Self {
            admin,
            lookupd,
            a,
            b,
        }
    }

    async fn get(&self, path: &str) -> Answer {
        request(&self.admin, "GET", path, "").await
    }

    /// GET must be answered with 200; the JSON.
    async fn json(&self, path: &str) -> Value {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    async fn check(&self, request_line: &str, body: &str, status: u16, message: &str) {
        let (method, path) = request_line.split_once(' ').unwrap();
        let answer = request(&self.admin, method, path, body).await;
        let told = (answer.status, answer.json()["message"].clone());
        assert_eq!(told, (status, json!(message)), "{request_line} {body}");
    }
}

fn producer(node: &Fake, hostname: &str) -> Value {
    json!({"remote_address": "r:1", "hostname": hostname, "broadcast_address": "127.0.0.1", "tcp_port": node.port,
        "http_port": node.port, "version": "1.3.0", "topics": ["t"], "tombstones": []})
}

fn stats(topic: &str, channel: &str) -> Value {
    json!({"version": "1.3.0", "topics": [{"topic_name": topic, "depth": 5, "message_count": 1200, "channels": [
        {"channel_name": channel, "depth": 7, "in_flight_count": 1, "message_count": 9, "client_count": 1,
         "clients": [{"client_id": "id", "hostname": "<i>h</i>", "user_agent": "\"><script>x</script>"}]}]}]})
}

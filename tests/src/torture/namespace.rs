//! A network namespace for nsqd, so that its way to others can be cut while clients still reach it.

use std::net::{IpAddr, Ipv4Addr};

use super::volume::run;

/// A namespace with one link to that of the harness; both go when this value goes.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    /// The address inside.
    pub inside: IpAddr,
    /// The address of the harness, as seen from inside.
    pub outside: IpAddr,
}

impl Namespace {
    /// Makes one; its name and addresses follow from the process, so that several harnesses don't meet.
    pub fn create() -> Result<Self, String> {
        let process = std::process::id();
        let [_, _, high, low] = process.to_be_bytes();
        let name = format!("torture{process}");
        let link = format!("t{process}");
        let inside = Ipv4Addr::new(10, 213, high, low & !3 | 1);
        let outside = Ipv4Addr::new(10, 213, high, low & !3 | 2);
        run("ip", &["netns", "add", &name])?;
        let namespace = Self {
            name: name.clone(),
            inside: inside.into(),
            outside: outside.into(),
        };
        run(
            "ip",
            &[
                "link", "add", &link, "type", "veth", "peer", "name", "eth0", "netns", &name,
            ],
        )?;
        run(
            "ip",
            &["address", "add", &format!("{outside}/30"), "dev", &link],
        )?;
        run("ip", &["link", "set", &link, "up"])?;
        run(
            "ip",
            &[
                "-n",
                &name,
                "address",
                "add",
                &format!("{inside}/30"),
                "dev",
                "eth0",
            ],
        )?;
        run("ip", &["-n", &name, "link", "set", "eth0", "up"])?;
        run("ip", &["-n", &name, "link", "set", "lo", "up"])?;
        namespace.filter("add table inet torture")?;
        namespace.filter("add chain inet torture out { type filter hook output priority 0; }")?;
        namespace.filter("add chain inet torture in { type filter hook input priority 0; }")?;
        Ok(namespace)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Drops all packets to these ports outside, or from them, or both.
    pub fn cut(&self, ports: &[u16], out: bool, back: bool) -> Result<(), String> {
        let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
        let ports = ports.join(", ");
        if out {
            self.filter(&format!(
                "add rule inet torture out tcp dport {{ {ports} }} drop"
            ))?;
        }
        if back {
            self.filter(&format!(
                "add rule inet torture in tcp sport {{ {ports} }} drop"
            ))?;
        }
        Ok(())
    }

    /// Lets everything pass again.
    pub fn heal(&self) -> Result<(), String> {
        self.filter("flush table inet torture")
    }

    fn filter(&self, rule: &str) -> Result<(), String> {
        run("ip", &["netns", "exec", &self.name, "nft", rule])
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // The link goes with it.
        let _ = run("ip", &["netns", "delete", &self.name]);
    }
}

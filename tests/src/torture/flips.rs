//! One flipped bit in each of many copies of a topic: it is noticed, and costs a record at the most.
//!
//! A nsqd is filled and stopped; its topic's directory is copied under many names, a bit is flipped in each copy, and one nsqd
//! over all of them is drained. So a start serves for many flips.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fastrand::Rng;
use serde_json::{Value, json};

use super::body::{self, BYTES_MIN};
use super::event::Key;
use super::load::drain;
use super::process::{Daemon, Launch};
use super::world::files;
use crate::http::try_request;
use crate::wire::{Frame, Peer, batch, with_body};

/// How many copies one nsqd has.
const COPIES: usize = 100;
/// How many messages each copy has.
const MESSAGES: u64 = 150;
/// In how many batches they come.
const BATCHES: u64 = 5;
const BODY_BYTES_MAX: usize = 400;
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

/// What came of the flips.
#[derive(Debug, Default)]
pub struct Flips {
    /// Bits flipped.
    pub flipped: usize,
    /// Where it cost nothing: a bit that nothing depends on, or that could be made up for.
    pub harmless: usize,
    /// Where it cost one record, and nsqd said so.
    pub cost_one: usize,
    /// Where more was lost, or nothing was said, or something came that was not sent.
    pub violations: Vec<String>,
}

/// Flips at least so many bits, below this folder; `sabotage` is what nsqd does wrong on purpose.
///
/// # Errors
///
/// When the harness can't do its work.
pub fn run(seed: u64, count: usize, sabotage: Option<&str>, base: &Path) -> Result<Flips, String> {
    let directory = base.join(format!("flips-{seed}-{:x}", std::process::id()));
    let mut random = Rng::with_seed(seed);
    let template = directory.join("template");
    fs::create_dir_all(&template).map_err(|error| error.to_string())?;
    fill(seed, sabotage, &template, &mut random)?;
    let mut flips = Flips::default();
    while flips.flipped < count {
        let data = directory.join("data");
        let flipped = copy(&template, &data, &mut random).map_err(|error| error.to_string())?;
        judge(seed, sabotage, &data, &flipped, &mut flips)?;
        fs::remove_dir_all(&data).map_err(|error| error.to_string())?;
    }
    if flips.violations.is_empty() || sabotage.is_some() {
        // What remains is of no importance.
        let _ = fs::remove_dir_all(&directory);
    }
    Ok(flips)
}

fn start(sabotage: Option<&str>, data: &Path) -> Result<Daemon, String> {
    let arguments = vec![
        "--tcp-address=127.0.0.1:0".to_owned(),
        "--http-address=127.0.0.1:0".to_owned(),
        "--durability=disk".to_owned(),
        format!("--data-path={}", data.display()),
    ];
    let launch = Launch::new(sabotage, arguments, data.with_extension("log"));
    launch.start()
}

/// Leaves a topic with one channel and its messages, some of them deferred, some given back.
fn fill(seed: u64, sabotage: Option<&str>, data: &Path, random: &mut Rng) -> Result<(), String> {
    let nsqd = start(sabotage, data)?;
    let mut peer = Peer::try_connect(nsqd.tcp).map_err(|error| error.to_string())?;
    for path in ["/topic/create?topic=t", "/channel/create?topic=t&channel=c"] {
        try_request(nsqd.http, "POST", path, b"").map_err(|error| error.to_string())?;
    }
    let each = MESSAGES / BATCHES;
    for first in (0..MESSAGES).step_by(usize::try_from(each).expect("it is small")) {
        let keys = (first..first + each).map(|seq| Key { producer: 0, seq });
        let bodies: Vec<_> = keys
            .map(|key| body::encode(seed, key, random.usize(BYTES_MIN..BODY_BYTES_MAX)))
            .collect();
        let (deferred, plain) = bodies.split_first().expect("a batch has messages");
        peer.send(with_body("DPUB t 100", deferred));
        peer.send(with_body("MPUB t", batch(plain)));
        for _ in ["DPUB", "MPUB"] {
            let answer = peer.frame_within(PATIENCE);
            if answer != Ok(Frame::Response("OK".to_owned())) {
                return Err(format!("a publish was answered with {answer:?}"));
            }
        }
    }
    nsqd.terminate().map(|_| ())
}

/// Makes a data path with copies of the topic, and flips a bit in each; tells in which file.
fn copy(template: &Path, data: &Path, random: &mut Rng) -> io::Result<Vec<PathBuf>> {
    let folder = data.join("topics");
    fs::create_dir_all(&folder)?;
    let metadata: Value = serde_json::from_slice(&fs::read(template.join("nsqd.dat"))?)?;
    let mut topics = Vec::new();
    let mut flipped = Vec::new();
    for number in 0..COPIES {
        let name = topic(number);
        let to = folder.join(format!("t-{name}"));
        fs::create_dir(&to)?;
        for file in files(&template.join("topics/t-t")) {
            let file_name = file.file_name().expect("a file has a name");
            fs::copy(&file, to.join(file_name))?;
        }
        let mut entry = metadata["topics"][0].clone();
        entry["name"] = name.into();
        topics.push(entry);
        flipped.push(flip(&to, random)?);
    }
    let mut metadata = metadata;
    metadata["topics"] = json!(topics);
    fs::write(data.join("nsqd.dat"), metadata.to_string())?;
    Ok(flipped)
}

fn topic(number: usize) -> String {
    format!("f{number}")
}

/// Flips one bit of one file; larger files are hit more often.
fn flip(folder: &Path, random: &mut Rng) -> io::Result<PathBuf> {
    let mut files = files(folder);
    files.sort();
    let lengths: Vec<_> = files
        .iter()
        .map(|file| Ok(fs::metadata(file)?.len()))
        .collect::<io::Result<_>>()?;
    let mut at = random.u64(0..lengths.iter().sum());
    for (file, length) in files.into_iter().zip(lengths) {
        if at >= length {
            at -= length;
            continue;
        }
        let mut bytes = fs::read(&file)?;
        bytes[usize::try_from(at).expect("it is in the file")] ^= 1 << random.u8(0..8);
        fs::write(&file, bytes)?;
        return Ok(file);
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Drains all topics and counts what became of each flip.
fn judge(
    seed: u64,
    sabotage: Option<&str>,
    data: &Path,
    flipped: &[PathBuf],
    flips: &mut Flips,
) -> Result<(), String> {
    let nsqd = start(sabotage, data)?;
    let mut found = Vec::new();
    for number in 0..flipped.len() {
        let mut found_here = Found::default();
        let drained = drain((nsqd.tcp, nsqd.http), (&topic(number), "c"), |message| {
            found_here.take(seed, &message.body);
        });
        found_here.faults.extend(drained.err());
        found.push(found_here);
    }
    let metrics =
        try_request(nsqd.http, "GET", "/metrics", b"").map_err(|error| error.to_string())?;
    let log = nsqd.log();
    nsqd.terminate()?;
    for (number, (found, file)) in found.into_iter().zip(flipped).enumerate() {
        let topic = topic(number);
        let is_noticed = damaged(&metrics.body, &topic) > 0 || log.contains(&format!("t-{topic}/"));
        flips.flipped += 1;
        match found.verdict(is_noticed) {
            Ok(0) => flips.harmless += 1,
            Ok(_) => flips.cost_one += 1,
            Err(reason) => flips
                .violations
                .push(format!("{}: {reason}", file.display())),
        }
    }
    Ok(())
}

/// How many messages of a topic could not be read, as `/metrics` tells it.
fn damaged(metrics: &str, topic: &str) -> u64 {
    let start = format!("nsqd_topic_damaged_messages_total{{topic=\"{topic}\"}} ");
    let number = metrics.lines().find_map(|line| line.strip_prefix(&start));
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// What came out of one copy.
#[derive(Debug, Default)]
struct Found {
    times: BTreeMap<u64, u64>,
    faults: Vec<String>,
}

impl Found {
    fn take(&mut self, seed: u64, body: &[u8]) {
        match body::decode(seed, body) {
            Ok(key) if key.producer == 0 && key.seq < MESSAGES => {
                *self.times.entry(key.seq).or_default() += 1;
            }
            Ok(key) => self.faults.push(format!("{key} was never sent")),
            Err(text) => self.faults.push(text),
        }
    }

    /// How many records it cost.
    fn verdict(self, is_noticed: bool) -> Result<u64, String> {
        if let Some(fault) = self.faults.into_iter().next() {
            return Err(fault);
        }
        match MESSAGES - self.times.len() as u64 {
            lost @ 2.. => Err(format!("{lost} of {MESSAGES} messages are lost")),
            1 if !is_noticed => Err("a message is lost, and nobody noticed".to_owned()),
            lost => Ok(lost),
        }
    }
}

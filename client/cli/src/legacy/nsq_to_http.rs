//! `nsq_to_http`: the messages of a topic to HTTP servers.

use std::time::Duration;

use clap::Parser;
use client::daemon::duration::GoDuration;
use client::daemon::flags::integer;
use hyper::Method;
use hyper::header::CONTENT_TYPE;

use super::{Consuming, OldTool, required};
use crate::error::Error;
use crate::sink::Selection;
use crate::to_http::{Every, Header, Job, Mode, Settings, Statuses, Target, part};

/// Send the messages of a topic to HTTP servers.
#[derive(Debug, Parser)]
pub(super) struct Flags {
    /// nsq topic
    #[arg(long, default_value = "")]
    topic: String,

    /// nsq channel
    #[arg(long, default_value = "nsq_to_http")]
    channel: String,

    /// HTTP address to make a POST request to; data will be in the body (may be given multiple times)
    #[arg(long)]
    post: Vec<String>,

    /// HTTP address to make a GET request to; '%s' will be replaced with the data (may be given multiple times)
    #[arg(long)]
    get: Vec<String>,

    /// the upstream request mode: round-robin, hostpool, epsilon-greedy, or all
    #[arg(long, default_value = "hostpool")]
    mode: String,

    /// number of concurrent publishers
    #[arg(short, long, default_value = "100", value_parser = integer::<u32>)]
    n: u32,

    /// max number of messages to allow in flight
    #[arg(long, default_value = "200", value_parser = integer::<u32>)]
    max_in_flight: u32,

    /// % of messages to publish (float b/w 0.0 -> 1.0)
    #[arg(long, default_value = "1.0", value_parser = part)]
    sample: f64,

    /// the Content-Type used for POST requests
    #[arg(long)]
    content_type: Option<String>,

    /// header for HTTP requests, "Name: value" (may be given multiple times)
    #[arg(long)]
    header: Vec<String>,

    /// timeout for HTTP connect
    #[arg(long, default_value = "2s")]
    http_client_connect_timeout: GoDuration,

    /// timeout for HTTP request
    #[arg(long, default_value = "20s")]
    http_client_request_timeout: GoDuration,

    /// the # of requests between logging status (per handler), 0 disables
    #[arg(long, default_value = "250", value_parser = integer::<u32>)]
    status_every: u32,

    /// statuses of success, such as 200-299,409; by default 200-299 for POST and 200 for GET
    #[arg(long)]
    ok: Option<Statuses>,

    #[command(flatten)]
    consuming: Consuming,
}

impl OldTool for Flags {
    async fn run(self) -> Result<(), Error> {
        let job = self.check()?;
        if matches!(job.status_every, Every::Requests(1..100)) {
            eprintln!("WARNING: --status-every below 100 makes the percentiles inaccurate");
        }
        job.run("").await
    }
}

impl Flags {
    /// What the flags say.
    fn check(self) -> Result<Job, Error> {
        let topic = required("topic", &self.topic)?;
        let channel = required("channel", &self.channel)?;
        self.check_content_type()?;
        let sources = self.consuming.sources()?;
        let (method, targets) = targets(&self.post, &self.get)?;
        let (ok, content_type) = match method {
            Method::POST => {
                let given = self.content_type.as_deref();
                let given = given.unwrap_or("application/octet-stream");
                let content_type = super::parsed("content-type", given)?;
                let content_type = Header::new(CONTENT_TYPE, content_type);
                (Statuses::range(200, 299), Some(content_type))
            }
            _ => (Statuses::range(200, 200), None),
        };
        let headers = self
            .header
            .iter()
            .map(|header| super::parsed("header", header));
        Ok(Job {
            selection: Selection {
                topics: vec![topic],
                topics_match: None,
                topics_refresh: GoDuration(Duration::from_mins(1)),
                channel,
                max_in_flight: self.max_in_flight,
            },
            sources,
            link: self.consuming.link(),
            targets,
            mode: mode(&self.mode)?,
            settings: Settings {
                method,
                content_type,
                headers: headers.collect::<Result<_, _>>()?,
                ok: self.ok.unwrap_or(ok),
                drop_on: Statuses::none(),
                retry_after: false,
                connect_timeout: self.http_client_connect_timeout.0,
                timeout: self.http_client_request_timeout.0,
            },
            concurrency: self.n as usize,
            sample: self.sample,
            status_every: Every::Requests(self.status_every as usize),
        })
    }

    fn check_content_type(&self) -> Result<(), Error> {
        let rule = match self.content_type.as_deref() {
            Some(_) if self.post.is_empty() => "--content-type only used with --post",
            Some("") => "--content-type requires a value when used",
            _ => return Ok(()),
        };
        Err(Error::Usage(rule.to_owned()))
    }
}

fn targets(post: &[String], get: &[String]) -> Result<(Method, Vec<Target>), Error> {
    let (method, parse, urls): (_, fn(&str) -> _, _) = match (post, get) {
        ([], []) => return Err(Error::Usage("--get or --post required".to_owned())),
        (urls, []) => (Method::POST, Target::body, urls),
        ([], urls) => (Method::GET, Target::printf, urls),
        _ => {
            return Err(Error::Usage(
                "only one of --get or --post may be used".to_owned(),
            ));
        }
    };
    let targets = urls.iter().map(|url| parse(url).map_err(Error::Usage));
    Ok((method, targets.collect::<Result<_, _>>()?))
}

/// Any other word once meant "all", whoever may have meant that.
fn mode(word: &str) -> Result<Mode, Error> {
    match word {
        "hostpool" => Ok(Mode::Hostpool),
        "round-robin" => Ok(Mode::RoundRobin),
        "epsilon-greedy" => Ok(Mode::EpsilonGreedy),
        "all" => Ok(Mode::All),
        _ if super::is_compatible() => Ok(Mode::All),
        _ => Err(Error::Usage(format!(
            "--mode {word:?} is unknown; allowed are hostpool, round-robin, epsilon-greedy and all"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str) -> Result<Job, Error> {
        let topic = "nsq_to_http --topic t --nsqd-tcp-address a:1";
        Flags::parse_from(format!("{topic} {words}").split_whitespace()).check()
    }

    #[test]
    fn what_the_flags_say_together_is_checked() {
        let refused = |words: &str, rule: &str| {
            let error = check(words).unwrap_err().to_string();
            assert!(error.contains(rule), "{words}: {error}");
        };
        refused("", "--get or --post required");
        refused("--post http://a/ --get http://a/%s", "only one of");
        refused("--get http://a/", "exactly one %s");
        refused(
            "--get http://a/%s --content-type x/y",
            "only used with --post",
        );
        refused("--post http://a/ --content-type=", "requires a value");
        refused("--post http://a/ --header X=1", "\"X=1\" is no header");
        refused("--post http://a/ --mode both", "--mode \"both\" is unknown");
        refused("--post http://a/ --lookupd-http-address b:1", "not both");
    }

    #[test]
    fn defaults_are_those_of_the_reference() {
        let job = check("--post http://a/").unwrap();
        assert_eq!(job.selection.channel.as_str(), "nsq_to_http");
        assert_eq!((job.mode, job.concurrency), (Mode::Hostpool, 100));
        assert_eq!(job.settings.ok, Statuses::range(200, 299));
        assert_eq!(job.status_every, Every::Requests(250));
        let job = check("--get http://a/%s").unwrap();
        assert_eq!(job.settings.ok, Statuses::range(200, 200));
    }
}

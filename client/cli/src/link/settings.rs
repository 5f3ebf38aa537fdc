//! The options of a client by name, as `--set name=value` and the old `-consumer-opt name,value` give them.
//!
//! Names and values are those of go-nsq: `-` and `_` are the same, a name alone means true, durations have units.

use std::num::NonZeroU16;
use std::str::FromStr;
use std::time::Duration;

use client::connection::{ConnectOptions, TlsMode};
use client::consumer::{Backoff, ConsumerBuilder, Exhausted};
use client::daemon::duration::GoDuration;
use client::daemon::flags::{boolean, integer};
use client::http::{Client, Limits};
use client::tls::ClientTls;

use crate::error::Error;

/// One option with its value, known to be valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Setting {
    name: String,
    value: String,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(text: &str) -> Result<Setting, String> {
        let (name, value) = text.split_once([',', '=']).unwrap_or((text, "true"));
        let setting = Setting {
            name: name.replace('-', "_"),
            value: value.to_owned(),
        };
        Settings::default().set(&setting)?;
        Ok(setting)
    }
}

/// The options of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// How to connect, TLS aside.
    pub(crate) connect: ConnectOptions,
    /// Whether to demand TLS.
    pub(crate) tls: bool,
    /// How to do TLS.
    pub(crate) client_tls: ClientTls,
    max_in_flight: Option<u32>,
    max_attempts: Option<u16>,
    lookupd_poll_interval: Option<Duration>,
    lookupd_poll_timeout: Option<Duration>,
    /// The secret for nsqds is not shown to nsqlookupds.
    keeps_secret: bool,
    requeue_unit: Option<Duration>,
    requeue_longest: Option<Duration>,
    backoff_unit: Option<Duration>,
    backoff_longest: Option<Duration>,
    backoff_jitter: Option<bool>,
    idle_timeout: Option<Duration>,
    turn_timeout: Option<Duration>,
}

impl Settings {
    /// Applies one option.
    ///
    /// # Errors
    /// The name is unknown, or the value is none for it; says what is allowed.
    pub(crate) fn set(&mut self, setting: &Setting) -> Result<(), String> {
        let Setting { name, value } = setting;
        let known = self.set_connection(name, value)? || self.set_consumer(name, value)?;
        if known {
            return Ok(());
        }
        Err(format!(
            "{name:?} is no option; allowed are {}",
            NAMES.join(", ")
        ))
    }

    fn set_connection(&mut self, name: &str, value: &str) -> Result<bool, String> {
        let identify = &mut self.connect.identify;
        match name {
            "dial_timeout" => self.connect.timeout = duration(name, value, SHORT)?,
            "local_addr" => {
                let rule = "wanted is IP:PORT of this host; port 0 is any";
                let address = value
                    .parse()
                    .map_err(|_| format!("{name}: {value:?}: {rule}"))?;
                self.connect.local_address = Some(address);
            }
            "client_id" => identify.client_id = Some(value.to_owned()),
            "hostname" => identify.hostname = Some(value.to_owned()),
            "user_agent" => identify.user_agent = Some(value.to_owned()),
            "topology_region" => identify.topology_region = Some(value.to_owned()),
            "topology_zone" => identify.topology_zone = Some(value.to_owned()),
            "heartbeat_interval" => {
                identify.heartbeat_interval = Some(millis(duration(name, value, SHORT)?));
            }
            "msg_timeout" => identify.msg_timeout = Some(millis(duration(name, value, HOUR)?)),
            "sample_rate" => identify.sample_rate = Some(number(name, value, 0, 99)?),
            "output_buffer_size" => {
                identify.output_buffer_size = Some(number(name, value, -1, i64::from(u32::MAX))?);
            }
            "output_buffer_timeout" => {
                identify.output_buffer_timeout = Some(millis(duration(name, value, SHORT)?));
            }
            "max_msg_size" => self.connect.max_frame_bytes = number(name, value, 1, 1 << 31)?,
            "auth_secret" => self.connect.auth_secret = Some(value.as_bytes().to_vec()),
            "tls_v1" => self.tls = flag(name, value)?,
            "tls_root_ca_file" => self.client_tls.root_ca_file = Some(value.into()),
            "tls_cert" => self.client_tls.cert_file = Some(value.into()),
            "tls_key" => self.client_tls.key_file = Some(value.into()),
            "tls_insecure_skip_verify" => {
                self.client_tls.insecure_skip_verify = flag(name, value)?;
            }
            "tls_min_version" => {
                let version = value.parse();
                self.client_tls.min_version = version.map_err(|rule| format!("{name}: {rule}"))?;
            }
            "snappy" => identify.snappy = Some(flag(name, value)?),
            "deflate" => identify.deflate = Some(flag(name, value)?),
            "deflate_level" => identify.deflate_level = Some(number(name, value, 1, 9)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_consumer(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match name {
            "max_in_flight" => {
                self.max_in_flight = Some(number(name, value, 0, i64::from(u32::MAX))?);
            }
            "max_attempts" => self.max_attempts = Some(number(name, value, 0, 65_535)?),
            "lookupd_poll_interval" => {
                let interval = duration(name, value, SHORT)?;
                if interval < Duration::from_millis(10) {
                    return Err(format!("{name}: {value} is too short; at least 10ms"));
                }
                self.lookupd_poll_interval = Some(interval);
            }
            "lookupd_poll_timeout" => {
                self.lookupd_poll_timeout = Some(duration(name, value, HOUR)?);
            }
            // The name says the contrary of what it always did.
            "skip_lookupd_authorization" => self.keeps_secret = !flag(name, value)?,
            "default_requeue_delay" => self.requeue_unit = Some(duration(name, value, HOUR)?),
            "max_requeue_delay" => self.requeue_longest = Some(duration(name, value, HOUR)?),
            "backoff_multiplier" => self.backoff_unit = Some(duration(name, value, HOUR)?),
            "max_backoff_duration" => self.backoff_longest = Some(duration(name, value, HOUR)?),
            "backoff_strategy" => {
                self.backoff_jitter = Some(match value {
                    "exponential" => false,
                    "full_jitter" => true,
                    _ => {
                        let rule = "allowed are exponential and full_jitter";
                        return Err(format!("{name}: {value:?} is unknown; {rule}"));
                    }
                });
            }
            "low_rdy_idle_timeout" => self.idle_timeout = Some(duration(name, value, SHORT)?),
            "low_rdy_timeout" => self.turn_timeout = Some(duration(name, value, SHORT)?),
            // They have no counterpart here, but a command line that works must go on working.
            "read_timeout" | "write_timeout" | "rdy_redistribute_interval" => {
                duration(name, value, SHORT)?;
            }
            "lookupd_poll_jitter" => {
                let jitter = value.parse().ok();
                if !jitter.is_some_and(|jitter: f64| (0.0..=1.0).contains(&jitter)) {
                    return Err(format!("{name}: {value:?} is not within 0 and 1"));
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Applies what is for a consumer.
    pub(super) fn configure(&self, mut builder: ConsumerBuilder) -> ConsumerBuilder {
        if let Some(attempts) = self.max_attempts.and_then(NonZeroU16::new) {
            builder = builder.max_attempts(attempts, Exhausted::Finish);
        }
        if let Some(count) = self.max_in_flight {
            builder = builder.max_in_flight(count);
        }
        if let Some(interval) = self.lookupd_poll_interval {
            builder = builder.lookupd_interval(interval);
        }
        builder = builder.lookupd_client(self.lookupd_client());
        if let Some(timeout) = self.idle_timeout {
            builder = builder.idle_timeout(timeout);
        }
        if let Some(timeout) = self.turn_timeout {
            builder = builder.turn_timeout(timeout);
        }
        builder.backoff(self.backoff()).requeue_delay(
            self.requeue_unit.unwrap_or(Duration::from_secs(90)),
            self.requeue_longest.unwrap_or(Duration::from_mins(15)),
        )
    }

    /// Who asks nsqlookupds. As with go-nsq they are shown the secret for nsqds: one behind a proxy may want it.
    fn lookupd_client(&self) -> Client {
        let mut limits = Limits::default();
        limits.timeout = self.lookupd_poll_timeout.unwrap_or(limits.timeout);
        let client = Client::new(limits);
        let secret = self.connect.auth_secret.as_deref();
        let secret = secret.and_then(|secret| str::from_utf8(secret).ok());
        match secret.filter(|_| !self.keeps_secret) {
            // One that fits into no header is for nsqds only.
            Some(secret) => client.bearer(secret).unwrap_or(client),
            None => client,
        }
    }

    /// How to connect, TLS included.
    ///
    /// # Errors
    /// A file for TLS cannot be used.
    pub(crate) fn connect_options(self) -> Result<ConnectOptions, Error> {
        let mut connect = self.connect;
        if self.tls {
            connect.tls = TlsMode::Require(self.client_tls.build()?.into());
        }
        Ok(connect)
    }

    fn backoff(&self) -> Backoff {
        let mut backoff = Backoff::default();
        if let Some(unit) = self.backoff_unit {
            backoff = backoff.unit(unit);
        }
        if let Some(longest) = self.backoff_longest {
            backoff = backoff.longest(longest);
        }
        match self.backoff_jitter {
            Some(jitter) => backoff.jitter(jitter),
            None => backoff,
        }
    }
}

/// Longest durations that options allow.
const SHORT: Duration = Duration::from_mins(5);
const HOUR: Duration = Duration::from_hours(1);

const NAMES: [&str; 39] = [
    "auth_secret",
    "backoff_multiplier",
    "backoff_strategy",
    "client_id",
    "default_requeue_delay",
    "deflate",
    "deflate_level",
    "dial_timeout",
    "heartbeat_interval",
    "hostname",
    "local_addr",
    "lookupd_poll_interval",
    "lookupd_poll_jitter",
    "lookupd_poll_timeout",
    "low_rdy_idle_timeout",
    "low_rdy_timeout",
    "max_attempts",
    "max_backoff_duration",
    "max_in_flight",
    "max_msg_size",
    "max_requeue_delay",
    "msg_timeout",
    "output_buffer_size",
    "output_buffer_timeout",
    "rdy_redistribute_interval",
    "read_timeout",
    "sample_rate",
    "skip_lookupd_authorization",
    "snappy",
    "tls_cert",
    "tls_insecure_skip_verify",
    "tls_key",
    "tls_min_version",
    "tls_root_ca_file",
    "tls_v1",
    "topology_region",
    "topology_zone",
    "user_agent",
    "write_timeout",
];

fn duration(name: &str, value: &str, longest: Duration) -> Result<Duration, String> {
    let GoDuration(duration) = value
        .parse()
        .map_err(|rule| format!("{name}: {value:?}: {rule}"))?;
    if duration > longest {
        let longest = GoDuration(longest);
        return Err(format!("{name}: {value} is too long; at most {longest}"));
    }
    Ok(duration)
}

fn number<N: TryFrom<i64>>(name: &str, value: &str, min: i64, max: i64) -> Result<N, String> {
    let number = integer::<i64>(value).map_err(|rule| format!("{name}: {value:?}: {rule}"))?;
    let number = Some(number).filter(|number| (min..=max).contains(number));
    let number = number.and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| format!("{name}: {value} is out of range; allowed are {min} to {max}"))
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    boolean(value).map_err(|rule| format!("{name}: {value:?}: {rule}"))
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).expect("options are an hour at most")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(texts: &[&str]) -> Settings {
        let mut settings = Settings::default();
        for text in texts {
            settings.set(&text.parse().unwrap()).unwrap();
        }
        settings
    }

    #[test]
    fn options_have_both_spellings() {
        let set = settings(&[
            "msg-timeout,2m",
            "snappy",
            "sample_rate=7",
            "auth_secret,a=b,c",
        ]);
        let identify = &set.connect.identify;
        assert_eq!(
            (identify.msg_timeout, identify.sample_rate),
            (Some(120_000), Some(7))
        );
        assert_eq!((identify.snappy, identify.deflate), (Some(true), None));
        assert_eq!(set.connect.auth_secret.as_deref(), Some(&b"a=b,c"[..]));
    }

    #[test]
    fn every_name_is_known() {
        for name in NAMES {
            let values = ["true", "1", "1s", "tls1.2", "exponential", "127.0.0.1:0"];
            let mut set = values
                .iter()
                .map(|value| format!("{name}={value}").parse::<Setting>());
            assert!(set.any(|set| set.is_ok()), "{name}");
        }
    }

    #[test]
    fn a_wrong_option_is_named_with_its_rule() {
        let check = |text: &str, rule: &str| {
            let error = text.parse::<Setting>().unwrap_err();
            assert!(error.contains(rule), "{text}: {error}");
        };
        check(
            "no-such,1",
            "\"no_such\" is no option; allowed are auth_secret, ",
        );
        check("Max-In-Flight,1", "is no option");
        check(
            "max_attempts,99999",
            "max_attempts: 99999 is out of range; allowed are 0 to 65535",
        );
        check("msg_timeout,1000", "needs a unit");
        check("dial_timeout,6m", "at most 5m0s");
        check("lookupd_poll_interval,1ms", "at least 10ms");
        check("lookupd_poll_jitter,2", "within 0 and 1");
        check("local_addr,here", "wanted is IP:PORT");
        check(
            "backoff_strategy,random",
            "allowed are exponential and full_jitter",
        );
        check("deflate_level,10", "1 to 9");
        check("snappy,yes", "snappy");
        check("tls_min_version,tls9", "tls_min_version");
    }
}

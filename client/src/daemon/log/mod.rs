//! Log lines on stderr in the form of the reference, from `tracing` events.
//!
//! ```text
//! [nsqd] 2026/11/21 02:46:36.123456 INFO: topic created topic=orders peer=127.0.0.1:5000
//! prefix local time                 level message       fields of the event, then of its spans
//! ```
//!
//! Values come from strangers, so control characters are escaped and a value with blanks is quoted: one
//! event is one line, whatever a client calls itself. A stderr that is gone, or that nobody reads, is no reason to stop.

mod level;
mod stderr;

use std::{
    fmt::{self, Write as _},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, Ordering},
    },
};

use jiff::Zoned;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span,
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

pub use level::{FATAL, LogLevel, LogLevelError};
pub use stderr::dropped_lines;

/// Reads and changes the level of a running process.
#[derive(Clone, Debug)]
pub struct LogHandle {
    level: Arc<AtomicU8>,
}

impl LogHandle {
    fn new(level: LogLevel) -> Self {
        Self {
            level: Arc::new(AtomicU8::new(level.number())),
        }
    }

    /// Returns the level in force.
    pub fn level(&self) -> LogLevel {
        LogLevel::from_number(self.level.load(Ordering::Relaxed))
    }

    /// Changes the level for the whole process, at once.
    pub fn set_level(&self, level: LogLevel) {
        self.level.store(level.number(), Ordering::Relaxed);
        tracing::callsite::rebuild_interest_cache();
    }
}

/// Starts logging with `prefix` before each line, and returns the handle on its level.
///
/// A process has one log: a second call (several daemons in one process) changes the level, keeps the first
/// prefix and returns the same handle. Where the program has set a `tracing` subscriber of its own,
/// that one stays and the handle has no effect.
pub fn init(prefix: &str, level: LogLevel) -> LogHandle {
    static LOG: OnceLock<LogHandle> = OnceLock::new();
    let handle = LOG.get_or_init(|| {
        let handle = LogHandle::new(level);
        let own = prefix.to_owned();
        let missed = move |count| {
            let text = format!("log lines dropped, as nobody read them count={count}");
            line(&own, LogLevel::Warn, &text) + "\n"
        };
        let lines = Lines {
            prefix: prefix.to_owned(),
            handle: handle.clone(),
            write: move |line: &str| stderr::write_line(line, &missed),
        };
        // The only failure is that a subscriber is there already, which the caller chose.
        let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(lines));
        handle
    });
    handle.set_level(level);
    handle.clone()
}

/// Returns one log line without a newline: for what is said before [`init`], or after it failed.
pub(super) fn line(prefix: &str, level: LogLevel, text: &str) -> String {
    let mut line = start(prefix, level);
    escape(&mut line, text);
    line
}

fn start(prefix: &str, level: LogLevel) -> String {
    let now = Zoned::now().strftime("%Y/%m/%d %H:%M:%S%.6f");
    format!("{prefix}{now} {}: ", level.label())
}

/// The layer that turns events into lines.
struct Lines<W> {
    prefix: String,
    handle: LogHandle,
    write: W,
}

/// The fields of a span as text, kept with the span: ` peer=127.0.0.1:5000`.
struct SpanFields(String);

impl<W: Fn(&str)> Lines<W> {
    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        LogLevel::of(metadata) >= self.handle.level() && *metadata.level() <= Level::DEBUG
    }
}

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Fn(&str) + 'static,
{
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Spans are kept at every level: an error inside a debug span still names its peer.
        if metadata.is_span() || self.passes(metadata) {
            Interest::always()
        } else {
            Interest::never()
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.is_span() || self.passes(metadata)
    }

    fn on_new_span(
        &self,
        attributes: &span::Attributes<'_>,
        id: &span::Id,
        context: Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(SpanFields(fields.rest));
        }
    }

    fn on_record(&self, id: &span::Id, values: &span::Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut fields = Fields::default();
        values.record(&mut fields);
        if let Some(known) = span.extensions_mut().get_mut::<SpanFields>() {
            known.0.push_str(&fields.rest);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = start(&self.prefix, LogLevel::of(event.metadata()));
        line.push_str(&fields.message);
        line.push_str(&fields.rest);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(fields) = span.extensions().get::<SpanFields>() {
                line.push_str(&fields.0);
            }
        }
        line.push('\n');
        (self.write)(&line);
    }
}

/// The fields of an event or a span, escaped: the message, and ` key=value` for each of the others.
#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            return escape(&mut self.message, value);
        }
        let _ = write!(self.rest, " {}=", field.name());
        if value.is_empty() || value.contains([' ', '"', '=']) {
            self.rest.push('"');
            escape(&mut self.rest, &value.replace('"', "\\\""));
            self.rest.push('"');
        } else {
            escape(&mut self.rest, value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_str(field, &value.to_string());
    }
}

/// Appends `text` with its control characters (newlines, terminal escapes) spelled out.
fn escape(line: &mut String, text: &str) {
    for character in text.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tracing::{debug, error, error_span, info, warn};

    use super::*;

    /// Runs `events` under our layer and returns the lines without prefix and time.
    fn logged(level: LogLevel, events: impl FnOnce(&LogHandle)) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let handle = LogHandle::new(level);
        let write = {
            let lines = Arc::clone(&lines);
            move |line: &str| lines.lock().unwrap().push(line.to_owned())
        };
        let layer = Lines {
            prefix: "[t] ".to_owned(),
            handle: handle.clone(),
            write,
        };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            events(&handle);
        });
        let lines = lines.lock().unwrap();
        lines.iter().map(|line| without_time(line)).collect()
    }

    /// Checks that `line` starts with `[t] 2026/11/21 02:46:36.123456 ` and returns what follows.
    fn without_time(line: &str) -> String {
        let shape: String = line
            .chars()
            .take(31)
            .map(|c| if c.is_ascii_digit() { '9' } else { c })
            .collect();
        assert_eq!(shape, "[t] 9999/99/99 99:99:99.999999 ");
        line[31..].strip_suffix('\n').expect("one line").to_owned()
    }

    #[test]
    fn lines_have_level_message_fields_and_those_of_the_span() {
        let lines = logged(LogLevel::Info, |_| {
            let span = error_span!("session", peer = "127.0.0.1:1");
            span.in_scope(|| info!(topic = "orders", depth = 3, "topic created"));
            warn!("odd");
            error!("bad");
            error!(target: FATAL, "the end");
            debug!("not written");
        });
        assert_eq!(
            lines,
            [
                "INFO: topic created topic=orders depth=3 peer=127.0.0.1:1",
                "WARNING: odd",
                "ERROR: bad",
                "FATAL: the end",
            ]
        );
    }

    #[test]
    fn a_value_cannot_forge_a_line_or_a_field() {
        let lines = logged(LogLevel::Info, |_| {
            info!(
                agent = "a\n[nsqd] ERROR: \x1b[2J",
                empty = "",
                "said {}",
                "b\r\nc"
            );
            info!(agent = "x\" topic=y", "plain");
        });
        assert_eq!(
            lines,
            [
                r#"INFO: said b\r\nc agent="a\n[nsqd] ERROR: \u{1b}[2J" empty="""#,
                r#"INFO: plain agent="x\" topic=y""#,
            ]
        );
    }

    #[test]
    fn level_changes_while_running() {
        let lines = logged(LogLevel::Fatal, |log| {
            error!("below fatal");
            log.set_level(LogLevel::Debug);
            debug!("now");
            assert_eq!(log.level(), LogLevel::Debug);
        });
        assert_eq!(lines, ["DEBUG: now"]);
    }

    #[test]
    fn init_twice_returns_the_same_log() {
        let first = init("[one] ", LogLevel::Error);
        let second = init("[two] ", LogLevel::Warn);
        assert_eq!(
            (first.level(), second.level()),
            (LogLevel::Warn, LogLevel::Warn)
        );
    }
}

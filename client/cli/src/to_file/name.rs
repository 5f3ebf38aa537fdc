//! How files are called: a template, filled in with the topic, the host, the time and a revision.
//!
//! | token | older spelling | stands for |
//! | --- | --- | --- |
//! | `{topic}` | `<TOPIC>` | the topic |
//! | `{host}` | `<HOST>` | this host, or what was given instead |
//! | `{pid}` | `<PID>` | the process id |
//! | `{rev}` | `<REV>` | `-` and six digits; nothing if files are never told apart by a revision |
//! | `{time:FORMAT}` | `<DATETIME>` | the time, in strftime's letters |
//!
//! Of strftime there are `%Y %y %m %d %H %I %M %S %B %b %A %a %p %Z %z %%`. Anything else is copied as it is.

use std::path::PathBuf;

use jiff::Zoned;

/// A template with everything filled in that does not change while files are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
    with_revision: bool,
    /// What a compressed file ends with, `.gz` say; not twice.
    suffix: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Time(String),
    Revision,
}

/// What a template is filled in with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'a> {
    /// The topic whose messages are written.
    pub(crate) topic: &'a str,
    /// What stands for `{host}`.
    pub(crate) host: &'a str,
    /// What stands for `<DATETIME>`.
    pub(crate) datetime_format: &'a str,
    /// Whether files of one name and time are told apart.
    pub(crate) with_revision: bool,
    /// What names end with.
    pub(crate) suffix: &'static str,
}

/// Why a template cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    /// Files could not be told apart.
    #[error(
        "file name {0:?} has no {{rev}} (or <REV>), which compression, rotation and a work directory need"
    )]
    NoRevision(String),
    /// A token that nobody knows.
    #[error("file name: {{{0}}} is unknown; allowed are topic, host, pid, rev and time:FORMAT")]
    Unknown(String),
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str, facts: Facts<'_>) -> Result<Template, TemplateError> {
        let mut template = Template {
            parts: Vec::new(),
            with_revision: facts.with_revision,
            suffix: facts.suffix,
        };
        let mut rest = text;
        while !rest.is_empty() {
            let (part, length) = match token(rest, facts)? {
                Some(token) => token,
                None => first_character(rest),
            };
            template.push(part);
            rest = &rest[length..];
        }
        if facts.with_revision && !template.parts.contains(&Part::Revision) {
            return Err(TemplateError::NoRevision(text.to_owned()));
        }
        Ok(template)
    }

    fn push(&mut self, part: Part) {
        match (self.parts.last_mut(), part) {
            (Some(Part::Text(text)), Part::Text(more)) => text.push_str(&more),
            (_, part) => self.parts.push(part),
        }
    }

    /// The name at a time. It changes when a new series of revisions begins.
    pub(crate) fn series(&self, now: &Zoned) -> String {
        let filled = self.parts.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Time(format) => time(format, now),
            Part::Revision if self.with_revision => REVISION.to_string(),
            Part::Revision => String::new(),
        });
        let name: String = filled.collect();
        if name.ends_with(self.suffix) {
            name
        } else {
            name + self.suffix
        }
    }

    /// The path of a revision in a series, relative to the directory of the files.
    pub(crate) fn path(series: &str, revision: u32) -> PathBuf {
        series.replace(REVISION, &format!("-{revision:06}")).into()
    }
}

/// Holds the place of the revision in a series; no path can have it.
const REVISION: char = '\0';

/// The token that `text` starts with, and its length.
fn token(text: &str, facts: Facts<'_>) -> Result<Option<(Part, usize)>, TemplateError> {
    let (open, close) = match text.as_bytes()[0] {
        b'{' => (1, '}'),
        b'<' => (1, '>'),
        _ => return Ok(None),
    };
    let Some(end) = text.find(close) else {
        return Ok(None);
    };
    let word = &text[open..end];
    let part = match (close, word) {
        ('}', "topic") | ('>', "TOPIC") => Part::Text(facts.topic.to_owned()),
        ('}', "host") | ('>', "HOST") => Part::Text(facts.host.to_owned()),
        ('}', "pid") | ('>', "PID") => Part::Text(std::process::id().to_string()),
        ('}', "rev") | ('>', "REV") => Part::Revision,
        ('>', "DATETIME") => Part::Time(facts.datetime_format.to_owned()),
        ('>', _) => return Ok(None),
        _ => match word.strip_prefix("time:") {
            Some(format) => Part::Time(format.to_owned()),
            None => return Err(TemplateError::Unknown(word.to_owned())),
        },
    };
    Ok(Some((part, end + 1)))
}

fn first_character(text: &str) -> (Part, usize) {
    let length = text.chars().next().map_or(0, char::len_utf8);
    (Part::Text(text[..length].to_owned()), length)
}

/// Fills in the letters of strftime that are known; whatever else there is stays.
fn time(format: &str, now: &Zoned) -> String {
    let mut text = String::new();
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        let length = 1 + rest[at + 1..].chars().next().map_or(0, char::len_utf8);
        let directive = &rest[at..at + length];
        if directive.len() == 2 && DIRECTIVES.contains(&directive[1..]) {
            text.push_str(&now.strftime(directive).to_string());
        } else {
            text.push_str(directive);
        }
        rest = &rest[at + length..];
    }
    text + rest
}

const DIRECTIVES: &str = "YymdHIMSBbAapZz%";

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use jiff::tz::TimeZone;

    use super::*;

    fn facts(with_revision: bool, suffix: &'static str) -> Facts<'static> {
        Facts {
            topic: "orders",
            host: "vm",
            datetime_format: "%Y-%m-%d_%H",
            with_revision,
            suffix,
        }
    }

    fn name(text: &str, facts: Facts<'_>) -> String {
        let zone = TimeZone::posix("CET-1").unwrap();
        let now = date(2026, 11, 3).at(2, 4, 5, 0).to_zoned(zone).unwrap();
        let series = Template::parse(text, facts).unwrap().series(&now);
        Template::path(&series, 3).display().to_string()
    }

    #[test]
    fn names_are_those_of_the_reference() {
        let old = "<TOPIC>.<HOST><REV>.<DATETIME>.log";
        let new = "{topic}.{host}{rev}.{time:%Y-%m-%d_%H}.log";
        for text in [old, new] {
            assert_eq!(name(text, facts(false, "")), "orders.vm.2026-11-03_02.log");
            assert_eq!(
                name(text, facts(true, "")),
                "orders.vm-000003.2026-11-03_02.log"
            );
            assert_eq!(
                name(text, facts(true, ".gz")),
                "orders.vm-000003.2026-11-03_02.log.gz"
            );
        }
        assert_eq!(
            name("a/<TOPIC><REV>.gz", facts(true, ".gz")),
            "a/orders-000003.gz"
        );
        assert_eq!(name("<REV>x<REV>", facts(true, "")), "-000003x-000003");
        assert_eq!(
            name("<PID>", facts(false, "")),
            std::process::id().to_string()
        );
    }

    #[test]
    fn what_is_no_token_stays() {
        let check = |text: &str| assert_eq!(name(text, facts(false, "")), text);
        check("<topic>.<X>");
        check("v1.2-Jan-é");
        check("a<b{c");
    }

    #[test]
    fn every_letter_of_strftime() {
        let check = |format: &str, expected: &str| {
            let text = format!("{{time:{format}}}");
            assert_eq!(name(&text, facts(false, "")), expected, "{format}");
        };
        check("%Y %y %m %d", "2026 26 11 03");
        check("%H %I %M %S %p", "02 02 04 05 AM");
        check("%B %b %A %a", "November Nov Tuesday Tue");
        check("%Z %z %%", "CET +0100 %");
        check("%q%j%é% %", "%q%j%é% %");
        check("v1.2-Jan-%Y", "v1.2-Jan-2026");
    }

    #[test]
    fn a_revision_that_is_needed_must_be_there() {
        let refused = |text: &str| Template::parse(text, facts(true, "")).unwrap_err();
        assert_eq!(
            refused("a.log"),
            TemplateError::NoRevision("a.log".to_owned())
        );
        assert_eq!(
            refused("{revision}"),
            TemplateError::Unknown("revision".to_owned())
        );
    }
}

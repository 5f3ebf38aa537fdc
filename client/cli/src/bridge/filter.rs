//! Which messages cross a bridge, and with which of their fields. Values are never read, so numbers keep every digit
//! and fields their order.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// What becomes of messages by their JSON.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    /// A field that must be there, and the value that it must have.
    pub(crate) require: Option<(String, Option<String>)>,
    /// The only fields that are passed on; empty is all, and the message stays as it is.
    pub(crate) fields: Vec<String>,
    /// What becomes of a message that is no JSON object.
    pub(crate) invalid: Invalid,
}

/// What becomes of a message that is no JSON object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Invalid {
    /// Finished and counted
    #[default]
    Drop,
    /// Given back
    Requeue,
    /// Published as it is
    Pass,
}

/// What becomes of one message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Published as it is.
    Pass,
    /// This is published instead.
    Change(Vec<u8>),
    /// It is not wanted.
    Drop,
    /// It is no JSON object; see [`Invalid`].
    Invalid,
}

impl Filter {
    /// What becomes of a message.
    pub(super) fn judge(&self, body: &[u8]) -> Verdict {
        if self.require.is_none() && self.fields.is_empty() {
            return Verdict::Pass;
        }
        let Some(Fields(fields)) = parse(body) else {
            return Verdict::Invalid;
        };
        if !self.is_wanted(&fields) {
            return Verdict::Drop;
        }
        if self.fields.is_empty() {
            return Verdict::Pass;
        }
        Verdict::Change(self.project(&fields))
    }

    fn is_wanted(&self, fields: &[(String, &RawValue)]) -> bool {
        let Some((name, wanted)) = &self.require else {
            return true;
        };
        // Of fields with the same name the last one counts, as everywhere.
        let field = fields.iter().rev().find(|(field, _)| field == name);
        match (field, wanted) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some((_, value)), Some(wanted)) => is_value(value.get(), wanted),
        }
    }

    fn project(&self, fields: &[(String, &RawValue)]) -> Vec<u8> {
        let mut object = vec![b'{'];
        for (index, (name, value)) in fields.iter().enumerate() {
            let is_last = !fields[index + 1..].iter().any(|(later, _)| later == name);
            if !is_last || !self.fields.contains(name) {
                continue;
            }
            if object.len() > 1 {
                object.push(b',');
            }
            serde_json::to_writer(&mut object, name).expect("a string is always JSON");
            object.push(b':');
            object.extend_from_slice(compact(value.get()).as_bytes());
        }
        object.push(b'}');
        object
    }
}

/// The fields of an object, in their order.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

fn parse(body: &[u8]) -> Option<Fields<'_>> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let fields = deserializer.deserialize_map(FieldsVisitor).ok()?;
    deserializer.end().ok()?;
    Some(fields)
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

/// Whether the value is this text, or this number.
fn is_value(value: &str, wanted: &str) -> bool {
    if value.starts_with('"') {
        return serde_json::from_str::<String>(value).is_ok_and(|text| text == wanted);
    }
    let is_number = value.starts_with(|first: char| first == '-' || first.is_ascii_digit());
    if !is_number {
        return false;
    }
    // The same digits are the same number; other spellings are compared as everybody reads them.
    let number = |text: &str| text.parse::<f64>().ok();
    value == wanted
        || (number(value).is_some() && number(value) == number(wanted) && !is_long(value))
}

/// Whether a number has more digits than a float can tell apart.
fn is_long(value: &str) -> bool {
    value.bytes().filter(u8::is_ascii_digit).count() > 15
}

/// The value without white space between its parts.
fn compact(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut in_string = false;
    let mut escaped = false;
    for character in value.chars() {
        if !in_string && character.is_ascii_whitespace() {
            continue;
        }
        if character == '"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && character == '\\' && !escaped;
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter(require: Option<(&str, Option<&str>)>, fields: &[&str]) -> Filter {
        Filter {
            require: require.map(|(name, value)| (name.to_owned(), value.map(str::to_owned))),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
            invalid: Invalid::Drop,
        }
    }

    fn check(filter: &Filter, body: &str, expected: &Verdict) {
        assert_eq!(
            filter.judge(body.as_bytes()),
            *expected,
            "{filter:?} {body}"
        );
    }

    #[test]
    fn without_a_filter_everything_passes() {
        check(&Filter::default(), "no JSON", &Verdict::Pass);
    }

    #[test]
    fn what_is_no_object_is_invalid() {
        let filter = filter(Some(("a", None)), &[]);
        for body in [
            "",
            "no",
            "1",
            "[]",
            "\"a\"",
            "null",
            "{\"a\":1",
            "{\"a\":1}{}",
            "{\"a\":}",
        ] {
            check(&filter, body, &Verdict::Invalid);
        }
        assert_eq!(filter.judge(b"{\"a\":\"\xff\"}"), Verdict::Invalid);
    }

    #[test]
    fn a_required_field_is_there_or_has_the_value() {
        let there = filter(Some(("a", None)), &[]);
        check(&there, r#"{"a":null}"#, &Verdict::Pass);
        check(&there, r#"{"b":{"a":1}}"#, &Verdict::Drop);
        let check_value = |wanted: &str, value: &str, passes: bool| {
            let filter = filter(Some(("a", Some(wanted))), &[]);
            let verdict = if passes { Verdict::Pass } else { Verdict::Drop };
            check(&filter, &format!(r#" {{"b":0, "a": {value}}}"#), &verdict);
        };
        check_value("x", r#""x""#, true);
        check_value("x", r#""\u0078""#, true);
        check_value("x", r#""X""#, false);
        check_value("1", "1", true);
        check_value("1", "1.0", true);
        check_value("1e2", "100", true);
        check_value("1", r#""1""#, true);
        check_value("1", "2", false);
        check_value("12345678901234567890", "12345678901234567890", true);
        check_value("12345678901234567890", "12345678901234567891", false);
        for value in ["true", "null", "[1]", r#"{"a":1}"#] {
            check_value("1", value, false);
            check_value("true", value, false);
        }
        check(&filter(Some(("a", Some("1"))), &[]), "{}", &Verdict::Drop);
    }

    #[test]
    fn projection_keeps_order_and_every_digit() {
        let check_fields = |fields: &[&str], body: &str, expected: &str| {
            let expected = Verdict::Change(expected.as_bytes().to_vec());
            check(&filter(None, fields), body, &expected);
        };
        let body = r#"{"z": 12345678901234567890, "b": 1, "a": {"x": [1.10, "a \" b"]}}"#;
        check_fields(
            &["a", "z"],
            body,
            r#"{"z":12345678901234567890,"a":{"x":[1.10,"a \" b"]}}"#,
        );
        check_fields(&["none"], body, "{}");
        check_fields(&["a"], r#"{"a":1,"b":2,"a":"<&>\\"}"#, r#"{"a":"<&>\\"}"#);
    }
}

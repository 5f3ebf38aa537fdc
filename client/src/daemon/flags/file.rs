//! The configuration file: TOML, one flat table. Each known key becomes the flag it stands for, so that one set
//! of value parsers judges both; unknown keys are ignored.
//!
//! | flag takes | TOML |
//! | --- | --- |
//! | integer | an integer, or a string with one |
//! | duration | a string in Go's syntax, or an integer: milliseconds |
//! | boolean | a boolean, or a string with one |
//! | list | an array, or one string with commas; empty elements are left out |
//! | anything else | a string |
//!
//! Where the reference crashes on a value or turns it around (an integer for a boolean), it is refused here.

use std::{
    any::TypeId,
    ffi::OsString,
    io,
    path::{Path, PathBuf},
};

use clap::{Arg, ArgAction, Command};
use thiserror::Error;
use toml::Value;

use super::{Daemon, arguments, matches};
use crate::daemon::duration::GoDuration;

/// Why a configuration file cannot be used.
#[derive(Debug, Error)]
#[error("failed to load config file {} - {cause}", path.display())]
pub(super) struct FileError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug, Error)]
enum Cause {
    #[error(transparent)]
    Read(io::Error),
    #[error("not TOML: {0}")]
    Syntax(String),
    #[error("key {key}: {value} is not {allowed}")]
    Type {
        key: String,
        value: String,
        allowed: &'static str,
    },
    #[error("key {key}: {text}")]
    Value { key: String, text: String },
}

/// Returns the flags that the file at `path` sets, apart from those whose id `is_given` on the command line.
pub(super) fn as_flags(
    command: &Command,
    daemon: &Daemon,
    path: &Path,
    is_given: impl Fn(&str) -> bool,
) -> Result<Vec<OsString>, FileError> {
    let failed = |cause| FileError {
        path: path.to_owned(),
        cause,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(Cause::Read(error)))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error| failed(Cause::Syntax(one_line(&text, &error))))?;

    let mut flags = Vec::new();
    for arg in command.get_arguments() {
        let Some((name, key)) = name_and_key(daemon, arg) else {
            continue;
        };
        let Some(value) = table.get(&key) else {
            continue;
        };
        if is_given(arg.get_id().as_str()) {
            continue;
        }
        let set = flags_of(command, arg, name, &key, value).map_err(failed)?;
        flags.extend(set);
    }
    Ok(flags)
}

/// The flags that `key = value` stands for: one, or one for each element of a list.
fn flags_of(
    command: &Command,
    arg: &Arg,
    name: &str,
    key: &str,
    value: &Value,
) -> Result<Vec<OsString>, Cause> {
    let texts = if matches!(arg.get_action(), ArgAction::Append) {
        elements(arg, key, value)?
    } else {
        vec![scalar(arg, key, value)?]
    };
    let flags = texts
        .iter()
        .map(|text| arguments::flag_with_value(name, text.as_ref()));
    let flags: Vec<OsString> = flags.collect();

    // Judged key by key, so that the error can name the key.
    let judged = std::iter::once(OsString::from(command.get_name())).chain(flags.iter().cloned());
    matches(command, &judged.collect::<Vec<_>>()).map_err(|text| Cause::Value {
        key: key.to_owned(),
        text,
    })?;
    Ok(flags)
}

/// The flag's name and its key, unless the file cannot set it.
fn name_and_key<'a>(daemon: &Daemon, arg: &'a Arg) -> Option<(&'a str, String)> {
    let name = arg.get_long()?;
    let special = daemon.config_keys.iter().find(|(flag, _)| *flag == name);
    match special {
        Some((_, key)) => Some((name, (*key)?.to_owned())),
        None if ["config", super::VERSION].contains(&name) => None,
        None => Some((name, name.replace('-', "_"))),
    }
}

fn elements(arg: &Arg, key: &str, value: &Value) -> Result<Vec<String>, Cause> {
    let texts = match value {
        Value::Array(values) => values
            .iter()
            .map(|value| scalar(arg, key, value))
            .collect::<Result<Vec<_>, _>>()?,
        Value::String(text) => text.split(',').map(|part| part.trim().to_owned()).collect(),
        other => return Err(wrong_type(key, other, "an array, or a string with commas")),
    };
    Ok(texts.into_iter().filter(|text| !text.is_empty()).collect())
}

/// One value as the text that the flag would have on the command line.
fn scalar(arg: &Arg, key: &str, value: &Value) -> Result<String, Cause> {
    let takes = arg.get_value_parser().type_id();
    let (is_bool, is_duration) = (
        takes == TypeId::of::<bool>(),
        takes == TypeId::of::<GoDuration>(),
    );
    let texts = [
        TypeId::of::<String>(),
        TypeId::of::<OsString>(),
        TypeId::of::<PathBuf>(),
    ];
    let is_text = texts.iter().any(|text| takes == *text);
    // A flag such as `--tls-required`, which means true when bare, is a boolean among other things.
    let is_text = is_text && !arguments::may_stand_bare(arg);
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(millis) if is_duration => Ok(format!("{millis}ms")),
        other if is_duration => Err(wrong_type(
            key,
            other,
            "a duration: a string such as \"1m30s\", or milliseconds",
        )),
        Value::Boolean(_) if !is_text => Ok(shown(value)),
        other if is_bool => Err(wrong_type(key, other, "a boolean: true or false")),
        other if is_text => Err(wrong_type(key, other, "a string")),
        Value::Integer(_) | Value::Float(_) => Ok(shown(value)),
        other => Err(wrong_type(key, other, "a single value")),
    }
}

fn wrong_type(key: &str, value: &Value, allowed: &'static str) -> Cause {
    Cause::Type {
        key: key.to_owned(),
        value: shown(value),
        allowed,
    }
}

/// A single value as a flag would have it; of anything bigger only what it is.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Boolean(value) => value.to_string(),
        other => format!("the {} given", other.type_str()),
    }
}

/// What is wrong with the TOML, and on which line.
fn one_line(text: &str, error: &toml::de::Error) -> String {
    let what = error.message().lines().next().unwrap_or_default();
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {what}", before.lines().count().max(1)),
        None => what.to_owned(),
    }
}

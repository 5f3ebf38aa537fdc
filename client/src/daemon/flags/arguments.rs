//! Words of a Go-style command line, rewritten to the one form that clap reads alike: `--name=value`.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt as _,
};

use clap::{Arg, Command};

use super::Exit;

/// Rewrites `words` (without the program's name). A lone `--` ends the flags, as in Go.
///
/// # Errors
///
/// Usage was asked for; a flag is unknown or lacks its value; a word is no flag.
pub(super) fn with_double_dashes(
    command: &Command,
    words: impl Iterator<Item = OsString>,
) -> Result<Vec<OsString>, Exit> {
    let mut words = words;
    let mut rewritten = Vec::new();
    while let Some(word) = words.next() {
        let Some(flag) = word.as_bytes().strip_prefix(b"-") else {
            return Err(no_flag(&word));
        };
        if flag == b"-" {
            break;
        }
        let flag = flag.strip_prefix(b"-").unwrap_or(flag);
        // Split as bytes: a path need not be UTF-8.
        let (name, value) = match flag.iter().position(|byte| *byte == b'=') {
            Some(at) => (
                &flag[..at],
                Some(OsStr::from_bytes(&flag[at + 1..]).to_owned()),
            ),
            None => (flag, None),
        };
        let name = &*String::from_utf8_lossy(name);
        if name == "h" || name == "help" {
            return Err(usage(command));
        }
        let Some(arg) = find(command, name) else {
            return Err(wrong(format!(
                "unknown flag --{name}; {} -h lists the flags",
                command.get_name()
            )));
        };
        let value = match value {
            Some(value) => value,
            None if may_stand_bare(arg) => OsString::from("true"),
            None => words
                .next()
                .ok_or_else(|| wrong(format!("flag --{name} needs a value")))?,
        };
        rewritten.push(flag_with_value(name, &value));
    }
    match words.next() {
        Some(word) => Err(no_flag(&word)),
        None => Ok(rewritten),
    }
}

/// The declaration of the flag `name`.
pub(super) fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    command
        .get_arguments()
        .find(|arg| arg.get_long() == Some(name))
}

pub(super) fn flag_with_value(name: &str, value: &OsStr) -> OsString {
    let mut flag = OsString::from(format!("--{name}="));
    flag.push(value);
    flag
}

/// True for booleans, and for flags that declare `num_args = 0..=1`.
pub(super) fn may_stand_bare(arg: &Arg) -> bool {
    arg.get_num_args()
        .is_some_and(|count| count.min_values() == 0)
}

fn usage(command: &Command) -> Exit {
    let text = command.clone().render_help().to_string();
    Exit {
        status: 0,
        text: text.trim_end().to_owned(),
        to_stdout: false,
    }
}

fn no_flag(word: &OsStr) -> Exit {
    wrong(format!(
        "unexpected word {:?}; flags start with '-', and a boolean takes its value as --flag=false",
        word.to_string_lossy()
    ))
}

fn wrong(text: String) -> Exit {
    Exit::wrong_command_line(text)
}

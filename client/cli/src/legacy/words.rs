//! Where the flags of a Go-style command line end.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt as _;

use clap::{ArgAction, Command};

/// Splits the words of a command line into its flags with their values, and what follows them: everything from the
/// first word that is no flag, or behind a lone `--`.
pub(super) fn split(command: &Command, words: Vec<OsString>) -> (Vec<OsString>, Vec<OsString>) {
    let mut flags = Vec::new();
    let mut words = words.into_iter();
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        }
        if word == "-" || !word.as_bytes().starts_with(b"-") {
            let rest = std::iter::once(word).chain(words).collect();
            return (flags, rest);
        }
        let wants_value = wants_value(command, &word);
        flags.push(word);
        if wants_value {
            flags.extend(words.next());
        }
    }
    (flags, words.collect())
}

/// Whether the value of this flag is the next word. An unknown flag wants nothing but its refusal.
fn wants_value(command: &Command, word: &OsString) -> bool {
    let text = word.to_string_lossy();
    let name = text.trim_start_matches('-');
    let flag = command
        .get_arguments()
        .find(|flag| flag.get_long() == Some(name));
    flag.is_some_and(|flag| !matches!(flag.get_action(), ArgAction::SetTrue))
}

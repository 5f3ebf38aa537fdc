//! The configuration file of nsqd.

use std::cell::OnceCell;
use std::ffi::OsString;

use client::daemon::flags;
use nsqd::options::DAEMON;
use nsqd::{Flags, Options};
use tempfile::NamedTempFile;

thread_local! {
    /// Written over for each input, in memory where the system has such a place.
    static FILE: OnceCell<NamedTempFile> = const { OnceCell::new() };
}

/// A file is either refused, in one line and with the status that says so, or gives settings of which each can be shown.
pub fn config(data: &[u8]) {
    FILE.with(|file| {
        let file = file.get_or_init(|| {
            NamedTempFile::new_in("/dev/shm")
                .or_else(|_| NamedTempFile::new())
                .expect("there is room for a small file")
        });
        std::fs::write(file.path(), data).expect("there is room for a small file");
        let mut argument = OsString::from("--config=");
        argument.push(file.path());
        check(["nsqd".into(), argument]);
    });
}

fn check(arguments: [OsString; 2]) {
    match flags::parse::<Flags>(&DAEMON, arguments) {
        Ok(mut flags) => {
            // These name files, which are not to be read here.
            flags.tls_cert.clear();
            flags.tls_key.clear();
            flags.tls_root_ca_file.clear();
            if let Ok(options) = Options::check(flags) {
                for key in ["id", "tcp_address", "msg_timeout", "snappy", "sync_every"] {
                    assert!(options.config_value(key).is_some(), "{key}");
                }
            }
        }
        Err(exit) => {
            assert!(matches!(exit.status, 1 | 2) && !exit.to_stdout);
            assert!(!exit.text.trim_end().contains('\n'), "{}", exit.text);
        }
    }
}

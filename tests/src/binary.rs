//! Where the daemons under test come from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

static NSQD: OnceLock<PathBuf> = OnceLock::new();
static SABOTEUR: OnceLock<PathBuf> = OnceLock::new();
static NSQLOOKUPD: OnceLock<PathBuf> = OnceLock::new();
static NSQADMIN: OnceLock<PathBuf> = OnceLock::new();
static NSQ: OnceLock<PathBuf> = OnceLock::new();

/// The nsqd to test: what `NSQD_BIN` names, otherwise the one of this workspace.
///
/// `cargo test` builds the library of nsqd, but not always its program, and an old program would be tested without
/// anybody noticing; so it is built here once per test run, beside the test binary and in the same profile.
pub fn nsqd() -> &'static Path {
    NSQD.get_or_init(|| chosen("NSQD_BIN").unwrap_or_else(|| build("nsqd")))
}

/// The nsqlookupd to test, likewise: what `NSQLOOKUPD_BIN` names, otherwise the one of this workspace.
pub fn nsqlookupd() -> &'static Path {
    NSQLOOKUPD.get_or_init(|| chosen("NSQLOOKUPD_BIN").unwrap_or_else(|| build("nsqlookupd")))
}

/// The nsqadmin to test, likewise: what `NSQADMIN_BIN` names, otherwise the one of this workspace.
pub fn nsqadmin() -> &'static Path {
    NSQADMIN.get_or_init(|| chosen("NSQADMIN_BIN").unwrap_or_else(|| build("nsqadmin")))
}

/// The `nsq` command to test, likewise: what `NSQ_BIN` names, otherwise the one of this workspace.
pub fn nsq() -> &'static Path {
    NSQ.get_or_init(|| chosen("NSQ_BIN").unwrap_or_else(|| build("nsq")))
}

/// An nsqd that can be told to break its promises: what `NSQD_SABOTAGE_BIN` names, otherwise one that is built here with the feature
/// `sabotage`, beside the honest one.
pub fn saboteur() -> &'static Path {
    SABOTEUR.get_or_init(|| {
        chosen("NSQD_SABOTAGE_BIN").unwrap_or_else(|| {
            let program = build_with("nsqd", &["--features", "nsqd/sabotage"]);
            let saboteur = program.with_file_name("nsqd-sabotage");
            std::fs::copy(&program, &saboteur).expect("a program can be copied");
            // The honest one is to be found at its place again.
            build("nsqd");
            saboteur
        })
    })
}

fn chosen(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from)
}

/// Tests this nsqd instead. Has no effect once one was started.
pub fn choose(program: PathBuf) {
    let _ = NSQD.set(program);
}

/// The folder of the build profile that this program was built in, such as `target/debug`.
fn profile_dir() -> PathBuf {
    let program = std::env::current_exe().expect("a running program has a path");
    let folder = program.parent().expect("a program lies in a folder");
    match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().expect("deps lies in a profile").into(),
        _ => folder.into(),
    }
}

fn build(name: &str) -> PathBuf {
    build_with(name, &[])
}

fn build_with(name: &str, arguments: &[&str]) -> PathBuf {
    let profile_dir = profile_dir();
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // The whole workspace with one binary chosen: the same features, so nothing is compiled twice.
    cargo.args([
        "build",
        "--quiet",
        "--workspace",
        "--bin",
        name,
        "--manifest-path",
    ]);
    cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("Cargo.toml"));
    cargo.arg("--target-dir").arg(
        profile_dir
            .parent()
            .expect("a profile lies in the target dir"),
    );
    cargo.args(arguments);
    if profile_dir.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.status().expect("cargo can be started");
    assert!(
        status.success(),
        "{name} does not build; NSQD_BIN, NSQLOOKUPD_BIN, NSQADMIN_BIN and NSQ_BIN may name built ones"
    );
    profile_dir.join(name)
}

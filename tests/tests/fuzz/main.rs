//! Every fuzz target over its seeds, and over inputs that come of them.
//!
//! The fuzzer itself is in `tests/fuzz`; an input that it finds is kept there as a seed. `NSQ_FUZZ_SECONDS` is how long each
//! target is tried with inputs that nobody has looked at, 1 by default.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tests::fuzz::{TARGETS, Target, mutate::mutate};
use tests::random;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The seeds of a target, each with the name of its file.
fn seeds(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = folder().join("seeds").join(target);
    let entries = fs::read_dir(folder).expect("each target has seeds");
    let read = |path: PathBuf| {
        let input = fs::read(&path).expect("a seed is a file");
        (path.display().to_string(), input)
    };
    let paths = entries.map(|entry| entry.expect("a folder can be read").path());
    let mut seeds: Vec<_> = paths.map(read).collect();
    seeds.sort();
    seeds
}

#[track_caller]
fn check(target: Target, input: &[u8], origin: &str) {
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(outcome.is_ok(), "{origin}: b\"{}\"", input.escape_ascii());
}

#[test]
fn every_target_has_a_program_and_seeds() {
    let mut programs: Vec<_> = fs::read_dir(folder().join("fuzz_targets"))
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_owned())
        .collect();
    programs.sort();
    let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(programs, names);
    for name in names {
        assert!(!seeds(name).is_empty(), "{name}");
    }
}

#[test]
fn seeds_are_harmless() {
    for (name, target) in TARGETS {
        for (file, input) in seeds(name) {
            check(*target, &input, &file);
        }
    }
}

#[test]
fn what_comes_of_seeds_is_harmless() {
    let seconds = std::env::var("NSQ_FUZZ_SECONDS").map_or(1, |text| text.parse().unwrap());
    let mut rng = random::seeded("fuzz");
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        let until = Instant::now() + Duration::from_secs(seconds);
        let mut executions = 0_u64;
        while Instant::now() < until {
            let (file, seed) = rng.choice(&seeds).unwrap();
            let (_, other) = rng.choice(&seeds).unwrap();
            let mut input = seed.clone();
            mutate(&mut input, other, &mut rng);
            check(*target, &input, file);
            executions += 1;
        }
        eprintln!("{name}: {executions} executions");
        assert!(executions > 0);
    }
}

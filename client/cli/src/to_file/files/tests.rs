use std::collections::BTreeMap;
use std::io::Read as _;

use tempfile::TempDir;

use super::super::name::Facts;
use super::*;

struct Setup {
    directory: TempDir,
    options: Options,
    format: &'static str,
}

impl Setup {
    fn new() -> Setup {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        Setup {
            options: Options {
                output_dir: path.clone(),
                work_dir: path,
                encoding: Encoding::Plain,
                limits: Limits::default(),
                size: Size::Messages,
                skip_empty_files: false,
                utc: true,
            },
            format: "{topic}{rev}.log",
            directory,
        }
    }

    fn with_work_dir(mut self) -> Setup {
        self.options.work_dir = self.directory.path().join("work");
        self
    }

    fn with_encoding(mut self, encoding: Encoding) -> Setup {
        self.options.encoding = encoding;
        self
    }

    fn with_limit(mut self, bytes: u64) -> Setup {
        self.options.limits.bytes = bytes;
        self
    }

    fn files(&self) -> Files {
        let options = &self.options;
        let facts = Facts {
            topic: "t",
            host: "h",
            datetime_format: "",
            with_revision: options.encoding != Encoding::Plain
                || options.limits != Limits::default()
                || options.work_dir != options.output_dir,
            suffix: options.encoding.suffix(),
        };
        Files::new(
            options.clone(),
            Template::parse(self.format, facts).unwrap(),
        )
    }

    /// What stands in the output directory.
    #[track_caller]
    fn check(&self, expected: &[(&str, &str)]) {
        let entries = fs::read_dir(&self.options.output_dir).into_iter().flatten();
        let found: BTreeMap<String, String> = entries
            .map(|entry| {
                let entry = entry.unwrap();
                let name = entry.file_name().into_string().unwrap();
                (name, decoded(&entry.path()))
            })
            .collect();
        let expected = expected
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        assert_eq!(found, expected.collect());
    }
}

fn decoded(path: &Path) -> String {
    let bytes = fs::read(path).unwrap();
    let mut text = String::new();
    match path.extension().unwrap().to_str().unwrap() {
        "gz" => {
            let mut reader = flate2::read::MultiGzDecoder::new(&bytes[..]);
            reader.read_to_string(&mut text).unwrap();
        }
        "zst" => text = String::from_utf8(zstd::decode_all(&bytes[..]).unwrap()).unwrap(),
        _ => text = String::from_utf8(bytes).unwrap(),
    }
    text
}

#[test]
fn a_plain_file_is_appended_to_by_whoever_comes_next() {
    let setup = Setup::new();
    for body in ["a", "b"] {
        let mut files = setup.files();
        assert!(!files.append(body.as_bytes()).unwrap());
        files.close().unwrap();
    }
    setup.check(&[("t.log", "a\nb\n")]);
}

#[test]
fn what_was_synced_is_there_without_a_close() {
    for encoding in [Encoding::Plain, Encoding::Gzip(6), Encoding::Zstd(3)] {
        let setup = Setup::new().with_encoding(encoding);
        let mut files = setup.files();
        files.append(b"a").unwrap();
        files.sync().unwrap();
        files.append(b"b").unwrap();
        files.sync().unwrap();
        drop(files);
        let name = match encoding {
            Encoding::Plain => "t.log".to_owned(),
            encoding => format!("t-000000.log{}", encoding.suffix()),
        };
        setup.check(&[(&name, "a\nb\n")]);
    }
}

#[test]
fn a_line_that_a_crash_has_cut_is_ended() {
    let setup = Setup::new();
    fs::create_dir(&setup.options.output_dir).unwrap();
    fs::write(setup.options.output_dir.join("t.log"), "a\nto").unwrap();
    let mut files = setup.files();
    files.append(b"b").unwrap();
    files.close().unwrap();
    setup.check(&[("t.log", "a\nto\nb\n")]);
}

#[test]
fn a_file_passes_its_size_by_one_message_at_most() {
    let setup = Setup::new().with_limit(3);
    let mut files = setup.files();
    let rotated = ["ab", "c", "d"].map(|body| files.append(body.as_bytes()).unwrap());
    assert_eq!(rotated, [false, false, true]);
    files.close().unwrap();
    setup.check(&[("t-000000.log", "ab\nc\n"), ("t-000001.log", "d\n")]);

    // The first is full, the second is not.
    let mut files = setup.files();
    files.append(b"e").unwrap();
    files.close().unwrap();
    setup.check(&[("t-000000.log", "ab\nc\n"), ("t-000001.log", "d\ne\n")]);
}

#[test]
fn size_on_disk_is_what_a_compressed_file_has() {
    let mut setup = Setup::new().with_limit(60).with_encoding(Encoding::Gzip(6));
    setup.options.size = Size::Disk;
    let mut files = setup.files();
    let body = "x".repeat(1000);
    for _ in 0..2 {
        assert!(!files.append(body.as_bytes()).unwrap());
        files.sync().unwrap();
    }
    while !files.append(b"y").unwrap() {
        files.sync().unwrap();
    }
    files.close().unwrap();
    let size = fs::metadata(setup.options.output_dir.join("t-000000.log.gz"))
        .unwrap()
        .len();
    assert!((61..120).contains(&size), "{size}");
}

#[test]
fn age_makes_new_files_and_never_appends() {
    let mut setup = Setup::new();
    setup.options.limits.age = Duration::from_nanos(1);
    let mut files = setup.files();
    for body in ["a", "b"] {
        files.append(body.as_bytes()).unwrap();
    }
    files.close().unwrap();
    let mut files = setup.files();
    files.append(b"c").unwrap();
    files.close().unwrap();
    setup.check(&[
        ("t-000000.log", "a\n"),
        ("t-000001.log", "b\n"),
        ("t-000002.log", "c\n"),
    ]);
}

#[test]
fn finished_files_move_and_skip_names_that_are_taken() {
    let setup = Setup::new().with_work_dir();
    fs::create_dir(&setup.options.output_dir).unwrap();
    fs::write(setup.options.output_dir.join("t-000000.log"), "old").unwrap();
    let mut files = setup.files();
    files.append(b"a").unwrap();
    files.sync().unwrap();
    setup.check(&[("t-000000.log", "old")]);
    // Somebody takes the name while the file is written.
    fs::write(setup.options.output_dir.join("t-000001.log"), "new").unwrap();
    files.close().unwrap();
    files.append(b"b").unwrap();
    files.close().unwrap();
    setup.check(&[
        ("t-000000.log", "old"),
        ("t-000001.log", "new"),
        ("t-000002.log", "a\n"),
        ("t-000003.log", "b\n"),
    ]);
    assert_eq!(fs::read_dir(&setup.options.work_dir).unwrap().count(), 0);
}

#[test]
fn a_reopened_file_goes_on_or_gets_the_next_revision() {
    let check = |setup: Setup, expected: &[(&str, &str)]| {
        let mut files = setup.files();
        for body in ["a", "b"] {
            files.append(body.as_bytes()).unwrap();
            files.close().unwrap();
        }
        setup.check(expected);
    };
    check(Setup::new(), &[("t.log", "a\nb\n")]);
    let apart = [("t-000000.log", "a\n"), ("t-000001.log", "b\n")];
    check(Setup::new().with_work_dir(), &apart);
    let apart = [("t-000000.log.gz", "a\n"), ("t-000001.log.gz", "b\n")];
    check(Setup::new().with_encoding(Encoding::Gzip(6)), &apart);
}

#[test]
fn a_tick_makes_a_file_unless_empty_ones_are_unwanted() {
    let mut setup = Setup::new().with_encoding(Encoding::Gzip(6));
    let mut files = setup.files();
    files.tick().unwrap();
    files.close().unwrap();
    setup.check(&[("t-000000.log.gz", "")]);

    setup.options.skip_empty_files = true;
    setup.format = "other{rev}.log";
    let mut files = setup.files();
    files.tick().unwrap();
    files.close().unwrap();
    setup.check(&[("t-000000.log.gz", "")]);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let mut setup = Setup::new();
    let file = setup.directory.path().join("file");
    fs::write(&file, "").unwrap();
    setup.options.output_dir = file.join("out");
    setup.options.work_dir = setup.options.output_dir.clone();
    let error = setup.files().append(b"a").unwrap_err().to_string();
    assert!(error.contains("file/out/t.log: "), "{error}");
}

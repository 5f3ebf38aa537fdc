use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn exit<T: OldTool>(name: &'static str, line: &str) -> Exit {
    parse::<T>(name, words(line)).err().expect(line)
}

#[test]
fn a_program_is_the_tool_it_is_called() {
    let named = |program: &str| tool_named(&OsString::from(program));
    assert_eq!(named("/usr/bin/to_nsq"), Some(Tool::ToNsq));
    assert_eq!(named("to_nsq"), Some(Tool::ToNsq));
    for program in ["nsq", "/usr/bin/nsq", "to-nsq", "", "/"] {
        assert_eq!(named(program), None, "{program}");
    }
}

#[test]
fn flags_are_the_ones_of_go() {
    for line in [
        "-topic=t -nsqd-tcp-address=a:1 -rate=0x10",
        "--topic t --nsqd-tcp-address a:1 -rate 16 ignored -no-such",
        "-topic t -nsqd-tcp-address a:1 -rate 020 -- -topic u",
    ] {
        let flags = format!(
            "{:?}",
            parse::<to_nsq::Flags>("to_nsq", words(line)).unwrap()
        );
        for part in [r#"topic: "t""#, r#"["a:1"]"#, "rate: 16"] {
            assert!(flags.contains(part), "{line}: {flags}");
        }
    }
}

#[test]
fn help_is_no_failure_and_what_is_unknown_is_wrong_usage() {
    for line in ["-h", "--help", "-topic t -help"] {
        let exit = exit::<to_nsq::Flags>("to_nsq", line);
        assert_eq!((exit.status, exit.to_stdout), (0, false), "{line}");
        assert!(exit.text.contains("--nsqd-tcp-address"), "{}", exit.text);
    }
    let check = |line: &str, text: &str| {
        let exit = exit::<to_nsq::Flags>("to_nsq", line);
        assert_eq!((exit.status, exit.to_stdout), (2, false), "{line}");
        assert!(exit.text.contains(text), "{}", exit.text);
    };
    check("-no-such", "unknown flag --no-such");
    check("-topic", "needs a value");
    check("-rate x", "not a whole number");
    check("-version", "unknown flag --version");
}

//! Every error a peer can provoke over TCP without TLS and authorization: its text, and whether the connection goes on.

use serde_json::json;
use tests::daemon::Nsqd;
use tests::wire::{Peer, batch, sized, with_body};

/// What a connection has done before it makes its mistake.
#[derive(Clone, Copy, Debug)]
enum After {
    Magic,
    Sub,
    Cls,
}

use After::{Cls, Magic, Sub};

impl After {
    fn peer(self, nsqd: &Nsqd) -> Peer {
        let mut peer = nsqd.peer();
        if !matches!(self, Magic) {
            peer.subscribe("t", "c");
        }
        if matches!(self, Cls) {
            peer.send("CLS\n");
            assert_eq!(peer.response(), "CLOSE_WAIT");
        }
        peer
    }
}

/// Sends `input`, and then nothing more, and expects this error and the end of the connection.
#[track_caller]
fn fatal(nsqd: &Nsqd, after: After, input: impl AsRef<[u8]>, error: &str) {
    let mut peer = after.peer(nsqd);
    peer.send(input);
    peer.end_sending();
    assert_eq!(peer.error(), error);
    peer.expect_closed();
}

/// Sends `input` and expects this error on a connection that goes on.
#[track_caller]
fn harmless(nsqd: &Nsqd, after: After, input: &str, error: &str) {
    let mut peer = after.peer(nsqd);
    peer.send(input);
    assert_eq!(peer.error(), error);
    peer.publish("other", "goes on");
}

const ID: &str = "0123456789abcdef";

#[test]
fn unknown_commands() {
    let nsqd = Nsqd::start(&[]);
    let check = |input: &str, name: &str| {
        fatal(
            &nsqd,
            Magic,
            input,
            &format!("E_INVALID invalid command {name}"),
        );
    };
    check("BOGUS\n", "BOGUS");
    check("BOGUS with parameters\n", "BOGUS");
    check("nop\n", "nop");
    check("\n", "");
    check(" NOP\n", "");
    check("NOP\r\r\n", "NOP\r");
    check("PING\r\n", "PING");
}

#[test]
fn a_wrong_magic() {
    let nsqd = Nsqd::start(&[]);
    for magic in ["  V1", "GET ", "\0\0\0\0", "V2  "] {
        let mut peer = nsqd.silent_peer();
        peer.send(magic);
        assert_eq!(peer.error(), "E_BAD_PROTOCOL", "{magic:?}");
        peer.expect_closed();
    }
}

#[test]
fn a_line_that_ends_early_is_ignored() {
    let nsqd = Nsqd::start(&[]);
    let mut peer = nsqd.peer();
    peer.send("SUB t c");
    peer.end_sending();
    peer.expect_closed();
    assert!(nsqd.topic("t").is_null());
}

#[test]
fn identify_bodies() {
    let nsqd = Nsqd::start(&["--max-body-size=100"]);
    let check = |body: &[u8], error: &str| {
        let input = [b"IDENTIFY\n", body].concat();
        fatal(&nsqd, Magic, input, &format!("E_BAD_BODY IDENTIFY {error}"));
    };
    check(b"", "failed to read body size");
    check(b"\0\0", "failed to read body size");
    check(b"\0\0\0\x65", "body too big 101 > 100");
    check(b"\x7f\xff\xff\xff", "body too big 2147483647 > 100");
    check(b"\0\0\0\0", "invalid body size 0");
    check(b"\xff\xff\xff\xff", "invalid body size -1");
    check(b"\x80\0\0\0", "invalid body size -2147483648");
    check(b"\0\0\0\x02{", "failed to read body");
    check(&sized("{"), "failed to decode JSON body");
}

#[test]
fn identify_checks_its_fields_in_order() {
    let nsqd = Nsqd::start(&[]);
    let body = json!({ "msg_timeout": 1, "sample_rate": 100, "output_buffer_size": 1 });
    let error = "E_BAD_BODY IDENTIFY output buffer size (1) is invalid";
    fatal(&nsqd, Magic, with_body("IDENTIFY", body.to_string()), error);
}

#[test]
fn auth_without_an_auth_server() {
    let nsqd = Nsqd::start(&["--max-body-size=100"]);
    let check = |after, input: &[u8], error| fatal(&nsqd, after, input, error);
    check(
        Sub,
        &with_body("AUTH", "s"),
        "E_INVALID cannot AUTH in current state",
    );
    check(
        Magic,
        &with_body("AUTH x", "s"),
        "E_INVALID AUTH invalid number of parameters",
    );
    check(Magic, b"AUTH\n", "E_BAD_BODY AUTH failed to read body size");
    check(
        Magic,
        b"AUTH\n\0\0\0\x65",
        "E_BAD_BODY AUTH body too big 101 > 100",
    );
    check(
        Magic,
        b"AUTH\n\0\0\0\0",
        "E_BAD_BODY AUTH invalid body size 0",
    );
    check(
        Magic,
        b"AUTH\n\0\0\0\x05s",
        "E_BAD_BODY AUTH failed to read body",
    );
    check(
        Magic,
        &with_body("AUTH", "s"),
        "E_AUTH_DISABLED AUTH disabled",
    );
}

#[test]
fn sub_parameters() {
    let nsqd = Nsqd::start(&[]);
    let check = |after, input: &str, error: &str| fatal(&nsqd, after, input, error);
    check(Sub, "SUB t c\n", "E_INVALID cannot SUB in current state");
    check(Cls, "SUB t c\n", "E_INVALID cannot SUB in current state");
    check(
        Magic,
        "SUB\n",
        "E_INVALID SUB insufficient number of parameters",
    );
    check(
        Magic,
        "SUB t\n",
        "E_INVALID SUB insufficient number of parameters",
    );
    check(
        Magic,
        "SUB  t c\n",
        r#"E_BAD_TOPIC SUB topic name "" is not valid"#,
    );
    check(
        Magic,
        "SUB t! c\n",
        r#"E_BAD_TOPIC SUB topic name "t!" is not valid"#,
    );
    check(
        Magic,
        "SUB t  \n",
        r#"E_BAD_CHANNEL SUB channel name "" is not valid"#,
    );
    check(
        Magic,
        "SUB t c*\n",
        r#"E_BAD_CHANNEL SUB channel name "c*" is not valid"#,
    );
}

#[test]
fn names_are_quoted_as_the_reference_does() {
    let nsqd = Nsqd::start(&[]);
    let check = |name: &[u8], quoted: &str| {
        let input = [b"SUB ", name, b" c\n"].concat();
        fatal(
            &nsqd,
            Magic,
            input,
            &format!("E_BAD_TOPIC SUB topic name {quoted} is not valid"),
        );
    };
    check(b"a\"b", r#""a\"b""#);
    check(br"a\b", r#""a\\b""#);
    check(b"a\tb", r#""a\tb""#);
    check(b"a\x01b", r#""a\x01b""#);
    check(b"a\xffb", r#""a\xffb""#);
    check("größe".as_bytes(), r#""größe""#);
    check(b"#ephemeral", r##""#ephemeral""##);
    check(&[b'x'; 65], &format!("\"{}\"", "x".repeat(65)));
}

#[test]
fn publish_parameters_and_sizes() {
    let nsqd = Nsqd::start(&["--max-msg-size=100"]);
    let check = |command: &str, line: &str, body: &[u8], code: &str, error: &str| {
        let input = [line.as_bytes(), b"\n", body].concat();
        fatal(&nsqd, Magic, input, &format!("{code} {command} {error}"));
    };
    for (command, line) in [("PUB", "PUB t"), ("DPUB", "DPUB t 10")] {
        check(
            command,
            command,
            b"",
            "E_INVALID",
            "insufficient number of parameters",
        );
        let size = |body: &[u8], error| check(command, line, body, "E_BAD_MESSAGE", error);
        size(b"", "failed to read message body size");
        size(b"\0\0\0", "failed to read message body size");
        size(b"\0\0\0\0", "invalid message body size 0");
        size(b"\xff\xff\xff\xff", "invalid message body size -1");
        size(b"\0\0\0\x65", "message too big 101 > 100");
        size(b"\x7f\xff\xff\xff", "message too big 2147483647 > 100");
        size(b"\0\0\0\x05four", "failed to read message body");
    }
    let bad_name = r#"topic name "a b" is not valid"#;
    check(
        "PUB",
        "PUB $",
        b"",
        "E_BAD_TOPIC",
        &bad_name.replace("a b", "$"),
    );
    check(
        "DPUB",
        "DPUB $ 10",
        b"",
        "E_BAD_TOPIC",
        &bad_name.replace("a b", "$"),
    );
    check(
        "PUB",
        "PUB ",
        b"",
        "E_BAD_TOPIC",
        &bad_name.replace("a b", ""),
    );
}

#[test]
fn dpub_delays() {
    let nsqd = Nsqd::start(&["--max-req-timeout=10s"]);
    let check = |line: &str, error: &str| {
        fatal(
            &nsqd,
            Magic,
            with_body(line, "m"),
            &format!("E_INVALID DPUB {error}"),
        );
    };
    check("DPUB t", "insufficient number of parameters");
    check("DPUB t x", "could not parse timeout x");
    check("DPUB t -1", "could not parse timeout -1");
    check("DPUB t 1.5", "could not parse timeout 1.5");
    check("DPUB t 10001", "timeout 10001 out of range 0-10000");
}

#[test]
fn mpub_bodies() {
    let nsqd = Nsqd::start(&["--max-body-size=1000", "--max-msg-size=100"]);
    let check = |body: &[u8], error: &str| {
        fatal(&nsqd, Magic, [b"MPUB t\n", body].concat(), error);
    };
    check(b"", "E_BAD_BODY MPUB failed to read body size");
    check(&sized(""), "E_BAD_BODY MPUB invalid body size 0");
    check(b"\xff\xff\xff\xff", "E_BAD_BODY MPUB invalid body size -1");
    check(b"\0\0\x03\xe9", "E_BAD_BODY MPUB body too big 1001 > 1000");
    check(
        b"\0\0\0\x20\0\0",
        "E_BAD_BODY MPUB failed to read message count",
    );
    check(
        &sized(b"\0\0\0\0"),
        "E_BAD_BODY MPUB invalid message count 0",
    );
    check(
        &sized(b"\xff\xff\xff\xff"),
        "E_BAD_BODY MPUB invalid message count -1",
    );
    // (1000 - 4) / 5 = 199 messages at most.
    check(
        &sized(b"\0\0\0\xc8"),
        "E_BAD_BODY MPUB invalid message count 200",
    );
    check(
        b"\0\0\0\x20\0\0\0\x02\0\0\0\x01a\0\0",
        "E_BAD_MESSAGE MPUB failed to read message(1) body size",
    );
    check(
        b"\0\0\0\x20\0\0\0\x02\0\0\0\x01a\0\0\0\x09b",
        "E_BAD_MESSAGE MPUB failed to read message body",
    );
    check(
        &sized(batch(&["a", ""])),
        "E_BAD_MESSAGE MPUB invalid message(1) body size 0",
    );
    check(
        &sized(b"\0\0\0\x01\xff\xff\xff\xff"),
        "E_BAD_MESSAGE MPUB invalid message(0) body size -1",
    );
    check(
        &sized(batch(&[[0; 101]])),
        "E_BAD_MESSAGE MPUB message too big 101 > 100",
    );
    let stored = nsqd.topic("t")["message_count"].as_u64().unwrap_or(0);
    assert_eq!(stored, 0);
}

#[test]
fn mpub_parameters() {
    let nsqd = Nsqd::start(&[]);
    fatal(
        &nsqd,
        Magic,
        "MPUB\n",
        "E_INVALID MPUB insufficient number of parameters",
    );
    let doubled = r#"E_BAD_TOPIC E_BAD_TOPIC MPUB topic name "$" is not valid"#;
    fatal(&nsqd, Magic, "MPUB $\n", doubled);
}

#[test]
fn rdy_counts() {
    let nsqd = Nsqd::start(&[]);
    let check = |after, input: &str, error: &str| fatal(&nsqd, after, input, error);
    check(Magic, "RDY 1\n", "E_INVALID cannot RDY in current state");
    check(Sub, "RDY x\n", "E_INVALID RDY could not parse count x");
    check(Sub, "RDY -1\n", "E_INVALID RDY could not parse count -1");
    check(
        Sub,
        "RDY 2501\n",
        "E_INVALID RDY count 2501 out of range 0-2500",
    );
    check(
        Sub,
        "RDY 18446744073709551615\n",
        "E_INVALID RDY count -1 out of range 0-2500",
    );
}

#[test]
fn answers_in_the_wrong_state_or_shape() {
    let nsqd = Nsqd::start(&[]);
    let check = |after, input: &str, error: &str| fatal(&nsqd, after, input, error);
    for command in ["FIN", "REQ", "TOUCH"] {
        let state = format!("E_INVALID cannot {command} in current state");
        check(Magic, &format!("{command} {ID} 0\n"), &state);
        let few = format!("E_INVALID {command} insufficient number of params");
        check(Sub, &format!("{command}\n"), &few);
        check(
            Sub,
            &format!("{command} short 0\n"),
            "E_INVALID invalid message ID",
        );
        check(
            Sub,
            &format!("{command} {ID}0 0\n"),
            "E_INVALID invalid message ID",
        );
    }
    check(
        Sub,
        &format!("REQ {ID}\n"),
        "E_INVALID REQ insufficient number of params",
    );
    check(
        Sub,
        &format!("REQ {ID} x\n"),
        "E_INVALID REQ could not parse timeout x",
    );
    check(
        Sub,
        &format!("REQ {ID} -1\n"),
        "E_INVALID REQ could not parse timeout -1",
    );
    check(Magic, "CLS\n", "E_INVALID cannot CLS in current state");
    check(Cls, "CLS\n", "E_INVALID cannot CLS in current state");
}

#[test]
fn answers_about_a_message_nobody_holds_are_harmless() {
    let nsqd = Nsqd::start(&[]);
    for after in [Sub, Cls] {
        for (command, parameters) in [
            ("FIN", ID.into()),
            ("REQ", format!("{ID} 0")),
            ("TOUCH", ID.into()),
        ] {
            let error = format!("E_{command}_FAILED {command} {ID} failed ID not in flight");
            harmless(&nsqd, after, &format!("{command} {parameters}\n"), &error);
        }
    }
    // The content of an id is not looked at before it is searched.
    let error = "E_FIN_FAILED FIN not-hex-at-all-! failed ID not in flight";
    harmless(&nsqd, Sub, "FIN not-hex-at-all-!\n", error);
}

#[test]
fn odd_but_legal_lines_are_accepted() {
    let nsqd = Nsqd::start(&[]);
    let check = |after: After, input: &[u8]| {
        let mut peer = after.peer(&nsqd);
        peer.send(input);
        peer.publish("other", "goes on");
    };
    check(Magic, b"NOP\r\n");
    check(Magic, b"NOP with parameters nobody asked for\n");
    check(Cls, b"RDY 5\n");
    check(Sub, b"RDY\n");
    check(Sub, b"RDY 0\n");
    check(Sub, b"RDY 18446744073709551616\n");
    check(Sub, b"RDY 5 and more\n");
    let mut peer = Magic.peer(&nsqd);
    peer.send(with_body("DPUB t ", "an empty number is 0"));
    peer.expect_ok();
    peer.send(with_body("PUB t further parameters", "m"));
    peer.expect_ok();
}

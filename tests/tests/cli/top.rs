//! `nsq top` in a terminal: what it draws, what keys do, and what it leaves behind.

use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use tests::daemon::Nsqd;
use tests::{binary, wait};

const ALTERNATE_SCREEN: &str = "\x1b[?1049h";
const FIRST_SCREEN: &str = "\x1b[?1049l";
const CURSOR: &str = "\x1b[?25h";

/// `nsq top` in a terminal of its own, which `script` of util-linux provides.
struct Terminal {
    script: Child,
    keyboard: ChildStdin,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// The settings of the terminal are printed before and after.
    fn start(nsqd: &Nsqd) -> Self {
        let (nsq, address) = (binary::nsq().display(), nsqd.http());
        let line = format!(
            "stty rows 24 cols 100; stty -g; {nsq} top --nsqd-http-address={address}; \
             echo status $?; stty -g"
        );
        let mut script = Command::new("script");
        script.args(["--quiet", "--command", &line, "/dev/null"]);
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut script = script.spawn().expect("util-linux has script");
        let keyboard = script.stdin.take().unwrap();
        let mut screen = script.stdout.take().unwrap();
        let shown = Arc::new(Mutex::new(Vec::new()));
        let so_far = Arc::clone(&shown);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                so_far.lock().unwrap().extend_from_slice(&bytes[..count]);
            }
        });
        Self {
            script,
            keyboard,
            shown,
        }
    }

    fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    #[track_caller]
    fn await_text(&self, text: &str) {
        let shown = wait::within(wait::PATIENCE, || self.text().contains(text).then_some(()));
        assert!(shown.is_some(), "no {text:?} in {:?}", self.text());
    }

    /// Waits for the end of `nsq`: with status 0, and the terminal as it was.
    #[track_caller]
    fn expect_restored(&self) {
        self.await_text("status 0\r\n");
        wait::until("the settings are printed twice", || {
            self.text().matches("\r\n").count() == 3
        });
        let text = self.text();
        let (before, rest) = text.split_once("\r\n").unwrap();
        let (drawn, after) = rest.split_once("status 0\r\n").unwrap();
        assert_eq!(after.trim_end(), before, "the settings of the terminal");
        assert!(drawn.starts_with(ALTERNATE_SCREEN), "{drawn:?}");
        assert!(
            drawn.ends_with(&format!("{FIRST_SCREEN}{CURSOR}")),
            "{drawn:?}"
        );
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already; with its terminal `nsq` goes too.
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

fn nsqd_with_orders() -> Nsqd {
    let nsqd = Nsqd::start(&[]);
    nsqd.act("/topic/create?topic=orders");
    nsqd.act("/channel/create?topic=orders&channel=billing");
    nsqd
}

#[test]
fn keys_go_into_a_topic_and_pause_it_after_a_question() {
    let nsqd = nsqd_with_orders();
    let mut terminal = Terminal::start(&nsqd);
    terminal.await_text("orders");
    terminal.press("p");
    terminal.await_text("pause");
    assert_eq!(nsqd.topic("orders")["paused"], false);
    terminal.press("y");
    terminal.await_text("(paused)");
    assert_eq!(nsqd.topic("orders")["paused"], true);
    terminal.press("\r");
    terminal.await_text("billing");
    terminal.press("q");
    terminal.expect_restored();
}

#[test]
fn ctrl_c_and_a_hasty_q_leave_the_terminal_as_it_was() {
    let nsqd = nsqd_with_orders();
    for keys in ["\x03", "/x\x03", "pnq", "\r\rq"] {
        let mut terminal = Terminal::start(&nsqd);
        terminal.await_text("orders");
        terminal.press(keys);
        terminal.expect_restored();
        assert_eq!(nsqd.topic("orders")["paused"], false);
    }
}

//! What a person sees while it lasts.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar if it is known how much there is, else a spinner; nothing unless stderr is a terminal.
#[derive(Clone)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// On stderr, if that is a terminal.
    pub(crate) fn on_terminal(bytes: Option<u64>) -> Progress {
        let (bar, template) = match bytes {
            Some(bytes) => (
                ProgressBar::new(bytes),
                "{bar:30} {percent:>3}%  {msg}  {eta} left",
            ),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}  {elapsed}"),
        };
        let style = ProgressStyle::with_template(template).expect("the templates above are valid");
        bar.set_style(style);
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(100));
        }
        Progress(bar)
    }

    /// Never anything.
    pub(crate) fn none() -> Progress {
        Progress(ProgressBar::hidden())
    }

    /// This much of the input is confirmed, as this many messages.
    pub(super) fn confirmed(&self, input_bytes: u64, messages: u64) {
        if self.0.is_hidden() {
            return;
        }
        self.0.set_position(input_bytes);
        self.0.set_message(crate::figures::messages(messages));
    }

    /// Leaves the terminal as it was.
    pub(super) fn clear(&self) {
        self.0.finish_and_clear();
    }
}

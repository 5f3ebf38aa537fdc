//! Asking before something is lost.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use crate::error::Error;

/// Returns if the loss is agreed on: by `--yes`, or by an answer at the terminal.
///
/// # Errors
///
/// There is nobody to ask, or the answer is not yes.
pub(crate) async fn confirm(loss: &str, yes: bool) -> Result<(), Error> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Error::Refused(format!("{loss}; say --yes to do it")));
    }
    let question = format!("{loss}. Do it? [y/N] ");
    // A terminal may never answer: its thread is left behind when a signal comes.
    let answer = tokio::task::spawn_blocking(move || ask(&question)).await;
    match answer.expect("asking does not panic") {
        Ok(true) => Ok(()),
        Ok(false) => Err(Error::Refused("nothing was done".to_owned())),
        Err(cause) => Err(Error::Input {
            path: "the answer".to_owned(),
            cause,
        }),
    }
}

fn ask(question: &str) -> io::Result<bool> {
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes())?;
    stderr.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes() {
        for answer in ["y\n", "Yes\n", " y "] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n\n", "yesterday\n"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }
}

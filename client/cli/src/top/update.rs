//! What a key does.

use client::http::{Action, Verb};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::state::{Look, Mode, State};
use crate::stat::Order;

/// What there is to do beside another picture.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// End.
    Quit,
    /// Look at the cluster at once.
    Look,
    /// Do something to it.
    Act(Action),
}

const PAGE: u16 = 10;

/// Takes in a key.
pub(super) fn key(state: &mut State, key: KeyEvent) -> Effect {
    let with_control = key.modifiers.contains(KeyModifiers::CONTROL);
    if with_control && matches!(key.code, KeyCode::Char('c' | 'd')) {
        return Effect::Quit;
    }
    match std::mem::take(&mut state.mode) {
        Mode::Table => in_table(state, key.code),
        Mode::Filter => in_filter(state, key.code),
        Mode::Question(action) if matches!(key.code, KeyCode::Char('y' | 'Y')) => {
            Effect::Act(action)
        }
        Mode::Question(_) => {
            "nothing was done".clone_into(&mut state.note);
            Effect::None
        }
        // Any key ends the help.
        Mode::Help => Effect::None,
    }
}

fn in_table(state: &mut State, code: KeyCode) -> Effect {
    match code {
        KeyCode::Char('q') => return Effect::Quit,
        KeyCode::Down | KeyCode::Char('j') => go(state, 1, true),
        KeyCode::Up | KeyCode::Char('k') => go(state, 1, false),
        KeyCode::PageDown => go(state, PAGE, true),
        KeyCode::PageUp => go(state, PAGE, false),
        KeyCode::Home => go(state, u16::MAX, false),
        KeyCode::End => go(state, u16::MAX, true),
        KeyCode::Enter | KeyCode::Right => return deeper(state),
        KeyCode::Esc | KeyCode::Left | KeyCode::Backspace => return back(state),
        KeyCode::Char('s') => state.order = after(state.order),
        KeyCode::Char('r') => state.is_reversed = !state.is_reversed,
        KeyCode::Char('/') => state.mode = Mode::Filter,
        KeyCode::Char('?' | 'h') => state.mode = Mode::Help,
        KeyCode::Char(' ') => state.is_held = !state.is_held,
        KeyCode::Char('p') => return pause(state),
        KeyCode::Char('e') => ask(state, Verb::Empty),
        _ => {}
    }
    Effect::None
}

fn in_filter(state: &mut State, code: KeyCode) -> Effect {
    match code {
        KeyCode::Enter => return Effect::None,
        KeyCode::Esc => {
            state.filter.clear();
            return Effect::None;
        }
        KeyCode::Backspace => {
            state.filter.pop();
        }
        KeyCode::Char(letter) => state.filter.push(letter),
        _ => {}
    }
    state.mode = Mode::Filter;
    state.table.select(Some(0));
    Effect::None
}

fn go(state: &mut State, lines: u16, down: bool) {
    let Some(last) = state.line_count().checked_sub(1) else {
        return;
    };
    let at = state.table.selected().unwrap_or(0);
    let lines = usize::from(lines);
    let to = if down {
        at.saturating_add(lines).min(last)
    } else {
        at.saturating_sub(lines)
    };
    state.table.select(Some(to));
}

fn deeper(state: &mut State) -> Effect {
    let Some(row) = state.chosen() else {
        return Effect::None;
    };
    let look = match row.channel {
        None => Look::Channels { topic: row.topic },
        Some(channel) => Look::Consumers {
            topic: row.topic,
            channel,
        },
    };
    enter(state, look)
}

fn back(state: &mut State) -> Effect {
    match std::mem::take(&mut state.look) {
        Look::Consumers { topic, .. } => enter(state, Look::Channels { topic }),
        Look::Channels { .. } | Look::Topics => enter(state, Look::Topics),
    }
}

fn enter(state: &mut State, look: Look) -> Effect {
    state.look = look;
    state.filter.clear();
    state.note.clear();
    state.consumers.clear();
    state.table.select(Some(0));
    Effect::Look
}

/// A pause is asked about, its end is not: nothing is lost by it.
fn pause(state: &mut State) -> Effect {
    match state.chosen() {
        Some(row) if row.paused => {
            ask(state, Verb::Unpause);
            match std::mem::take(&mut state.mode) {
                Mode::Question(action) => Effect::Act(action),
                _ => Effect::None,
            }
        }
        _ => {
            ask(state, Verb::Pause);
            Effect::None
        }
    }
}

fn ask(state: &mut State, verb: Verb) {
    let Some(row) = state.chosen() else {
        return;
    };
    let channel = row.channel.map(|channel| channel.parse()).transpose();
    let (Ok(topic), Ok(channel)) = (row.topic.parse(), channel) else {
        return;
    };
    state.mode = Mode::Question(Action {
        verb,
        topic,
        channel,
    });
}

fn after(order: Order) -> Order {
    match order {
        Order::Name => Order::Depth,
        Order::Depth => Order::InFlight,
        Order::InFlight => Order::Ingress,
        Order::Ingress => Order::Egress,
        Order::Egress => Order::Clients,
        Order::Clients => Order::Name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::{Counts, Row};

    fn row(topic: &str, channel: Option<&str>, depth: i64, paused: bool) -> Row {
        Row {
            topic: topic.to_owned(),
            channel: channel.map(ToOwned::to_owned),
            counts: Counts {
                depth,
                ..Counts::default()
            },
            paused,
            nodes: 1,
            ..Row::default()
        }
    }

    fn state() -> State {
        let rows = vec![
            row("a", None, 1, false),
            row("b", None, 2, false),
            row("b", Some("x"), 30, true),
            row("b", Some("y"), 4, false),
        ];
        let mut state = State::default();
        state.show(rows, Vec::new(), 1, Vec::new());
        state
    }

    fn press(state: &mut State, codes: &[KeyCode]) -> Effect {
        let mut effect = Effect::None;
        for code in codes {
            effect = key(state, KeyEvent::new(*code, KeyModifiers::NONE));
        }
        effect
    }

    fn names(state: &State) -> Vec<String> {
        let lines = state.lines();
        lines
            .iter()
            .map(|row| super::super::state::name(row).to_owned())
            .collect()
    }

    #[test]
    fn the_arrows_walk_and_enter_goes_deeper() {
        let mut state = state();
        assert_eq!(names(&state), ["a", "b"]);
        press(&mut state, &[KeyCode::Up]);
        assert_eq!(state.table.selected(), Some(0));
        press(&mut state, &[KeyCode::PageDown]);
        assert_eq!(state.table.selected(), Some(1));
        assert_eq!(press(&mut state, &[KeyCode::Enter]), Effect::Look);
        assert_eq!(names(&state), ["x", "y"]);
        press(&mut state, &[KeyCode::Down, KeyCode::Enter]);
        let look = Look::Consumers {
            topic: "b".to_owned(),
            channel: "y".to_owned(),
        };
        assert_eq!(state.look, look);
        press(&mut state, &[KeyCode::Esc, KeyCode::Left, KeyCode::Esc]);
        assert_eq!(state.look, Look::Topics);
    }

    #[test]
    fn a_topic_shows_what_waits_in_all_of_it() {
        let state = state();
        assert_eq!(state.lines()[1].counts.depth, 36);
    }

    #[test]
    fn a_slash_filters_and_escape_shows_all_again() {
        let mut state = state();
        press(&mut state, &[KeyCode::Char('/'), KeyCode::Char('b')]);
        assert_eq!(names(&state), ["b"]);
        // While the text is typed, letters are text.
        press(
            &mut state,
            &[KeyCode::Char('q'), KeyCode::Backspace, KeyCode::Enter],
        );
        assert_eq!(
            (names(&state), &state.mode),
            (vec!["b".to_owned()], &Mode::Table)
        );
        press(&mut state, &[KeyCode::Char('/'), KeyCode::Esc]);
        assert_eq!(names(&state), ["a", "b"]);
    }

    #[test]
    fn orders_come_in_turn_and_the_choice_stays_with_its_line() {
        let mut state = state();
        press(&mut state, &[KeyCode::Char('s')]);
        assert_eq!(
            (state.order, names(&state)),
            (Order::Depth, vec!["b".into(), "a".into()])
        );
        press(&mut state, &[KeyCode::Char('r')]);
        assert_eq!(names(&state), ["a", "b"]);
        let fresh = vec![row("0", None, 0, false), row("a", None, 1, false)];
        state.show(fresh, Vec::new(), 1, Vec::new());
        assert_eq!(state.chosen().unwrap().topic, "a");
    }

    #[test]
    fn what_does_harm_is_asked_about() {
        let action = |verb, channel: Option<&str>| Action {
            verb,
            topic: "b".parse().unwrap(),
            channel: channel.map(|channel| channel.parse().unwrap()),
        };
        let mut state = state();
        press(&mut state, &[KeyCode::Down, KeyCode::Char('e')]);
        assert_eq!(state.mode, Mode::Question(action(Verb::Empty, None)));
        assert_eq!(press(&mut state, &[KeyCode::Enter]), Effect::None);
        assert_eq!(state.note, "nothing was done");
        let effect = press(&mut state, &[KeyCode::Char('p'), KeyCode::Char('y')]);
        assert_eq!(effect, Effect::Act(action(Verb::Pause, None)));
        let effect = press(&mut state, &[KeyCode::Enter, KeyCode::Char('p')]);
        assert_eq!(effect, Effect::Act(action(Verb::Unpause, Some("x"))));
        assert_eq!(state.mode, Mode::Table);
    }

    #[test]
    fn there_is_always_a_way_out() {
        let mut state = state();
        assert_eq!(press(&mut state, &[KeyCode::Char('q')]), Effect::Quit);
        press(&mut state, &[KeyCode::Char('/')]);
        let interrupt = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        assert_eq!(key(&mut state, interrupt), Effect::Quit);
    }
}

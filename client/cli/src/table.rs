//! Tables of text: columns as wide as their widest cell, text to the left, figures to the right.

use std::io::{self, IsTerminal as _};

/// A column: its title, and on which side its cells are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    /// Words.
    Text(&'static str),
    /// Figures.
    Figure(&'static str),
}

impl Column {
    fn title(self) -> &'static str {
        match self {
            Self::Text(title) | Self::Figure(title) => title,
        }
    }
}

/// How a line looks on a terminal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Look {
    /// As any other.
    #[default]
    Plain,
    /// Worth a glance, such as a paused channel.
    Notable,
    /// Something failed.
    Bad,
}

/// Lines of cells under titles.
#[derive(Debug)]
pub(crate) struct Table {
    columns: Vec<Column>,
    lines: Vec<(Look, Vec<String>)>,
}

impl Table {
    /// A table without lines.
    pub(crate) fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            lines: Vec::new(),
        }
    }

    /// Adds a line, with a cell for each column.
    pub(crate) fn push(&mut self, look: Look, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.lines.push((look, cells));
    }

    /// The lines with their titles, two blanks between columns and none at the end; coloured if `colour`.
    pub(crate) fn render(&self, colour: bool) -> String {
        let widths = self.widths();
        let titles: Vec<String> = self.columns.iter().map(|c| c.title().to_owned()).collect();
        let mut text = painted(self.line(&titles, &widths), colour, "\x1b[1m");
        for (look, cells) in &self.lines {
            let line = self.line(cells, &widths);
            text += &match look {
                Look::Plain => line + "\n",
                Look::Notable => painted(line, colour, "\x1b[33m"),
                Look::Bad => painted(line, colour, "\x1b[31m"),
            };
        }
        text
    }

    fn widths(&self) -> Vec<usize> {
        let width = |index: usize, column: &Column| {
            let cells = self.lines.iter().map(|(_, cells)| cells[index].as_str());
            let widths = cells
                .chain([column.title()])
                .map(|cell| cell.chars().count());
            widths.max().unwrap_or(0)
        };
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(index, column)| width(index, column))
            .collect()
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let padded = cells.iter().zip(widths).zip(&self.columns);
        let padded = padded.map(|((cell, width), column)| match column {
            Column::Text(_) => format!("{cell:<width$}"),
            Column::Figure(_) => format!("{cell:>width$}"),
        });
        let padded: Vec<String> = padded.collect();
        padded.join("  ").trim_end().to_owned()
    }
}

/// True if stdout is a terminal whose owner does not forbid colours (`NO_COLOR`).
pub(crate) fn has_colour() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

fn painted(line: String, colour: bool, start: &str) -> String {
    if colour {
        format!("{start}{line}\x1b[0m\n")
    } else {
        line + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&[Column::Text("TOPIC"), Column::Figure("DEPTH")]);
        table.push(Look::Plain, vec!["a".to_owned(), "1,000,000".to_owned()]);
        table.push(Look::Bad, vec!["longer name".to_owned(), "2".to_owned()]);
        let expected = "\
TOPIC            DEPTH
a            1,000,000
longer name          2
";
        assert_eq!(table.render(false), expected);
        let coloured = table.render(true);
        assert!(coloured.contains("\x1b[31mlonger name          2\x1b[0m\n"));
    }
}

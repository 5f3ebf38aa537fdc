//! The past of a figure as a line: drawn here, so that it is there without a script; the script goes on drawing it.

use std::fmt::Write as _;

use askama::Template;
use client::daemon::http::Query;

use super::Admin;
use crate::history::{Answer, Points, RINGS, Ring, Subject};

/// How far back a page looks, from `?range=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Range {
    /// As it stands in the URL.
    pub(super) name: &'static str,
    pub(super) label: &'static str,
    ring: Ring,
}

/// From short to long.
pub(super) const RANGES: [Range; 3] = [
    Range {
        name: "10m",
        label: "10 min",
        ring: RINGS[0],
    },
    Range {
        name: "2h",
        label: "2 h",
        ring: RINGS[1],
    },
    Range {
        name: "24h",
        label: "24 h",
        ring: RINGS[2],
    },
];

impl Range {
    /// The one that is asked for; what is unknown is the shortest.
    pub(super) fn read(query: &Query) -> Self {
        let name = query.get("range");
        let found = RANGES.into_iter().find(|range| Some(range.name) == name);
        found.unwrap_or(RANGES[0])
    }
}

/// What was seen of something in a range.
#[derive(Debug)]
pub(super) struct Past(Option<Answer>);

impl Past {
    pub(super) fn new(admin: &Admin, subject: &Subject, range: Range) -> Self {
        Self(admin.history.points(subject, range.ring))
    }

    /// The line of one figure; `None` where nothing is kept. `field` is what goes on with it in live events.
    pub(super) fn spark(
        &self,
        field: &'static str,
        choose: impl Fn(&Points) -> &Vec<Option<f64>>,
    ) -> Option<Spark> {
        let answer = self.0.as_ref()?;
        Some(Spark::new(
            choose(&answer.series),
            answer.step_seconds,
            field,
        ))
    }
}

/// A line of values over time, the newest at the right, from 0 at the bottom to the greatest at the top.
#[derive(Debug, Template)]
#[template(path = "parts/spark.html")]
pub(super) struct Spark {
    points: Vec<Option<f64>>,
    step_seconds: f64,
    field: &'static str,
}

/// It is markup, not text.
impl askama::filters::HtmlSafe for Spark {}

impl Spark {
    fn new(points: &[Option<f64>], step_seconds: f64, field: &'static str) -> Self {
        let unseen = points.iter().take_while(|point| point.is_none()).count();
        let points = &points[unseen..];
        let together = points.len().div_ceil(POINTS_MAX).max(1);
        // From the end, so that the newest points are a whole group.
        let groups = points.rchunks(together).map(mean);
        let mut points: Vec<_> = groups.collect();
        points.resize(points.len().max(POINTS_MIN), None);
        points.reverse();
        let together = u32::try_from(together).unwrap_or(u32::MAX);
        Self {
            points,
            step_seconds: step_seconds * f64::from(together),
            field,
        }
    }

    /// The values for the script: blanks between them, `-` where nothing was seen.
    fn values(&self) -> String {
        let values = self.points.iter().map(|point| match point {
            Some(value) => short(*value),
            None => "-".to_owned(),
        });
        values.collect::<Vec<_>>().join(" ")
    }

    /// The upper edge, as the path of an SVG.
    fn line(&self) -> String {
        let mut path = String::new();
        for run in self.runs() {
            for (index, (x, y)) in run.iter().enumerate() {
                let command = if index == 0 { 'M' } else { 'L' };
                write!(path, "{command}{x:.1} {y:.1}").expect(ENDLESS);
            }
        }
        path
    }

    /// What lies below the edge.
    fn area(&self) -> String {
        let mut path = String::new();
        for run in self.runs() {
            let (Some((first, _)), Some((last, _))) = (run.first(), run.last()) else {
                continue;
            };
            write!(path, "M{first:.1} {HEIGHT}").expect(ENDLESS);
            for (x, y) in &run {
                write!(path, "L{x:.1} {y:.1}").expect(ENDLESS);
            }
            write!(path, "L{last:.1} {HEIGHT}Z").expect(ENDLESS);
        }
        path
    }

    /// Points between which nothing is missing.
    fn runs(&self) -> Vec<Vec<(f64, f64)>> {
        let greatest = self.points.iter().flatten().copied().fold(1.0, f64::max);
        let steps = u32::try_from(self.points.len().saturating_sub(1)).unwrap_or(1);
        let width = WIDTH / f64::from(steps.max(1));
        let mut x = -width;
        let mut runs = vec![Vec::new()];
        for point in &self.points {
            x += width;
            match (point, runs.last_mut()) {
                (Some(value), Some(run)) => {
                    run.push((x, HEIGHT - 1.5 - (HEIGHT - 4.0) * value / greatest));
                }
                _ => runs.push(Vec::new()),
            }
        }
        runs.retain(|run| !run.is_empty());
        runs
    }
}

/// The mean of what was seen.
fn mean(points: &[Option<f64>]) -> Option<f64> {
    let seen = points.iter().flatten();
    let count = u32::try_from(seen.clone().count()).unwrap_or(u32::MAX);
    (count > 0).then(|| seen.sum::<f64>() / f64::from(count))
}

fn short(value: f64) -> String {
    if value < 100.0 {
        return ((value * 10.0).round() / 10.0).to_string();
    }
    format!("{value:.0}")
}

/// Of the picture; it is stretched to its place.
const WIDTH: f64 = 100.0;
const HEIGHT: f64 = 30.0;
/// More do not show.
const POINTS_MAX: usize = 150;
/// What has just begun does not fill the picture at once.
const POINTS_MIN: usize = 30;
const ENDLESS: &str = "a String takes everything";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_a_gap_where_nothing_was_seen() {
        let mut points = vec![Some(2.0); 30];
        points[10] = None;
        points[29] = Some(4.0);
        let spark = Spark::new(&points, 2.0, "depth");
        assert_eq!(spark.line().matches('M').count(), 2);
        assert!(spark.line().ends_with("L100.0 2.5"), "{}", spark.line());
        assert_eq!(spark.area().matches('Z').count(), 2);
        assert!(spark.values().ends_with("2 4") && spark.values().contains(" - "));
    }

    #[test]
    fn what_is_long_is_drawn_by_means_and_what_is_new_has_room() {
        let long = Spark::new(&[Some(1.0); 300], 2.0, "depth");
        assert_eq!((long.points.len(), long.step_seconds), (150, 4.0));
        let mut young = vec![None; 299];
        young.push(Some(7.0));
        let young = Spark::new(&young, 2.0, "depth");
        assert_eq!((young.points.len(), young.points[29]), (30, Some(7.0)));
        let none = Spark::new(&[], 2.0, "depth");
        assert_eq!((none.line(), none.area()), (String::new(), String::new()));
    }
}

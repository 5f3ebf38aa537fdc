//! The past of one thing: a column for each figure, in it a ring for each of three steps.
//!
//! ```text
//! every tick ──▶ [300 points]   every 5 ticks ──▶ [720 points]   every 30 ticks ──▶ [1440 points]
//! ```
//!
//! With a tick of 2 s these are 10 minutes, 2 hours and 24 hours. A coarse point is the mean of the finer ones that it covers.
//! A figure that has always been 0 takes no memory.

use super::code::{decode, encode};
use crate::sample::Figures;

/// One of the rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    /// Ticks from one point to the next.
    pub(crate) ticks: u64,
    /// Points kept.
    pub(crate) points: usize,
    /// Where it begins in a column.
    offset: usize,
}

/// From fine to coarse.
pub(crate) const RINGS: [Ring; 3] = [
    Ring {
        ticks: 1,
        points: 300,
        offset: 0,
    },
    Ring {
        ticks: 5,
        points: 720,
        offset: 300,
    },
    Ring {
        ticks: 30,
        points: 1440,
        offset: 1020,
    },
];

/// Points of all rings of a column.
const POINTS: usize = 2460;
/// Figures of a series.
const COLUMNS: usize = 8;
/// Bytes of a column.
pub(super) const COLUMN_BYTES: usize = POINTS * size_of::<u16>();

/// The figures of one topic, channel or node.
#[derive(Debug)]
pub(super) struct Series {
    /// The first tick that it was seen at.
    born: u64,
    /// The last one.
    pub(super) seen: u64,
    /// A bit for each point: whether anything was seen then.
    present: [u64; POINTS.div_ceil(64)],
    /// `None` for a figure that has always been 0.
    columns: [Option<Box<[u16; POINTS]>>; COLUMNS],
}

/// The points of a ring, from the oldest to the newest; `None` where nothing was seen.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize)]
pub(crate) struct Points {
    pub(crate) depth: Vec<Option<f64>>,
    pub(crate) in_flight_count: Vec<Option<f64>>,
    pub(crate) deferred_count: Vec<Option<f64>>,
    pub(crate) client_count: Vec<Option<f64>>,
    pub(crate) message_rate: Vec<Option<f64>>,
    pub(crate) finish_rate: Vec<Option<f64>>,
    pub(crate) requeue_rate: Vec<Option<f64>>,
    pub(crate) timeout_rate: Vec<Option<f64>>,
}

impl Series {
    pub(super) fn new(tick: u64) -> Self {
        Self {
            born: tick,
            seen: tick.saturating_sub(1),
            present: [0; POINTS.div_ceil(64)],
            columns: [const { None }; COLUMNS],
        }
    }

    /// Notes the figures of `tick`, which is later than any before.
    pub(super) fn push(&mut self, tick: u64, figures: &Figures) {
        #[expect(clippy::cast_precision_loss, reason = "two bytes hold less")]
        let values = [
            figures.depth as f64,
            figures.in_flight_count as f64,
            figures.deferred_count as f64,
            figures.client_count as f64,
            figures.message_rate,
            figures.finish_rate,
            figures.requeue_rate,
            figures.timeout_rate,
        ];
        // What is longer ago than the longest ring is no longer in it.
        let span = RINGS[2].ticks * RINGS[2].points as u64;
        for missed in (self.seen + 1).max(tick.saturating_sub(span))..tick {
            self.set_present(index(RINGS[0], missed), false);
            self.coarsen(missed);
        }
        let place = index(RINGS[0], tick);
        self.set_present(place, true);
        for (column, value) in self.columns.iter_mut().zip(values) {
            let code = encode(value);
            if code != 0 || column.is_some() {
                column.get_or_insert_with(|| Box::new([0; POINTS]))[place] = code;
            }
        }
        self.coarsen(tick);
        self.seen = tick;
    }

    /// Writes the coarse points that are complete with `tick`: the means of what was seen.
    fn coarsen(&mut self, tick: u64) {
        for (fine, coarse) in [(RINGS[0], RINGS[1]), (RINGS[1], RINGS[2])] {
            if !tick.is_multiple_of(coarse.ticks) {
                return;
            }
            let (last, count) = (tick / fine.ticks, coarse.ticks / fine.ticks);
            let covered = last.saturating_sub(count - 1)..=last;
            let places = covered.map(|place| index(fine, place));
            let seen: Vec<usize> = places.filter(|place| self.is_present(*place)).collect();
            let place = index(coarse, tick / coarse.ticks);
            self.set_present(place, !seen.is_empty());
            for column in self.columns.iter_mut().flatten() {
                let sum: f64 = seen.iter().map(|place| decode(column[*place])).sum();
                #[expect(clippy::cast_precision_loss, reason = "six at the most")]
                let mean = sum / seen.len().max(1) as f64;
                column[place] = encode(mean);
            }
        }
    }

    fn is_present(&self, place: usize) -> bool {
        self.present[place / 64] >> (place % 64) & 1 == 1
    }

    fn set_present(&mut self, place: usize, is_present: bool) {
        let bit = 1 << (place % 64);
        if is_present {
            self.present[place / 64] |= bit;
        } else {
            self.present[place / 64] &= !bit;
        }
    }

    /// The points of a ring up to `tick`.
    pub(super) fn points(&self, ring: Ring, tick: u64) -> Points {
        let columns = self.columns.iter();
        let mut columns = columns.map(|column| self.column(column.as_deref(), ring, tick));
        let mut next = || columns.next().expect("there is a column for each figure");
        Points {
            depth: next(),
            in_flight_count: next(),
            deferred_count: next(),
            client_count: next(),
            message_rate: next(),
            finish_rate: next(),
            requeue_rate: next(),
            timeout_rate: next(),
        }
    }

    fn column(&self, column: Option<&[u16; POINTS]>, ring: Ring, tick: u64) -> Vec<Option<f64>> {
        let newest = tick / ring.ticks;
        let oldest = (newest + 1).saturating_sub(ring.points as u64);
        let point = |place: u64| {
            let covers = place * ring.ticks;
            if covers < self.born || covers > self.seen {
                return None;
            }
            let place = index(ring, place);
            let value = column.map_or(0.0, |column| decode(column[place]));
            self.is_present(place).then_some(value)
        };
        (oldest..=newest).map(point).collect()
    }

    /// Bytes taken.
    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.columns.iter().flatten().count() * COLUMN_BYTES
    }
}

/// Where the `place`-th point of a ring, counted from the start of time, lies in a column.
fn index(ring: Ring, place: u64) -> usize {
    let within = place % ring.points as u64;
    ring.offset + usize::try_from(within).expect("a ring is short")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_depth(depth: i64) -> Figures {
        Figures {
            depth,
            ..Figures::default()
        }
    }

    #[test]
    fn rings_keep_their_span_and_coarse_points_are_means() {
        let mut series = Series::new(1);
        for tick in 1..=1000 {
            series.push(tick, &with_depth(i64::try_from(tick).unwrap()));
        }
        let fine = series.points(RINGS[0], 1000).depth;
        assert_eq!(
            (fine.len(), fine[0], fine[299]),
            (300, Some(701.0), Some(1000.0))
        );
        let coarse = series.points(RINGS[1], 1000).depth;
        // Points 0 to 200, of which point 0 covers tick 0.
        assert_eq!(
            (coarse.len(), coarse[0], coarse[200]),
            (201, None, Some(998.0))
        );
        let coarsest = series.points(RINGS[2], 1000).depth;
        assert_eq!(coarsest.len(), 34);
        assert!((coarsest[33].unwrap() - 975.5).abs() < 1.5, "{coarsest:?}");
    }

    #[test]
    fn what_was_not_seen_is_not_known_and_zeros_cost_nothing() {
        let mut series = Series::new(10);
        for tick in 10..20 {
            series.push(tick, &with_depth(0));
        }
        assert_eq!(series.bytes(), size_of::<Series>());
        assert_eq!(
            series.points(RINGS[0], 20).depth[9..12],
            [None, Some(0.0), Some(0.0)]
        );
        assert_eq!(series.points(RINGS[0], 20).depth[20], None, "not seen yet");
        series.push(25, &with_depth(7));
        let depth = series.points(RINGS[0], 25).depth;
        assert_eq!(
            depth[19..],
            [Some(0.0), None, None, None, None, None, Some(7.0)]
        );
    }

    #[test]
    fn a_long_absence_is_caught_up_with_in_bounded_time() {
        let mut series = Series::new(1);
        series.push(1, &with_depth(1));
        series.push(u64::MAX / 2, &with_depth(2));
        let depth = series.points(RINGS[0], u64::MAX / 2).depth;
        assert_eq!(depth[298..], [None, Some(2.0)]);
    }
}

//! End-to-end latency as columns of a table: within which time a share of the messages is finished, on the slowest node.

use crate::cluster::Latency;
use crate::units;

/// The shares that are measured, as the heads of columns.
#[derive(Debug)]
pub(super) struct Shares(Vec<f64>);

impl Shares {
    pub(super) fn of(latency: Option<&Latency>) -> Self {
        let percentiles = latency.and_then(|latency| latency.percentiles.as_deref());
        let shares = percentiles.unwrap_or_default().iter();
        Self(shares.map(|percentile| percentile.quantile).collect())
    }

    /// Where live events have each in a row, and how many percent it is.
    pub(super) fn heads(&self) -> impl Iterator<Item = (String, f64)> {
        self.0.iter().enumerate().map(|(index, share)| {
            let field = format!("e2e_processing_latency.percentiles.{index}.max");
            (field, (share * 1e8).round() / 1e6)
        })
    }

    /// A row's values: nanoseconds, and the same for people. Nothing where the row has none.
    pub(super) fn cells(&self, latency: Option<&Latency>) -> impl Iterator<Item = (f64, String)> {
        let percentiles = latency.and_then(|latency| latency.percentiles.as_deref());
        let percentiles = percentiles.unwrap_or_default();
        self.0.iter().map(move |share| {
            let mut own = percentiles.iter();
            let own = own.find(|percentile| percentile.quantile.total_cmp(share).is_eq());
            own.map_or((0.0, "–".to_owned()), |own| {
                (own.max, units::latency(own.max))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Percentile;

    #[test]
    fn each_share_has_a_column_and_rows_without_it_a_dash() {
        let percentile = |quantile, max| Percentile {
            max,
            quantile,
            ..Percentile::default()
        };
        let latency = |percentiles: &[Percentile]| Latency {
            percentiles: Some(percentiles.to_vec()),
            ..Latency::default()
        };
        let all = latency(&[percentile(0.999, 2e9), percentile(0.5, 3e6)]);
        let shares = Shares::of(Some(&all));
        let heads: Vec<_> = shares.heads().map(|(_, percent)| percent).collect();
        assert_eq!(heads, [99.9, 50.0]);
        let one = latency(&[percentile(0.5, 3e6)]);
        let cells: Vec<_> = shares.cells(Some(&one)).map(|(_, text)| text).collect();
        assert_eq!(cells, ["–", "3.00 ms"]);
        assert_eq!(Shares::of(None).heads().count(), 0);
    }
}

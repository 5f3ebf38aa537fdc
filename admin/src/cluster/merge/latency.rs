//! End-to-end latency: of one node, and over several.

use super::add;
use crate::cluster::answers::{LatencyStats, PercentileStats};
use crate::cluster::model::{Latency, Percentile};

/// That of one node.
pub(super) fn of_node(stats: LatencyStats) -> Latency {
    let percentile = |told: PercentileStats| Percentile {
        average: told.value,
        count: stats.count,
        max: told.value,
        min: told.value,
        quantile: told.quantile,
        value: Some(told.value),
    };
    let percentiles = stats.percentiles;
    Latency {
        count: stats.count,
        percentiles: percentiles.map(|told| told.into_iter().map(percentile).collect()),
        ..Latency::default()
    }
}

/// That over nodes; `None` if none of them measures it.
pub(super) fn over_nodes<'a>(
    rows: impl IntoIterator<Item = Option<&'a Latency>>,
    topic: &str,
    channel: &str,
) -> Option<Latency> {
    let mut rows = rows.into_iter().flatten().peekable();
    rows.peek()?;
    let mut total = Latency {
        topic: topic.to_owned(),
        channel: channel.to_owned(),
        host: "*".to_owned(),
        ..Latency::default()
    };
    for row in rows {
        add(&mut total.count, row.count);
        let Some(percentiles) = &row.percentiles else {
            continue;
        };
        let totals = total.percentiles.get_or_insert_default();
        for percentile in percentiles {
            add_percentile(totals, percentile);
        }
    }
    Some(total)
}

fn add_percentile(totals: &mut Vec<Percentile>, row: &Percentile) {
    let same = |total: &&mut Percentile| total.quantile.total_cmp(&row.quantile).is_eq();
    let Some(total) = totals.iter_mut().find(same) else {
        totals.push(Percentile {
            value: None,
            ..*row
        });
        return;
    };
    total.max = total.max.max(row.max);
    total.min = total.min.min(row.min);
    let count = total.count.saturating_add(row.count);
    if count != 0 {
        #[expect(clippy::cast_precision_loss, reason = "a mean needs no more")]
        let weight = row.count as f64 / count as f64;
        total.average += (row.average - total.average) * weight;
    }
    total.count = count;
}

//! What records tell about a time. What a running process counts itself is at its `/metrics`: `serve --metrics ADDR`.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use clap::Args;
use distribution_core::{AssetRecord, Error, Publisher, Query, State, Timestamp};
use serde_json::{Value, json};

use crate::duration::duration;
use crate::exit;
use crate::output::{Output, fields, or_dash, time};

#[derive(Args)]
pub(crate) struct Metrics {
    /// Publications claimed since so long ago, such as 30m, 24h or 30d
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = duration)]
    window: Duration,
}

impl Metrics {
    pub(crate) async fn run(self, publisher: &Publisher, output: Output) -> Result<u8, Error> {
        let now = Utc::now();
        let window = TimeDelta::from_std(self.window).ok().and_then(|window| now.checked_sub_signed(window));
        let from = window.ok_or_else(|| Error::invalid("window", "begins before the first year"))?;
        let (mut claimed, mut unfinished) = (Tally::default(), Unfinished::default());
        let of_window = Query { claimed_from: Some(from), ..Query::default() };
        let unreadable = each(publisher, of_window, |asset| claimed.count(asset)).await?;
        // Of all times: what was left behind before the window is left behind all the same.
        let left = Query { settled: Some(false), ..Query::default() };
        each(publisher, left, |asset| unfinished.count(asset)).await?;
        let speed = claimed.speed();
        let answer = json!({
            "from": from, "to": now, "in_progress": claimed.in_progress, "published": claimed.published,
            "rejected": claimed.rejected, "retracted": claimed.retracted, "unreadable": unreadable, "success_rate": claimed.success_rate(),
            "bytes_published": claimed.bytes, "seconds_to_publish": speed.map(Speed::json),
            "unfinished": { "count": unfinished.count, "oldest": unfinished.oldest },
        });
        output.give(&answer, || {
            let rate = claimed.success_rate().map(|rate| format!("{:.2} %", rate * 100.0));
            let oldest = unfinished.oldest.map(|(id, at)| format!("{id}, since {}", time(at)));
            fields([
                ("claimed from", time(from)),
                ("published", claimed.published.to_string()),
                ("in progress", claimed.in_progress.to_string()),
                ("rejected", claimed.rejected.to_string()),
                ("retracted", claimed.retracted.to_string()),
                ("unreadable", unreadable.to_string()),
                ("success", or_dash(rate)),
                ("bytes published", claimed.bytes.to_string()),
                ("time to publish", or_dash(speed.map(Speed::told))),
                ("unfinished, ever", unfinished.count.to_string()),
                ("oldest of these", or_dash(oldest)),
            ])
        })?;
        Ok(if unreadable > 0 { exit::DAMAGED } else { 0 })
    }
}

/// Sees each record, newest claim first; the answer is how many cannot be read.
async fn each(publisher: &Publisher, query: Query, mut see: impl FnMut(&AssetRecord)) -> Result<usize, Error> {
    let (mut unreadable, mut after) = (0, None);
    loop {
        let page = publisher.records(&query, after.as_ref(), Publisher::PAGE_MAX).await?;
        page.records.iter().for_each(&mut see);
        unreadable += page.unreadable.len();
        after = page.next;
        if after.is_none() {
            return Ok(unreadable);
        }
    }
}

#[derive(Default)]
struct Tally {
    in_progress: u64,
    published: u64,
    rejected: u64,
    retracted: u64,
    bytes: u64,
    /// From claim to proof.
    millis: Vec<u64>,
}

impl Tally {
    fn count(&mut self, asset: &AssetRecord) {
        match asset.state {
            State::InProgress => self.in_progress += 1,
            State::Published => self.published += 1,
            State::Rejected => self.rejected += 1,
            State::Retracted => self.retracted += 1,
        }
        if let Some(published) = &asset.published {
            self.bytes = self.bytes.saturating_add(published.size_bytes);
            let took = (published.published_at - asset.claimed_at).num_milliseconds();
            self.millis.push(u64::try_from(took).unwrap_or_default());
        }
    }

    /// Published ones among those that came to an end; what QC refused has no record and does not count.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn success_rate(&self) -> Option<f64> {
        let published = self.published + self.retracted;
        let ended = published + self.rejected;
        (ended > 0).then(|| published as f64 / ended as f64)
    }

    fn speed(&mut self) -> Option<Speed> {
        self.millis.sort_unstable();
        let at = |percent: usize| self.millis.get((self.millis.len() * percent / 100).min(self.millis.len() - 1));
        self.millis.last()?;
        Some(Speed { median: *at(50)?, p95: *at(95)?, longest: *self.millis.last()? })
    }
}

/// From claim to proof, in milliseconds.
#[derive(Clone, Copy)]
struct Speed {
    median: u64,
    p95: u64,
    longest: u64,
}

impl Speed {
    fn json(self) -> Value {
        let [median, p95, longest] = self.secs();
        json!({ "median": median, "p95": p95, "max": longest })
    }

    fn told(self) -> String {
        let [median, p95, longest] = self.secs();
        format!("median {median} s, 95 % within {p95} s, longest {longest} s")
    }

    fn secs(self) -> [f64; 3] {
        [self.median, self.p95, self.longest].map(|millis| Duration::from_millis(millis).as_secs_f64())
    }
}

#[derive(Default)]
struct Unfinished {
    count: u64,
    oldest: Option<(String, Timestamp)>,
}

impl Unfinished {
    fn count(&mut self, asset: &AssetRecord) {
        self.count += 1;
        self.oldest = Some((asset.audit_log_id.to_string(), asset.claimed_at));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_hundred_is_the_middle_and_nothing_has_no_rate() {
        let mut tally = Tally { published: 99, rejected: 1, millis: (1..=100).rev().collect(), ..Tally::default() };
        let speed = tally.speed().unwrap();
        assert_eq!((speed.median, speed.p95, speed.longest), (51, 96, 100));
        assert_eq!(tally.success_rate(), Some(0.99));
        let mut nothing = Tally { in_progress: 1, ..Tally::default() };
        assert!(nothing.success_rate().is_none() && nothing.speed().is_none());
    }
}

//! Publishing again and again, until the outcome is known.

use std::sync::Arc;
use std::time::Duration;

use distribution_core::{DistributionRecord, Error, ErrorKind, PublishRequest, Publisher};
use tokio::time::{Instant, sleep};

use crate::bar::Bar;

/// How long is waited before the next try: this, then twice as long each time.
const PAUSE_MIN: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Another process may be done, or let go, before its lease is over.
const BUSY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Publishes, and again what may yet succeed, until `patience` is over; `None` if `stop` comes in between. Each
/// try has a bar, and `wait` is told before each pause.
pub(crate) async fn publish(
    publisher: &Publisher,
    request: PublishRequest,
    patience: Duration,
    bar: impl Fn() -> Bar,
    wait: impl Fn(&Error),
    stop: impl Future<Output = ()>,
) -> Option<Result<DistributionRecord, Error>> {
    let (begun, mut pause) = (Instant::now(), PAUSE_MIN);
    tokio::pin!(stop);
    loop {
        let bar = Arc::new(bar());
        let outcome = publisher.publish_watched(request.clone(), bar.clone()).await;
        bar.0.finish_and_clear();
        let Err(error) = &outcome else { return Some(outcome) };
        let for_now = pause_before_repeat(error, pause);
        if !error.is_retryable() || begun.elapsed() + for_now > patience {
            return Some(outcome);
        }
        wait(error);
        tokio::select! {
            () = sleep(for_now) => {}
            () = &mut stop => return None,
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// As long as the error says, where it does, and at moments that differ between edits.
fn pause_before_repeat(error: &Error, pause: Duration) -> Duration {
    let jitter = 0.75 + fastrand::f64() / 2.0;
    match (error.kind(), error.retry_after()) {
        (ErrorKind::Busy, Some(after)) => after.clamp(PAUSE_MIN, BUSY_PAUSE_MAX).mul_f64(jitter),
        (_, after) => pause.max(after.unwrap_or_default()).mul_f64(jitter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_as_long_as_the_error_says_and_never_the_same_for_all() {
        let busy = Error::new(ErrorKind::Busy, "").after(Duration::from_secs(60));
        let away = Error::unavailable("").after(Duration::from_secs(8));
        for _ in 0..100 {
            assert!(pause_before_repeat(&busy, PAUSE_MIN) <= BUSY_PAUSE_MAX * 2);
            let pause = pause_before_repeat(&away, PAUSE_MIN);
            assert!(pause >= Duration::from_secs(6) && pause <= Duration::from_secs(10));
            assert!(pause_before_repeat(&Error::unavailable(""), PAUSE_MAX) <= PAUSE_MAX * 2);
        }
    }
}

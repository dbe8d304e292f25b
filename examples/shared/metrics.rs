//! Metrics for Prometheus: what a process measures, at a route of its own.

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use distribution_core::{Error, ErrorKind};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// The upper bounds of histograms, in ms: from a signature to a film's upload.
const BUCKETS_MS: [f64; 12] =
    [1.0, 5.0, 25.0, 100.0, 500.0, 1_000.0, 5_000.0, 15_000.0, 60_000.0, 300_000.0, 1_800_000.0, 7_200_000.0];

/// Makes Prometheus the recorder of this process: once, before the first publish.
pub(crate) fn record() -> Result<PrometheusHandle, Error> {
    let builder = PrometheusBuilder::new().set_buckets_for_metric(Matcher::Suffix("_ms".to_owned()), &BUCKETS_MS);
    builder.and_then(PrometheusBuilder::install_recorder).map_err(|error| {
        Error::new(ErrorKind::Unsupported, "this process measures for somebody else already").because(error)
    })
}

/// `GET /metrics`, in the text format of Prometheus. It holds names of targets and numbers, and no secret; who may
/// read it is the host's to say.
pub(crate) fn route(recorded: PrometheusHandle) -> Router {
    let scrape = move || {
        // Else what is told between two scrapes stays in memory one by one.
        recorded.run_upkeep();
        let text = recorded.render();
        async move { ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text) }
    };
    Router::new().route("/metrics", get(scrape))
}

//! Spans for OpenTelemetry: every publish is a span `publish` with its `audit_log_id`, and each of its actions a span
//! `action` with its `stage` within that. `cargo run --example telemetry` publishes in memory and prints the spans; a
//! host puts its OTLP exporter in place of [`Lines`].

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use distribution_core::Error;
use distribution_testkit::{World, request};
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing_subscriber::layer::SubscriberExt as _;

/// Keeps each span as a line: its name, and its attributes.
#[derive(Clone, Debug, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl SpanExporter for Lines {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let line = |span: SpanData| {
            let attributes = span.attributes.iter().map(|pair| format!(" {}={}", pair.key, pair.value));
            let child = if span.parent_span_id == opentelemetry::trace::SpanId::INVALID { "" } else { "  " };
            format!("{child}{}{}", span.name, attributes.collect::<String>())
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch.into_iter().map(line));
        Ok(())
    }
}

/// Publishes once; the lines of its spans, in the order in which they ended.
fn spans() -> Result<Vec<String>, Error> {
    let lines = Lines::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(lines.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("distribution"));
    let world = World::new();
    world.stage("clip.mp4", "approved bytes");
    let publisher = world.publisher("host-1");
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        futures::executor::block_on(publisher.publish(request("clip.mp4", b"approved bytes")))
    })?;
    provider.shutdown().map_err(|error| Error::unavailable("spans were not exported").because(error))?;
    Ok(std::mem::take(&mut *lines.0.lock().unwrap_or_else(PoisonError::into_inner)))
}

#[expect(clippy::print_stdout, reason = "the example is about what is printed")]
fn main() -> ExitCode {
    match spans() {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publish_is_a_span_with_its_id_and_its_actions_are_within() {
        let lines = spans().unwrap();
        let publish = lines.iter().filter(|line| line.starts_with("publish ")).collect::<Vec<_>>();
        assert!(publish.len() == 1 && publish[0].contains(" audit_log_id=dist_"), "{lines:?}");
        for stage in ["gate", "transfer", "prove", "record", "audit", "sign"] {
            let is_it = |line: &&String| line.starts_with("  action ") && line.contains(&format!(" stage={stage}"));
            assert!(lines.iter().any(|line| is_it(&line)), "no {stage} in {lines:?}");
        }
        assert!(!lines.iter().any(|line| line.contains("https://")), "no link: {lines:?}");
    }
}

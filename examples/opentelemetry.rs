//! Spans for OpenTelemetry: every publish is a span `publish` with its `audit_log_id`, each of its actions a span
//! `action` with its `stage` within that; what is finished by a recovery is within a span `recover` with the same id.
//! `cargo run --example opentelemetry` publishes in memory and prints the spans; a host puts its OTLP exporter in place
//! of [`Lines`].

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use distribution_core::Error;
use distribution_testkit::{World, request};
use opentelemetry::trace::{SpanId, TracerProvider as _};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tracing::instrument::WithSubscriber as _;
use tracing_subscriber::layer::SubscriberExt as _;

/// A span as it is exported.
struct Line {
    id: SpanId,
    parent: SpanId,
    /// Its name and its attributes.
    text: String,
}

/// Keeps each span as a line, in the order in which they end.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<Line>>>);

impl SpanExporter for Lines {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let line = |span: SpanData| {
            let attributes = span.attributes.iter().map(|pair| format!(" {}={}", pair.key, pair.value));
            let text = format!("{}{}", span.name, attributes.collect::<String>());
            Line { id: span.span_context.span_id(), parent: span.parent_span_id, text }
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(batch.into_iter().map(line));
        Ok(())
    }
}

impl std::fmt::Debug for Lines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lines").finish_non_exhaustive()
    }
}

/// Does this work, and gives the spans that it was in. An exporter that exports each span as it ends must not be asked
/// within `futures::executor::block_on`, which it needs itself; Tokio's runtimes are no matter.
async fn spans<T>(work: impl Future<Output = Result<T, Error>>) -> Result<Vec<Line>, Error> {
    let lines = Lines::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(lines.clone()).build();
    // Where in this library's source a span begins is of no use to a host.
    let layer = tracing_opentelemetry::layer().with_location(false).with_target(false).with_threads(false);
    let layer = layer.with_tracked_inactivity(false).with_tracer(provider.tracer("distribution"));
    // A host sets it for the whole process, with `tracing::subscriber::set_global_default`.
    work.with_subscriber(tracing_subscriber::registry().with(layer)).await?;
    provider.shutdown().map_err(|error| Error::unavailable("spans were not exported: repeat").because(error))?;
    Ok(std::mem::take(&mut *lines.0.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// How many spans a span is within.
fn depth(line: &Line, lines: &[Line]) -> usize {
    let parent = |line: &&Line| lines.iter().find(|other| other.id == line.parent);
    std::iter::successors(Some(line), parent).skip(1).count()
}

/// A world with a file that is approved.
fn world() -> World {
    let world = World::new();
    world.stage("clip.mp4", "approved bytes");
    world
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the example is about what is printed")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let publisher = world().publisher("host-1");
    match spans(publisher.publish(request("clip.mp4", b"approved bytes"))).await {
        Ok(lines) => {
            for line in &lines {
                println!("{}{}", "  ".repeat(depth(line, &lines)), line.text);
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{}: {error}", error.kind());
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use distribution_testkit::{Fault, Op};
    use tokio::sync::Mutex;

    use super::*;

    /// While only one thread of a process has a subscriber, `tracing` asks the one of the thread that comes to a place
    /// first whether the place is wanted, and keeps the answer for all: so these tests take turns.
    static TURN: Mutex<()> = Mutex::const_new(());

    /// The stages within the one span of this name, whose id is that of the publication.
    fn stages(lines: &[Line], name: &str, audit_log_id: &str) -> Vec<String> {
        let [span] = lines.iter().filter(|line| line.text.starts_with(name)).collect::<Vec<_>>()[..] else {
            panic!("not one `{name}`");
        };
        assert!(span.text.contains(&format!(" audit_log_id={audit_log_id}")), "{}", span.text);
        let within = lines.iter().filter(|line| line.parent == span.id);
        let stage = |line: &Line| line.text.split_once(" stage=")?.1.split(' ').next().map(str::to_owned);
        within.filter(|line| line.text.starts_with("action ")).filter_map(stage).collect()
    }

    #[tokio::test]
    async fn a_publish_is_a_span_with_its_id_and_its_actions_are_within() {
        let _turn = TURN.lock().await;
        let world = world();
        let publisher = world.publisher("host-1");
        let lines = spans(publisher.publish(request("clip.mp4", b"approved bytes"))).await.unwrap();
        let id = world.rows()[0].id.to_string();
        let stages = stages(&lines, "publish ", &id);
        for stage in ["gate", "transfer", "prove", "record", "audit", "sign"] {
            assert!(stages.iter().any(|found| found == stage), "no {stage} in {stages:?}");
        }
        assert!(!lines.iter().any(|line| line.text.contains("https://")), "a link in a span");
    }

    #[tokio::test]
    async fn what_a_recovery_finishes_is_within_a_span_with_its_id() {
        let _turn = TURN.lock().await;
        let world = world();
        let publisher = world.publisher("host-1");
        world.fail(|effect| (effect.op == Op::AuditAppend).then_some(Fault::LostRequest));
        let call = publisher.publish(request("clip.mp4", b"approved bytes"));
        assert!(call.await.is_err());
        world.heal();
        let lines = spans(publisher.recover()).await.unwrap();
        let id = world.rows()[0].id.to_string();
        assert!(stages(&lines, "recover ", &id).contains(&"audit".to_owned()));
    }
}

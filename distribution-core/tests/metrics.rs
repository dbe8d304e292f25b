//! What a recorder sees of publishes that succeed, fail and are turned away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use distribution_core::metrics::{
    ALERTS_TOTAL, BYTES_TOTAL, LATENCY_MS, PUBLISH_SUCCESS_RATE, PUBLISH_TOTAL, REPLICA_COUNT, STAGE_MS, SWEPT_TOTAL,
};
use distribution_core::{PublishRequest, SweepPolicy};
use distribution_testkit::{Fault, MemoryStaging, Op, World, request};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};

/// Values by `name{label=value,…}`: sums of counters, last values of gauges, how often a histogram was told.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<BTreeMap<String, f64>>>);

struct Series(Seen, String);

impl Series {
    fn change(&self, change: impl FnOnce(f64) -> f64) {
        let mut seen = self.0.0.lock().unwrap();
        let value = seen.entry(self.1.clone()).or_default();
        *value = change(*value);
    }
}

impl CounterFn for Series {
    fn increment(&self, by: u64) {
        self.change(|value| value + by as f64);
    }
    fn absolute(&self, value: u64) {
        self.change(|_| value as f64);
    }
}

impl GaugeFn for Series {
    fn increment(&self, by: f64) {
        self.change(|value| value + by);
    }
    fn decrement(&self, by: f64) {
        self.change(|value| value - by);
    }
    fn set(&self, value: f64) {
        self.change(|_| value);
    }
}

impl HistogramFn for Series {
    fn record(&self, value: f64) {
        assert!(value >= 0.0);
        self.change(|count| count + 1.0);
    }
}

impl Seen {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels = key.labels().map(|label| format!("{}={}", label.key(), label.value()));
        Arc::new(Series(self.clone(), format!("{}{{{}}}", key.name(), labels.collect::<Vec<_>>().join(","))))
    }

    fn value(&self, name: &str, labels: &str) -> Option<f64> {
        self.0.lock().unwrap().get(&format!("{name}{{{labels}}}")).copied()
    }
}

impl Recorder for Seen {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }
    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }
    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

#[test]
fn every_publish_is_counted_by_how_it_ended() {
    let (seen, world) = (Seen::default(), World::new());
    world.stage("clip.mp4", "approved bytes");
    let publisher = world.publisher("host-1");
    let publish = |request: PublishRequest| world.run(publisher.publish(request)).returned().unwrap();
    let call = || request("clip.mp4", b"approved bytes");
    let mut refused = call();
    refused.qc_report = serde_json::from_str(r#"{ "status": "fail" }"#).unwrap();
    metrics::with_local_recorder(&seen, || {
        publish(call()).unwrap();
        publish(call()).unwrap(); // the same answer again
        publish(refused).unwrap_err();
        assert_eq!(seen.value(PUBLISH_SUCCESS_RATE, ""), Some(1.0), "a refusal says nothing about publishing");
        world.fail(|effect| (effect.op == Op::MetadataClaim).then_some(Fault::LostRequest));
        publish(call()).unwrap_err();
    });
    let total = |labels: &str| seen.value(PUBLISH_TOTAL, &format!("target=default,{labels}"));
    assert_eq!(total("outcome=published,kind=none"), Some(2.0));
    assert_eq!(total("outcome=turned_away,kind=refused"), Some(1.0));
    assert_eq!(total("outcome=failed,kind=unavailable"), Some(1.0));
    assert_eq!(seen.value(PUBLISH_SUCCESS_RATE, ""), Some(2.0 / 3.0));
    assert_eq!(seen.value(LATENCY_MS, "target=default,outcome=published"), Some(2.0));
    assert_eq!(seen.value(REPLICA_COUNT, "target=default"), Some(1.0));
    assert_eq!(seen.value(BYTES_TOTAL, "target=default"), Some(14.0), "once, not for the repeat");
    assert_eq!(seen.value(ALERTS_TOTAL, "kind=qc_refused"), Some(1.0));
    for stage in ["gate", "transfer", "prove", "record", "audit", "sign"] {
        let labels = format!("target=default,stage={stage},outcome=done");
        assert!(seen.value(STAGE_MS, &labels) >= Some(1.0), "{stage}");
    }
}

#[test]
fn labels_have_few_values_and_name_no_publication() {
    let (seen, world) = (Seen::default(), World::new());
    world.stage("clip.mp4", "approved bytes");
    let publisher = world.publisher("host-1");
    let publish = |url: &str| {
        let call = request(url, b"approved bytes");
        world.run(publisher.publish(call)).returned().unwrap().map(drop)
    };
    metrics::with_local_recorder(&seen, || {
        publish("clip.mp4").unwrap();
        publish("https://staging.invalid/other.mp4?X-Amz-Signature=canary").unwrap_err();
        for op in [Op::StorageCreate, Op::MetadataClaim, Op::AuditAppend, Op::SourceOpen, Op::SignerSign] {
            world.fail(move |effect| (effect.op == op).then_some(Fault::LostRequest));
            let name = format!("{}.mp4", op.as_str());
            world.stage(name.clone(), "approved bytes");
            publish(&name).unwrap_err();
        }
    });
    let allowed = |label: &str, value: &str| match label {
        "target" => ["", "default"].contains(&value),
        "outcome" => ["published", "failed", "turned_away", "done"].contains(&value),
        "stage" => ["gate", "preflight", "transfer", "prove", "record", "audit", "sign"].contains(&value),
        "kind" => value.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'),
        _ => false,
    };
    let series: Vec<String> = seen.0.lock().unwrap().keys().cloned().collect();
    for name in &series {
        let (metric, labels) = name.strip_suffix('}').unwrap().split_once('{').unwrap();
        assert!(metric.starts_with("distribution."), "{name}");
        for label in labels.split(',').filter(|label| !label.is_empty()) {
            let (label, value) = label.split_once('=').unwrap();
            assert!(allowed(label, value), "{name}");
        }
        assert!(!name.contains("dist_") && !name.contains("canary") && !name.contains("://"), "{name}");
    }
    assert!(series.len() < 40, "{series:?}");
    for kind in ["unavailable", "metadata_unreachable", "audit_unreachable"] {
        assert!(seen.value(ALERTS_TOTAL, &format!("kind={kind}")) >= Some(1.0), "{kind}");
    }
}

#[test]
fn each_staged_file_is_counted_by_what_became_of_it() {
    let (seen, world) = (Seen::default(), World::new());
    world.stage("clip.mp4", "approved bytes");
    let publisher = world.publisher("host-1");
    world.run(publisher.publish(request("clip.mp4", b"approved bytes"))).returned().unwrap().unwrap();
    world.stage("other.mp4", "unpublished");
    let pass = |removes: bool| {
        let (staging, policy) = (Arc::new(MemoryStaging::new(&world)), SweepPolicy::default());
        let mut sweep = if removes { publisher.sweep(staging, policy) } else { publisher.plan_sweep(staging, policy) };
        world.run(async { while sweep.next().await.unwrap().is_some() {} }).returned().unwrap();
    };
    metrics::with_local_recorder(&seen, || {
        pass(false);
        pass(true);
        world.advance(std::time::Duration::from_secs(7 * 24 * 3_600));
        pass(true);
    });
    let count = |verdict: &str| seen.value(SWEPT_TOTAL, &format!("verdict={verdict}"));
    let counts = ["retained", "unpublished", "removed", "stuck", "remove"].map(count);
    assert_eq!(counts, [Some(1.0), Some(1.0), Some(1.0), Some(1.0), None], "a plan is not counted");
}

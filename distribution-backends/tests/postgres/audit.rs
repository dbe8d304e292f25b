//! `PostgresAudit` keeps every guarantee of its port, and a chain that verifies.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use distribution_backends::{FindingKind, PostgresAudit, Seal, Verifier};
use distribution_core::{AuditEntry, AuditSink, ErrorKind};
use distribution_testkit::conformance::{AuditHarness, Harness};
use futures::future::BoxFuture;
use tokio::runtime::Runtime;

use crate::server::{Schema, missing};

struct Postgres {
    runtime: Runtime,
    /// `None` without a server.
    schema: Option<Schema>,
}

impl Postgres {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { runtime, schema: missing().is_none().then(|| Schema::new().unwrap()) }
    }
}

impl Harness for Postgres {
    fn run(&self, future: BoxFuture<'_, ()>) {
        self.runtime.block_on(future);
    }

    fn missing(&self) -> Option<String> {
        missing()
    }
}

#[async_trait]
impl AuditHarness for Postgres {
    async fn open(&self) -> Arc<dyn AuditSink> {
        Arc::new(PostgresAudit::open(self.schema.as_ref().unwrap().config(), Seal::default()).await.unwrap())
    }

    async fn kept(&self) -> Vec<AuditEntry> {
        let config = self.schema.as_ref().unwrap().config();
        let verdict = PostgresAudit::verify(config.clone(), Verifier::new()).await.unwrap().finish();
        // The suite appends in any order, and so leaves gaps in trails.
        assert_eq!(verdict.findings.iter().find(|finding| finding.kind != FindingKind::Gap), None);
        PostgresAudit::read(config).await.unwrap()
    }
}

mod proof_of_postgres_audit {
    distribution_testkit::audit_conformance!(super::Postgres::new());
}

#[tokio::test]
async fn records_and_entries_share_a_schema_and_a_chain_has_one_name() {
    let Some(schema) = Schema::new() else { return };
    let open = |seal| PostgresAudit::open(schema.config(), seal);
    // Whichever makes the schema.
    let audit = open(Seal::default()).await.unwrap();
    schema.open().await;
    let entry = serde_json::from_value(serde_json::json!({
        "audit_log_id": "dist_00000000000000000000000000", "trail": "publication", "sequence": 0,
        "at": "2026-01-02T00:00:00Z", "event": "claimed", "holder": "host-1", "qc_report_id": null,
    }));
    audit.append(&[entry.unwrap()]).await.unwrap();
    let error = open(Seal::new("//other").unwrap()).await.map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
    schema.execute("UPDATE audit_entry SET event = 'x'").await;
    let verdict = PostgresAudit::verify(schema.config(), Verifier::new()).await.unwrap().finish();
    assert_eq!(verdict.findings[0].place, "row 0");
}

#[tokio::test]
async fn a_table_is_read_in_statements_that_each_end_in_time() {
    let Some(schema) = Schema::new() else { return };
    let audit = PostgresAudit::open(schema.config(), Seal::default()).await.unwrap();
    let entries: Vec<AuditEntry> = (0..1001)
        .map(|sequence| {
            serde_json::from_value(serde_json::json!({
                "audit_log_id": "dist_00000000000000000000000000", "trail": "publication", "sequence": sequence,
                "at": "2026-01-02T00:00:00Z", "event": "claimed", "holder": "host-1", "qc_report_id": null,
            }))
            .unwrap()
        })
        .collect();
    audit.append(&entries).await.unwrap();
    // A view in the place of the table, each row of which takes a millisecond.
    schema.execute("ALTER TABLE audit_entry RENAME TO audit_entries").await;
    let slow = "CREATE VIEW audit_entry AS SELECT * FROM audit_entries WHERE pg_sleep(0.001)::text IS NOT NULL";
    schema.execute(slow).await;
    let config = || schema.config().statement_timeout(Duration::from_secs(1));
    let verdict = PostgresAudit::verify(config(), Verifier::new()).await.unwrap().finish();
    assert!(verdict.is_clean() && verdict.entries == 1001, "{verdict:?}");
    assert_eq!(PostgresAudit::read(config()).await.unwrap(), entries);
}

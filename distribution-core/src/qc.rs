//! The gate: from a QC report to an approval, or to a refusal that says why.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, ErrorKind, quote};
use crate::object::Checksum;
use crate::text::check_line;
use crate::time::Timestamp;

/// Final QC's verdict, as it came. Only [`approve`](Self::approve) turns it into something that
/// publishes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct QcReport {
    /// Exactly `pass`, or the file is not published. Anything else, of any type, is a refusal.
    #[serde(default)]
    #[schemars(with = "String")]
    pub status: Value,
    /// The checksum of the bytes that were judged; must equal the file's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// The report's own name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report_id: Option<String>,
    /// Who judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reviewer: Option<String>,
    /// When the verdict stops counting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// Which reports the gate lets through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QcPolicy {
    /// Refuse a report that does not name the checksum it judged.
    pub require_checksum: bool,
}

/// Proof that QC passed exactly these bytes. If it exists, the gate was open when it was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QcApproval {
    checksum: Checksum,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    report_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reviewer: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

impl QcReport {
    const LINE_BYTES_MAX: usize = 256;

    /// A report whose status is `pass`, and nothing more.
    pub fn pass() -> Self {
        Self { status: Value::from("pass"), ..Self::default() }
    }

    /// Whether these bytes are approved at `now`.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`], saying why, for everything that is not a current `pass` for exactly
    /// this checksum.
    pub fn approve(&self, checksum: &Checksum, policy: QcPolicy, now: Timestamp) -> Result<QcApproval, Error> {
        let refused = |field: &str, message: String| {
            Err(Error::new(ErrorKind::Refused, message).at(&format!("qc_report.{field}")))
        };
        match &self.status {
            Value::String(status) if status == "pass" => {}
            Value::Null => return refused("status", "final QC has not passed this file: no status given".into()),
            other => {
                let status = quote(other.as_str().unwrap_or(&other.to_string()));
                return refused("status", format!("final QC has not passed this file: {status} is not \"pass\""));
            }
        }
        match &self.checksum {
            Some(judged) if judged != checksum => {
                return refused("checksum", format!("QC judged {judged}, but the file to publish is {checksum}"));
            }
            None if policy.require_checksum => {
                return refused("checksum", "is required here: name the bytes that QC judged".into());
            }
            Some(_) | None => {}
        }
        if let Some(expires_at) = self.expires_at.filter(|expires_at| *expires_at <= now) {
            return refused("expires_at", format!("the QC report expired at {expires_at}: have QC renew it"));
        }
        Ok(QcApproval {
            checksum: *checksum,
            report_id: self.report_id.clone(),
            reviewer: self.reviewer.clone(),
            expires_at: self.expires_at,
        })
    }

    /// Checks the limits of what is kept of a report.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`], naming the field.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        for (name, line) in [("report_id", &self.report_id), ("reviewer", &self.reviewer)] {
            let line = line.as_deref().unwrap_or_default();
            check_line(line, Self::LINE_BYTES_MAX)
                .map_err(|message| Error::invalid(&format!("qc_report.{name}"), message))?;
        }
        Ok(())
    }
}

impl QcApproval {
    /// The bytes that were approved.
    pub fn checksum(&self) -> &Checksum {
        &self.checksum
    }

    /// The report's own name, if it had one.
    pub fn report_id(&self) -> Option<&str> {
        self.report_id.as_deref()
    }

    /// Whether the approval still counts at `now`.
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| now < expires_at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn approve(report: &Value, policy: QcPolicy) -> Result<QcApproval, Error> {
        let report: QcReport = serde_json::from_value(report.clone()).unwrap();
        let now = "2026-01-02T00:00:00Z".parse().unwrap();
        report.approve(&Checksum::of(b"approved"), policy, now)
    }

    #[test]
    fn only_the_exact_pass_passes() {
        assert!(approve(&json!({"status": "pass"}), QcPolicy::default()).is_ok());
        for status in [
            json!("fail"),
            json!("PASS"),
            json!("Pass"),
            json!(""),
            json!(null),
            json!("pass "),
            json!(" pass"),
            json!("pass\n"),
            json!("pass\u{0}"),
            json!("passed"),
            json!("ok"),
            json!("true"),
            json!(true),
            json!(false),
            json!(0),
            json!(1),
            json!(1.0),
            json!(["pass"]),
            json!({"v": "pass"}),
            json!("warn"),
            json!("pending"),
            json!("waived"),
            json!("\u{ff50}ass"),
            json!("p\u{430}ss"),
            json!("\"pass\""),
        ] {
            let error = approve(&json!({"status": status}), QcPolicy::default()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{status}");
            assert_eq!(error.field(), Some("qc_report.status"));
        }
        assert!(approve(&json!({}), QcPolicy::default()).is_err());
    }

    #[test]
    fn a_report_counts_only_for_the_bytes_it_names() {
        let strict = QcPolicy { require_checksum: true };
        let same = json!({"status": "pass", "checksum": Checksum::of(b"approved")});
        let other = json!({"status": "pass", "checksum": Checksum::of(b"other")});
        assert!(approve(&same, strict).is_ok());
        for (report, policy) in [(&other, strict), (&other, QcPolicy::default()), (&json!({"status": "pass"}), strict)]
        {
            let error = approve(report, policy).unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::Refused, Some("qc_report.checksum")));
        }
    }

    #[test]
    fn a_report_counts_until_it_expires() {
        for (expires_at, passes) in
            [("2026-01-01T23:59:59Z", false), ("2026-01-02T00:00:00Z", false), ("2026-01-02T00:00:01Z", true)]
        {
            let report = json!({"status": "pass", "expires_at": expires_at});
            assert_eq!(approve(&report, QcPolicy::default()).is_ok(), passes, "{expires_at}");
        }
    }
}

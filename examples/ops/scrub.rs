//! Reading published copies again, and copying anew what is lost.

use clap::Args;
use distribution_core::{Cursor, Error, Publisher, Scrub};
use serde_json::json;

use crate::failures::{code_of_failures, failures_table, told};
use crate::output::{Output, fields, or_dash};
use crate::recover::spinner;

#[derive(Args)]
pub(crate) struct Scrubbing {
    /// How much to read, in MiB; the last publication is looked at whole. All, if it is not said
    #[arg(long, value_name = "MIB")]
    mib: Option<u64>,
    /// Where an earlier scrub ended, as it has told
    #[arg(long, value_name = "PLACE")]
    after: Option<Cursor>,
}

impl Scrubbing {
    pub(crate) async fn run(self, publisher: &Publisher, output: Output) -> Result<u8, Error> {
        let at_work = spinner("reading published copies again");
        let bytes_max = self.mib.map_or(u64::MAX, |mib| mib.saturating_mul(1 << 20));
        let scrub = publisher.scrub(self.after.as_ref(), bytes_max).await;
        at_work.finish_and_clear();
        let Scrub { publications, bytes, sound, lost, archived, repaired, locked, failed, failures, next } = scrub?;
        let next = next.map(|next| next.to_string());
        let answer = json!({
            "publications": publications, "bytes": bytes, "sound": sound, "lost": lost, "archived": archived, "repaired": repaired,
            "locked": locked, "failed": failed, "failures": told(&failures), "next": next,
        });
        output.give(&answer, || {
            let counts = [
                ("publications", publications.to_string()),
                ("bytes read", bytes.to_string()),
                ("sound copies", sound.to_string()),
                ("lost copies", lost.to_string()),
                ("not readable now", archived.to_string()),
                ("copied anew", repaired.to_string()),
                ("kept by their store again", locked.to_string()),
                ("failed", failed.to_string()),
                ("go on with --after", or_dash(next)),
            ];
            format!("{}{}", fields(counts), failures_table(&failures))
        })?;
        Ok(code_of_failures(failed, &failures))
    }
}

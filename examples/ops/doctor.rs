//! Whether publishing works.

use distribution_backends::LinkProbe;
use distribution_core::{Diagnosis, Error, Finding, Health, Publisher};

use crate::exit;
use crate::json::value;
use crate::output::{Output, or_dash, table};
use crate::recover::spinner;
use crate::shell::{interrupted, say};

pub(crate) async fn run(publisher: &Publisher, output: Output) -> Result<u8, Error> {
    let probe = LinkProbe::new()?;
    let at_work = spinner("the doctor stores, reads back, fetches, waits for a link to end, and removes");
    let examined = publisher.doctor(&probe);
    tokio::pin!(examined);
    let diagnosis = tokio::select! {
        diagnosis = &mut examined => diagnosis,
        () = interrupted() => {
            say("stopping once the doctor's objects are removed: Ctrl-C again leaves them behind");
            tokio::select! {
                diagnosis = &mut examined => diagnosis,
                () = interrupted() => return Ok(exit::INTERRUPTED),
            }
        }
    };
    at_work.finish_and_clear();
    output.give(&value(&diagnosis)?, || told(&diagnosis))?;
    Ok(if diagnosis.is_well() { 0 } else { exit::AGAIN })
}

fn told(diagnosis: &Diagnosis) -> String {
    let rows = diagnosis.findings.iter().map(|Finding { target, check, health }| {
        let (health, text) = match health {
            Health::Well => ("well", String::new()),
            Health::Ill { problem } => ("ILL", problem.clone()),
            Health::Unknown { reason } => ("unknown", reason.clone()),
        };
        [health.to_owned(), or_dash(target.as_ref()), check.as_str().to_owned(), text]
    });
    table(["HEALTH", "TARGET", "CHECK", "WHAT TO DO"], rows)
}

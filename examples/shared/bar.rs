//! A progress bar.

use distribution_core::{Progress, Stage};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows how far a publish is, where stderr is a terminal.
pub(crate) struct Bar(pub(crate) ProgressBar);

impl Bar {
    pub(crate) fn style() -> ProgressStyle {
        let template = "{msg:>10} [{bar:40}] {bytes}/{total_bytes} {bytes_per_sec}";
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    }
}

impl Progress for Bar {
    fn stage(&self, stage: Stage) {
        if let Stage::Transfer { total } = stage {
            self.0.set_style(Self::style());
            self.0.set_length(total);
        }
        self.0.set_position(0);
        self.0.set_message(match stage {
            Stage::Transfer { .. } => "copying",
            Stage::Prove => "proving",
            Stage::Replicate => "replicating",
            Stage::Audit => "auditing",
            _ => "signing",
        });
    }

    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }
}

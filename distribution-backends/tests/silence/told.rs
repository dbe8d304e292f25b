//! All that leaves the library but what is meant for the caller alone: the ways out.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use distribution_core::{Alert, AlertSink, DistributionRecord, Error, Link};
use serde::Serialize;

use crate::a_heard;
use crate::canary::Secrets;

/// What was told, and by which way.
#[derive(Default)]
pub(crate) struct Told {
    ways: Vec<(String, Vec<u8>)>,
    alerts: Arc<Alerts>,
}

impl Told {
    /// Listens to every log, too.
    pub(crate) fn new() -> Self {
        a_heard::listen();
        Self::default()
    }

    /// An error and its causes. A host that does not expect it panics with its `Debug`.
    pub(crate) fn error(&mut self, error: Error) {
        let mut text = format!("{error} {error:?} {error:#?} {:?} {}", error.field(), error.message());
        let mut cause = error.source();
        while let Some(next) = cause {
            text += &format!(" {next} {next:?} {next:#?}");
            cause = next.source();
        }
        self.say("error", text);
    }

    /// An error where there must be one.
    #[track_caller]
    pub(crate) fn refusal<T>(&mut self, result: Result<T, Error>) {
        self.error(result.map(drop).expect_err("this must fail"));
    }

    pub(crate) fn debug(&mut self, value: &(impl Debug + ?Sized)) {
        self.say("debug", format!("{value:?} {value:#?}"));
    }

    pub(crate) fn json(&mut self, way: &str, value: &impl Serialize) {
        self.say(way, serde_json::to_string(value).unwrap());
    }

    /// What a caller gets, and its link, whose signature is now a secret.
    pub(crate) fn answer(&mut self, record: &DistributionRecord, secrets: &mut Secrets) {
        let rest = DistributionRecord { public_url: Link::new("-"), ..record.clone() };
        self.debug(record);
        self.json("answer", &rest);
        self.link(&record.public_url, secrets);
    }

    pub(crate) fn link(&mut self, link: &Link, secrets: &mut Secrets) {
        self.debug(link);
        secrets.add("signature", signature(link).as_bytes());
    }

    pub(crate) fn say(&mut self, way: &str, text: impl Into<Vec<u8>>) {
        self.ways.push((way.to_owned(), text.into()));
    }

    /// Every file below, with its name; but those that are meant to hold a secret.
    pub(crate) fn folder(&mut self, folder: &Path, but: &[&str]) {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if but.iter().any(|name| path.ends_with(name)) {
                continue;
            }
            self.say("file name", path.to_string_lossy().as_bytes());
            match entry.file_type().unwrap().is_dir() {
                true => self.folder(&path, but),
                false => self.say(&path.to_string_lossy(), fs::read(&path).unwrap()),
            }
        }
    }

    pub(crate) fn alerts(&self) -> Arc<dyn AlertSink> {
        self.alerts.clone()
    }

    /// Fails if a secret was told by any of these ways or in a log. `heard` are targets that must have been
    /// logged from, so that their silence means something.
    #[track_caller]
    pub(crate) fn holds_none_of(mut self, secrets: &Secrets, heard: &[&str]) {
        let alerts = std::mem::take(&mut *self.alerts.0.lock().unwrap());
        self.debug(&alerts);
        let log = a_heard::so_far();
        for target in heard {
            let target = format!(" {target}");
            assert!(
                log.windows(target.len()).any(|part| part == target.as_bytes()),
                "nothing of{target} was logged, so this shows nothing"
            );
        }
        self.say("log", log);
        let found = self
            .ways
            .iter()
            .flat_map(|(way, told)| secrets.found_in(told).into_iter().map(move |found| format!("{way}: {found}")));
        let found: Vec<_> = found.collect();
        assert!(found.is_empty(), "secrets were told:\n{}", found.join("\n"));
    }
}

/// What of a link is secret: its longest value.
pub(crate) fn signature(link: &Link) -> &str {
    let (_, query) = link.expose().split_once('?').unwrap();
    let named = ["s=", "X-Amz-Signature=", "X-Goog-Signature=", "sig=", "Signature="];
    let value = |field: &'static str| query.split('&').find_map(|pair| pair.strip_prefix(field));
    named.into_iter().find_map(value).expect("a signature")
}

pub(crate) fn shown(panic: &(dyn Any + Send)) -> String {
    panic.downcast_ref::<String>().cloned().or_else(|| Some((*panic.downcast_ref::<&str>()?).to_owned())).unwrap()
}

#[derive(Default)]
struct Alerts(Mutex<Vec<Alert>>);

impl AlertSink for Alerts {
    fn raise(&self, alert: Alert) {
        self.0.lock().unwrap().push(alert);
    }
}

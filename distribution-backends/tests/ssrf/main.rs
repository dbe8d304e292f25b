//! What an `HttpSource` never connects to, whatever URL it is given; and that it reads what is allowed.

#![cfg(feature = "http-source")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "tests"
)]

mod answers;
mod canary;
mod conformance;
mod hostile;
mod proxy;
mod ranges;
mod rebinding;
mod redirects;
mod server;
mod slow;
mod table;
mod tls;

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use distribution_backends::{HttpSource, Resolver};
use distribution_core::{Body, Error, ErrorKind, Source, SourcePin, VideoUrl};
use futures::TryStreamExt as _;

/// The host that is allowed in most tests. Nobody has it: its name is reserved (RFC 2606).
const ALLOWED: &str = "media.example";

/// Answers what each name is told to be, in turns, and notes who was asked for. Any other name is the
/// loopback, as of an attacker's own name server.
#[derive(Default)]
struct Names {
    answers: BTreeMap<String, Vec<Vec<IpAddr>>>,
    asked: Mutex<Vec<String>>,
}

impl Names {
    fn with(mut self, name: &str, answers: &[&[&str]]) -> Self {
        let parsed = |answer: &&[&str]| answer.iter().map(|address| address.parse().unwrap()).collect();
        self.answers.insert(name.to_owned(), answers.iter().map(parsed).collect());
        self
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

#[async_trait]
impl Resolver for Names {
    async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Error> {
        let mut asked = self.asked.lock().unwrap();
        let before = asked.iter().filter(|name| *name == host).count();
        asked.push(host.to_owned());
        let answers = self.answers.get(host).map(|answers| answers[before % answers.len()].clone());
        Ok(answers.unwrap_or_else(|| vec!["127.0.0.1".parse().unwrap()]))
    }
}

/// What comes of the URL, read to its end.
async fn read(source: &HttpSource, url: &str) -> Result<Option<(SourcePin, Vec<u8>)>, Error> {
    let url = VideoUrl::parse(url).map_err(|error| error.at("final_edit.video_url"))?;
    let Some(staged) = source.open(&url).await? else { return Ok(None) };
    let Body::Stream(pieces) = staged.body else { panic!("a stream") };
    Ok(Some((staged.pin, pieces.try_collect::<Vec<_>>().await?.concat())))
}

/// Checks that it was refused as the request's fault.
fn assert_refused<T: std::fmt::Debug>(result: Result<T, Error>, url: &str) {
    let error = result.map(|_| ()).expect_err(url);
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("final_edit.video_url")), "{url:?}: {error}");
}

/// The error with all of its causes, as a careless host would log it.
fn everything(error: &Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(next) = cause {
        text += &format!(" {next} {next:?}");
        cause = next.source();
    }
    text
}

fn names(names: Names) -> Arc<Names> {
    Arc::new(names)
}

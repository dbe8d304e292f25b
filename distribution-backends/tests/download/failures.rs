//! A store that fails: the client is told, and never gets less than it thinks.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::http::StatusCode;
use distribution_core::{Error, ErrorKind};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::shelf::{Fault, Shelf};
use crate::{KEY, get, link, mounted};

const TEXT: &str = "0123456789abcdefghijklmnopqrstuvwxyz";

#[tokio::test]
async fn a_store_out_of_reach_is_worth_another_try() {
    let late = Error::new(ErrorKind::Busy, "busy").after(Duration::from_millis(1500));
    for (error, retry_after) in [
        (Error::unavailable("no network"), "5"),
        (late, "2"),
        (Error::unavailable("at once").after(Duration::ZERO), "1"),
        (Error::unavailable("never").after(Duration::MAX), "18446744073709551615"),
    ] {
        for fault in [Fault::Stat(error.clone()), Fault::Open(error.clone())] {
            let answer = get(&mounted(&Shelf::failing(TEXT, fault)), &link(KEY), &[]).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.header("retry-after"), Some(retry_after));
            assert_eq!((answer.header("etag"), answer.header("cache-control")), (None, Some("no-store")));
            let body = String::from_utf8(answer.body.unwrap().to_vec()).unwrap();
            assert!(!body.contains(error.message()), "{body}");
        }
    }
}

#[tokio::test]
async fn a_store_that_will_not_mend_says_so() {
    let answer = get(&mounted(&Shelf::failing(TEXT, Fault::Stat(Error::corrupt("torn")))), &link(KEY), &[]).await;
    assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::INTERNAL_SERVER_ERROR, None));
}

#[tokio::test]
async fn an_object_removed_before_it_is_opened_is_missing() {
    let answer = get(&mounted(&Shelf::failing(TEXT, Fault::Gone)), &link(KEY), &[]).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_body_that_is_not_whole_breaks() {
    for (fault, range) in [
        (Fault::Breaks(0), "bytes=0-"),
        (Fault::Breaks(20), "bytes=0-"),
        (Fault::Breaks(36), "bytes=0-"),
        (Fault::Ends(0), "bytes=0-"),
        (Fault::Ends(35), "bytes=0-"),
        (Fault::Ends(37), "bytes=0-"),
        (Fault::Ends(5), "bytes=10-15"),
        (Fault::Ends(7), "bytes=10-15"),
    ] {
        let answer = get(&mounted(&Shelf::failing(TEXT, fault)), &link(KEY), &[("range", range)]).await;
        assert_eq!((answer.status, answer.body), (StatusCode::PARTIAL_CONTENT, None));
    }
    let sound = get(&mounted(&Shelf::failing(TEXT, Fault::Ends(6))), &link(KEY), &[("range", "bytes=10-15")]).await;
    assert_eq!(sound.body.as_deref(), Some(&b"abcdef"[..]));
}

/// Keeps everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Visit for &Log {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        writeln!(self.0.lock().unwrap(), "{field}={value:?}").unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut &*self);
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut &*self);
    }
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        event.record(&mut &*self);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn the_log_names_the_object_and_not_the_link() {
    let log = Log::default();
    let _guard = tracing::subscriber::set_default(log.clone());
    let (link, error) = (link(KEY), Error::unavailable("no network"));
    let signature = link.rsplit_once('=').unwrap().1;
    for fault in [Fault::Stat(error.clone()), Fault::Open(error), Fault::Breaks(3), Fault::Gone] {
        let router = mounted(&Shelf::failing(TEXT, fault));
        let answers = [get(&router, &link, &[]).await, get(&router, &format!("{link}x"), &[]).await];
        assert!(!format!("{answers:?}").contains(signature));
    }
    let log = log.0.lock().unwrap();
    assert!(log.contains(KEY) && log.contains("no network"), "{log}");
    assert!(!log.contains(signature) && !log.contains("e=17"), "{log}");
}

//! All that is logged in this process, by whichever crate, at any level: by `tracing`, spans and their fields
//! included, and by `log`.
//!
//! With `DISTRIBUTION_TEST_HEARD`, a directory, every test binary that has this module writes it there, for
//! `.ci/silence`.

use std::fmt::{Debug, Write as _};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Where a test binary writes what it has heard, if anywhere.
const FOLDER: &str = "DISTRIBUTION_TEST_HEARD";

struct Heard;

static HEARD: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static FILE: Mutex<Option<File>> = Mutex::new(None);

/// Tests of one binary begin in the order of their names, so the module is to be called `a_heard`. What others have
/// logged by then, if they began at the same moment, is lost.
#[test]
fn a_listener_is_there() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        let name = std::env::current_exe().unwrap();
        let path = PathBuf::from(folder).join(name.file_name().unwrap());
        *FILE.lock().unwrap() = Some(OpenOptions::new().create(true).append(true).open(path).unwrap());
        listen();
    }
}

/// From now on everything is heard.
pub(crate) fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(Heard).unwrap();
        log::set_logger(&Heard).unwrap();
        log::set_max_level(log::LevelFilter::Trace);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            hear(&format!("PANIC {panic}"));
            before(panic);
        }));
    });
}

/// What was heard so far.
#[allow(dead_code, reason = "most only write it to a file")]
pub(crate) fn so_far() -> Vec<u8> {
    HEARD.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn hear(line: &str) {
    if let Some(file) = &mut *FILE.lock().unwrap_or_else(PoisonError::into_inner) {
        writeln!(file, "{line}").unwrap();
    }
    let mut heard = HEARD.lock().unwrap_or_else(PoisonError::into_inner);
    heard.extend_from_slice(line.as_bytes());
    heard.push(b'\n');
}

impl log::Log for Heard {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        hear(&format!("{} {}: {}", record.level(), record.target(), record.args()));
    }

    fn flush(&self) {}
}

impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::TRACE)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        static SPANS: AtomicU64 = AtomicU64::new(1);
        let mut line = Line::of(span.metadata());
        span.record(&mut line);
        hear(&line.0);
        Id::from_u64(SPANS.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line::default();
        values.record(&mut line);
        hear(&line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::of(event.metadata());
        event.record(&mut line);
        hear(&line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Line(String);

impl Line {
    fn of(metadata: &Metadata<'_>) -> Self {
        Self(format!("{} {} {}:", metadata.level(), metadata.target(), metadata.name()))
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

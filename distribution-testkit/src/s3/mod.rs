//! A strict double of Amazon S3: an HTTP server as a state machine, without sockets, runtime or time
//! of its own.
//!
//! It does what the *Amazon S3 API Reference* says, of the operations in [`Op`]: signatures, conditions,
//! checksums and hashes are really checked, and what it does not know is refused with `501` instead of
//! being left out. What no real server does on demand is a [`Fault`].
//!
//! ```
//! use distribution_testkit::s3::{Fault, Op, S3Double};
//!
//! let double = S3Double::open(); // asks for no signature; see `S3Double::new`
//! double.create_bucket("media");
//! let put = || {
//!     let request = http::Request::put("http://s3.test/media/clip.mp4").header("if-none-match", "*");
//!     double.answer(request.body("approved bytes".into()).unwrap()).whole()
//! };
//!
//! // The answer gets lost, and the repeat finds its own object.
//! double.inject(Op::PutObject, 0, Fault::LostAnswer);
//! assert!(put().is_none());
//! assert_eq!(put().unwrap().status(), 412);
//! assert_eq!(double.object("media", "clip.mp4").unwrap().bytes, "approved bytes");
//! assert_eq!((double.requests(Op::PutObject), double.bytes_in()), (2, 28));
//! ```
//!
//! A client needs a socket: `distribution-backends/tests/support/s3_server.rs` of the repository serves
//! a double on loopback, with hyper.

mod archive;
mod auth;
mod call;
mod checksum;
mod copy;
mod fault;
mod list;
mod lock;
mod log;
mod multipart;
mod object;
mod reply;
mod state;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use chrono::TimeDelta;
use distribution_core::{Clock, Timestamp};

pub use auth::Credentials;
pub use checksum::{Algorithm, Checksum};
pub use fault::{Fault, Op};
pub use log::Request;
pub use reply::Answer;
pub use state::{Limits, Object, Part, Upload};

use call::Call;
use reply::{Refusal, Reply, not_implemented, refuse};
use state::State;

/// How many other requests begin before one is [`Fault::AppliedLate`].
pub const LATE_REQUESTS: usize = 3;

/// A server with its buckets. Clones are the same server.
#[derive(Clone)]
pub struct S3Double {
    state: Arc<Mutex<State>>,
}

impl S3Double {
    /// A server without buckets, in `us-east-1`, at 2026-01-01T00:00:00Z on a clock that stands still.
    /// Requests are signed with one of the credentials, or refused.
    ///
    /// ```
    /// use distribution_testkit::s3::{Credentials, Limits, S3Double};
    ///
    /// let limits = Limits { part_bytes_min: 1, ..Limits::default() };
    /// let double = S3Double::new([Credentials::new("id", "secret")])
    ///     .with_region("eu-central-1")
    ///     .with_domain("s3.test")
    ///     .with_limits(limits);
    /// double.create_bucket("media");
    ///
    /// let request = http::Request::get("http://media.s3.test/clip.mp4").body("".into()).unwrap();
    /// let refused = double.answer(request).whole().unwrap();
    /// assert_eq!(refused.status(), 403);
    /// ```
    pub fn new(credentials: impl IntoIterator<Item = Credentials>) -> Self {
        let state = State { keys: credentials.into_iter().collect(), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// One that asks nobody for a signature.
    pub fn open() -> Self {
        let double = Self::new([]);
        double.lock().open = true;
        double
    }

    /// The time comes from this clock.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        self.lock().clock = Some(clock);
        self
    }

    /// It is in this region.
    #[must_use]
    pub fn with_region(self, region: impl Into<String>) -> Self {
        self.lock().region = region.into();
        self
    }

    /// It has other limits than S3.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        self.lock().limits = limits;
        self
    }

    /// It answers at `{bucket}.{domain}` as well, as it does at `{bucket}.localhost`.
    #[must_use]
    pub fn with_domain(self, domain: impl Into<String>) -> Self {
        self.lock().domains.push(domain.into());
        self
    }

    /// Answers a request. Its URI is a path, or a whole URL; its host is the header's or else the URL's.
    pub fn answer(&self, request: http::Request<Bytes>) -> Answer {
        self.begin(request).finish()
    }

    /// Receives a request, to be carried out when it is [finished](Begun::finish). Between the two there
    /// may be others; this makes a difference to [`Fault::RacyConditions`] only.
    pub fn begin(&self, request: http::Request<Bytes>) -> Begun {
        let mut state = self.lock();
        let number = state.requests;
        state.requests += 1;
        let mut call = Call::parse(request, &state.domains, number);
        let entry = call.entry();
        let planned = state.faults.planned();
        drop(state);
        call.faults.extend(planned(&entry));

        let mut state = self.lock();
        call.faults.extend(state.faults.strike(&entry));
        state.log.push(call.entry());
        state.run_late(number);
        if call.has(Fault::RacyConditions) {
            call.seen = Some(state.etag(&call));
        }
        drop(state);
        Begun { double: self.clone(), call }
    }

    /// Makes a bucket, or leaves it as it is.
    pub fn create_bucket(&self, name: impl Into<String>) {
        self.lock().buckets.entry(name.into()).or_default();
    }

    /// What goes wrong, once: with the request of this operation before which so many others of it go by.
    ///
    /// A request can have several faults. Of those that decide about its answer, the plan's comes first,
    /// and then what was armed first.
    pub fn inject(&self, op: Op, passes: usize, fault: Fault) {
        self.arm(Some(op), Some(passes), fault);
    }

    /// What always goes wrong with this operation.
    pub fn always(&self, op: Op, fault: Fault) {
        self.arm(Some(op), None, fault);
    }

    /// What always goes wrong with all requests.
    pub fn always_all(&self, fault: Fault) {
        self.arm(None, None, fault);
    }

    /// What goes wrong is looked up with this, for each request. It replaces an earlier one, is asked
    /// before the request is carried out, and may use the double itself:
    ///
    /// ```
    /// use distribution_testkit::s3::{Op, S3Double};
    ///
    /// let double = S3Double::open();
    /// double.create_bucket("media");
    /// let rival = double.clone();
    /// double.fail(move |request| {
    ///     if request.op == Op::PutObject {
    ///         rival.plant(&request.bucket, &request.key, "a rival's bytes");
    ///     }
    ///     None
    /// });
    /// let put = http::Request::put("/media/clip.mp4").header("if-none-match", "*");
    /// let answer = double.answer(put.body("ours".into()).unwrap());
    /// assert_eq!(answer.whole().unwrap().status(), 412);
    /// ```
    pub fn fail(&self, plan: impl Fn(&Request) -> Option<Fault> + Send + Sync + 'static) {
        let mut state = self.lock();
        let since = state.requests;
        state.faults.plan(Arc::new(plan), since);
    }

    /// Nothing goes wrong any more, and what is late happens.
    pub fn heal(&self) {
        let mut state = self.lock();
        state.faults = fault::Faults::default();
        state.run_late(usize::MAX);
    }

    /// The server's time.
    pub fn now(&self) -> Timestamp {
        self.lock().time()
    }

    /// Sets the clock that stands still.
    pub fn set_time(&self, now: Timestamp) {
        let mut state = self.lock();
        state.now = now;
        state.clock = None;
    }

    /// The server's clock is ahead of what it should be by this, or behind.
    pub fn skew(&self, by: TimeDelta) {
        self.lock().skew = by;
    }

    /// The object, as it is stored.
    pub fn object(&self, bucket: &str, key: &str) -> Option<Object> {
        self.lock().buckets.get(bucket)?.objects.get(key).cloned()
    }

    /// All keys of a bucket, in order.
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        let state = self.lock();
        state.buckets.get(bucket).map(|bucket| bucket.objects.keys().cloned().collect()).unwrap_or_default()
    }

    /// The uploads of a bucket that are neither completed nor aborted.
    pub fn uploads(&self, bucket: &str) -> Vec<Upload> {
        let state = self.lock();
        state.buckets.get(bucket).map(|bucket| bucket.uploads.values().cloned().collect()).unwrap_or_default()
    }

    /// Stores an object, as another client does with a PutObject without conditions. `false` if there
    /// is no such bucket.
    pub fn plant(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) -> bool {
        let mut state = self.lock();
        let object = Object::plain(bytes.into(), state.time(), state.requests);
        let bucket = state.buckets.get_mut(bucket);
        bucket.map(|bucket| bucket.show(key, object)).is_some()
    }

    /// Changes an object where it is stored, as a failing disk does (the bytes) or another client (the
    /// ETag as well). `false` if there is no such object.
    pub fn damage(&self, bucket: &str, key: &str, how: impl FnOnce(&mut Object)) -> bool {
        let mut state = self.lock();
        let object = state.buckets.get_mut(bucket).and_then(|bucket| bucket.objects.get_mut(key));
        object.map(how).is_some()
    }

    /// How many requests of this operation there were, answered or not.
    pub fn requests(&self, op: Op) -> usize {
        self.lock().log.iter().filter(|request| request.op == op).count()
    }

    /// How many bytes of objects came in: as bodies of PutObject and UploadPart.
    pub fn bytes_in(&self) -> u64 {
        self.lock().log.iter().map(|request| request.bytes_in).sum()
    }

    /// How many bytes of objects went out: as bodies of GetObject.
    pub fn bytes_out(&self) -> u64 {
        self.lock().log.iter().map(|request| request.bytes_out).sum()
    }

    /// All requests, in the order in which they began.
    pub fn log(&self) -> Vec<Request> {
        self.lock().log.clone()
    }

    /// Empties the log, and so sets all counts back.
    pub fn clear_log(&self) {
        self.lock().log.clear();
    }

    fn arm(&self, op: Option<Op>, passes: Option<usize>, fault: Fault) {
        let mut state = self.lock();
        let since = state.requests;
        state.faults.arm(op, passes, fault, since);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for S3Double {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        let buckets: Vec<_> = state.buckets.keys().collect();
        f.debug_struct("S3Double").field("buckets", &buckets).field("faults", &state.faults).finish_non_exhaustive()
    }
}

/// A request that was received and is to be carried out.
#[must_use = "a request that is not finished never happens"]
pub struct Begun {
    double: S3Double,
    call: Call,
}

impl Begun {
    /// Whether its conditions were checked when it began, so that those who come now are not seen.
    pub fn is_racy(&self) -> bool {
        self.call.seen.is_some()
    }

    /// Carries it out.
    pub fn finish(self) -> Answer {
        let mut state = self.double.lock();
        let reply = state.reply(&self.call);
        let answer = reply.map(|reply| (reply.code, reply.finish(&self.call, state.time())));
        state.note(&self.call, answer)
    }
}

impl State {
    /// The answer, if there is one.
    fn reply(&mut self, call: &Call) -> Option<Reply> {
        let refused = |refusal: Refusal| Some(refusal.reply(call));
        let internal = || refuse("InternalError", "We encountered an internal error. Please try again.");
        for struck in &call.faults {
            match struck.fault {
                Fault::LostRequest => return None,
                Fault::LostAnswer => {
                    self.run(call);
                    return None;
                }
                Fault::AppliedLate => {
                    self.late.push((call.number + LATE_REQUESTS, call.clone()));
                    return None;
                }
                Fault::RepeatedBelow => {
                    self.run(call);
                    return Some(self.run(&Call { seen: None, ..call.clone() }));
                }
                Fault::NoSuchUpload => {
                    self.run(call);
                    return refused(refuse("NoSuchUpload", "The specified multipart upload does not exist."));
                }
                Fault::ErrorInBody { applied } => {
                    if applied {
                        self.run(call);
                    }
                    return Some(Reply { status: 200, ..internal().reply(call) });
                }
                Fault::Conflict => {
                    let message = "A conflicting conditional operation is currently in progress against this resource.";
                    return refused(refuse("ConditionalRequestConflict", message));
                }
                Fault::SlowDown => return refused(refuse("SlowDown", "Please reduce your request rate.")),
                Fault::InternalError => return refused(internal()),
                Fault::NotImplemented => return refused(not_implemented("this request")),
                Fault::AccessDenied => return refused(refuse("AccessDenied", "Access Denied")),
                Fault::ExpiredToken => return refused(refuse("ExpiredToken", "The provided token has expired.")),
                _ => {}
            }
        }
        Some(self.run(call))
    }

    /// Completes the log's entry, and cuts the answer where it is to be cut.
    fn note(&mut self, call: &Call, answer: Option<(Option<&'static str>, http::Response<Bytes>)>) -> Answer {
        let Some((code, response)) = answer else { return Answer::Nothing };
        let cut = call.faults.iter().find_map(|struck| match struck.fault {
            Fault::CutAfter(bytes) => Some(bytes.min(response.body().len())),
            _ => None,
        });
        if let Some(entry) = self.log.iter_mut().rev().find(|entry| entry.number == call.number) {
            entry.status = Some(response.status().as_u16());
            entry.code = code;
            if call.op == Op::GetObject && response.status().is_success() {
                entry.bytes_out = cut.unwrap_or(response.body().len()) as u64;
            }
        }
        match cut {
            Some(after) => Answer::Cut(response, after),
            None => Answer::Whole(response),
        }
    }
}

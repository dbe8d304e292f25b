//! What a run of the model starts from: who wants what, and what may go wrong how often.

use std::sync::LazyLock;

use distribution_core::{
    Access, AssetMetadata, AuditLogId, Checksum, ConceptId, Details, Digest, DurationSeconds, Identity, ObjectKey,
    Proof, Publication, QcPolicy, QcReport, SourcePin, TargetName, Timestamp, Verification, VideoUrl,
};

use crate::bugs::Bug;

/// The bytes that files and objects have here. All are equally long, so that only a proof tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Content {
    First,
    Second,
    Rotten,
}

impl Content {
    pub(crate) fn digest(self) -> Digest {
        static DIGESTS: LazyLock<[Digest; 3]> = LazyLock::new(|| {
            [b"the first video ", b"the second video", b"bytes that rot.."]
                .map(|bytes| Digest { checksum: Checksum::of(bytes), size: SIZE })
        });
        DIGESTS[self as usize]
    }

    pub(crate) fn proof(self) -> Proof {
        Proof { digest: self.digest(), how: Verification::ReadBack }
    }
}

const SIZE: u64 = 16;

/// How often each thing may go wrong. What is 0 does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Budget {
    /// A process dies and loses its memory, or its call is dropped. It comes back and repeats the call.
    pub(crate) crashes_max: u8,
    /// A request or an answer gets lost, or a layer below repeats a write and takes its own for another's.
    pub(crate) faults_max: u8,
    /// A write is told to have failed and happens later. At most 2.
    pub(crate) late_writes_max: u8,
    /// A stored object loses its bytes.
    pub(crate) rots_max: u8,
    /// How often a caller repeats a call that has come to an end.
    pub(crate) repeats_max: u8,
    /// How often each caller calls at all; 0 is as often as it helps. Only where callers can keep each
    /// other busy: a call that has just rejected finds the publication opened again by another, hears
    /// that one is at work, and comes back to do the same to it.
    pub(crate) calls_max: u8,
}

/// A process, and what it is about.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub(crate) holder: &'static str,
    pub(crate) role: Role,
    pub(crate) publication: u8,
    /// When it comes first, as a place in `times`.
    pub(crate) from: u8,
}

#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// Calls `publish`, and again while it may help.
    Publisher(Box<Order>),
    /// Calls `recover`.
    Recoverer,
    /// Removes staged files that are published.
    Sweeper,
}

/// The rest of a request.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) details: Details,
    pub(crate) file: u8,
    pub(crate) report: QcReport,
}

/// A configuration of the model.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) publications: Vec<Publication>,
    /// The approved bytes of each publication.
    pub(crate) approved: Vec<Content>,
    /// The keys that attempts can write to.
    pub(crate) keys: Vec<ObjectKey>,
    pub(crate) actors: Vec<Actor>,
    /// One caller for each publication who comes when all is over.
    pub(crate) survivors: Vec<Actor>,
    /// The times that the clock shows, in seconds. The last is when the survivors come.
    pub(crate) times: Vec<i64>,
    /// What is staged at first.
    pub(crate) staged: Vec<Content>,
    /// What a file is replaced by, one after the other; `None` is that it disappears.
    pub(crate) restagings: Vec<(u8, Option<Content>)>,
    pub(crate) budget: Budget,
    /// Whether the store has proven an object when it says that it was created.
    pub(crate) create_proves: bool,
    pub(crate) signed_urls: bool,
    pub(crate) bug: Option<Bug>,
}

/// How many attempts have a key of their own here.
pub(crate) const ATTEMPTS: u8 = 4;
/// How many attempts a call may make.
pub(crate) const ATTEMPTS_MAX: u32 = 2;
pub(crate) const LEASE_SECS: i64 = 60;
pub(crate) const RETENTION_SECS: i64 = 7 * 24 * 3600;

impl Scenario {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            publications: vec![],
            approved: vec![],
            keys: vec![],
            actors: vec![],
            survivors: vec![],
            times: vec![0],
            staged: vec![],
            restagings: vec![],
            budget: Budget::default(),
            create_proves: false,
            signed_urls: false,
            bug: None,
        }
    }

    /// Something to publish: these bytes at this key for this work. Its number is the order of the calls.
    pub(crate) fn publication(mut self, key: &str, content: Content, concept: &str, key_tells_bytes: bool) -> Self {
        let (target, checksum) = (TargetName::default(), content.digest().checksum);
        let key = ObjectKey::parse(key).unwrap();
        let concept_id = Some(ConceptId::parse(concept).unwrap());
        let identity = Identity { target: &target, key: &key, checksum: &checksum, concept_id: concept_id.as_ref() };
        let audit_log_id = AuditLogId::of(identity);
        for attempt in 0..ATTEMPTS {
            let key = attempt_key(&key, attempt);
            if !self.keys.contains(&key) {
                self.keys.push(key);
            }
        }
        let duration_seconds = DurationSeconds::new(9.7).unwrap();
        let publication =
            Publication { audit_log_id, target, key, checksum, concept_id, key_tells_bytes, duration_seconds };
        let number = self.publications.len() as u8;
        self.publications.push(publication);
        self.approved.push(content);
        self.survivors.push(Actor {
            holder: "survivor",
            publication: number,
            from: 0,
            role: Role::Publisher(Box::new(Order { details: details("as it was"), file: 0, report: QcReport::pass() })),
        });
        self
    }

    /// A file staged with these bytes. The first publishers of a publication say which file is its own.
    pub(crate) fn staged(mut self, content: Content) -> Self {
        self.staged.push(content);
        self
    }

    pub(crate) fn publisher(self, holder: &'static str, publication: u8, title: &str, file: u8) -> Self {
        self.judged_publisher(holder, publication, title, file, None)
    }

    /// A publisher whose QC report expires.
    pub(crate) fn judged_publisher(
        mut self,
        holder: &'static str,
        publication: u8,
        title: &str,
        file: u8,
        report_expires: Option<i64>,
    ) -> Self {
        let report = QcReport { expires_at: report_expires.map(time), ..QcReport::pass() };
        let order = Order { details: details(title), file, report };
        let survivor = Order { report: QcReport::pass(), ..order.clone() };
        self.survivors[publication as usize].role = Role::Publisher(Box::new(survivor));
        self.actors.push(Actor { holder, publication, from: 0, role: Role::Publisher(Box::new(order)) });
        self
    }

    pub(crate) fn recoverer(mut self, holder: &'static str, publication: u8) -> Self {
        self.actors.push(Actor { holder, publication, from: 0, role: Role::Recoverer });
        self
    }

    /// A sweeper that comes to staged files by this publication.
    pub(crate) fn sweeper(mut self, publication: u8) -> Self {
        self.actors.push(Actor { holder: "sweeper", publication, from: 0, role: Role::Sweeper });
        self
    }

    /// The process named last comes only then.
    pub(crate) fn from(mut self, clock: u8) -> Self {
        self.actors.last_mut().unwrap().from = clock;
        self
    }

    pub(crate) fn clock(mut self, times: &[i64]) -> Self {
        self.times = times.to_vec();
        self
    }

    pub(crate) fn restaged(mut self, file: u8, content: Content) -> Self {
        self.restagings.push((file, Some(content)));
        self
    }

    pub(crate) fn unstaged(mut self, file: u8) -> Self {
        self.restagings.push((file, None));
        self
    }

    pub(crate) fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    pub(crate) fn store_proves(mut self) -> Self {
        self.create_proves = true;
        self
    }

    pub(crate) fn with(mut self, bug: Bug) -> Self {
        self.bug = Some(bug);
        self
    }

    /// Ready to run: the survivors come long after all else, when every lease and link is over.
    pub(crate) fn ready(mut self) -> Self {
        let last = self.times.last().copied().unwrap_or_default();
        self.times.push(last + 100 * 24 * 3600);
        self
    }

    pub(crate) fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub(crate) fn sweeps(&self) -> bool {
        self.actors.iter().any(|actor| matches!(actor.role, Role::Sweeper))
    }

    /// Staged files have URLs with a signature, which is not put on record.
    pub(crate) fn signed_urls(mut self) -> Self {
        self.signed_urls = true;
        self
    }

    pub(crate) fn file_url(&self, file: u8) -> VideoUrl {
        let url = if self.signed_urls { format!("https://host/{file}.mp4?signature") } else { format!("{file}.mp4") };
        VideoUrl::parse(url).unwrap()
    }

    /// The process with this number; the survivors come after all others.
    pub(crate) fn actor(&self, number: u8) -> &Actor {
        let number = usize::from(number);
        self.actors.get(number).unwrap_or_else(|| &self.survivors[number - self.actors.len()])
    }
}

impl Actor {
    pub(crate) fn order(&self) -> Option<&Order> {
        match &self.role {
            Role::Publisher(order) => Some(order),
            Role::Recoverer | Role::Sweeper => None,
        }
    }
}

impl Order {
    /// The gate.
    pub(crate) fn passes(&self, content: Content, now: Timestamp) -> bool {
        self.report.approve(&content.digest().checksum, QcPolicy::default(), now).is_ok()
    }
}

pub(crate) fn time(secs: i64) -> Timestamp {
    Timestamp::from_timestamp(1_767_225_600 + secs, 0).unwrap()
}

pub(crate) fn secs(time: Timestamp) -> i64 {
    time.timestamp() - 1_767_225_600
}

pub(crate) fn pin(state: u8) -> SourcePin {
    SourcePin { size: SIZE, tag: state.to_string() }
}

pub(crate) fn state_of(pin: &SourcePin) -> u8 {
    pin.tag.parse().unwrap()
}

fn details(title: &str) -> Details {
    let metadata = AssetMetadata { title: Some(title.into()), ..AssetMetadata::default() };
    Details { metadata, url_expiry_hours: 72, access: Access::Signed }
}

/// What `Record::object_key` gives for an attempt; looked up by it, so a difference is found at once.
fn attempt_key(key: &ObjectKey, attempt: u8) -> ObjectKey {
    let text = match attempt {
        0 => key.to_string(),
        n => key.as_str().replace(".mp4", &format!("-r{n}.mp4")),
    };
    ObjectKey::parse(text).unwrap()
}

//! The judge: opens the stores afresh, looks at all that is there, and compares it with what the
//! processes have said.

use std::collections::BTreeMap;

use distribution_backends::{JsonlAudit, LocalDisk, SystemClock};
use distribution_core::{Checksum, Clock as _, Error, ObjectKey, Record};
use distribution_testkit::checker::{Answer, Evidence, violations, violations_since};

use crate::child::said;
use crate::site::{Host, Job, Site};

/// What processes were told, by the number of the job.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(BTreeMap<usize, Vec<Answer>>);

impl Answers {
    /// Takes the answers from what a process has said.
    pub(crate) fn hear(&mut self, lines: &[String]) {
        for line in lines {
            let Some(rest) = line.strip_prefix(said::ANSWER) else { continue };
            let (number, json) = rest.trim_start().split_once(' ').unwrap();
            let answer = Answer { record: serde_json::from_str(json).unwrap(), at: SystemClock.now() };
            self.0.entry(number.parse().unwrap()).or_default().push(answer);
        }
    }

    pub(crate) fn has(&self, number: usize) -> bool {
        self.0.contains_key(&number)
    }

    pub(crate) fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }
}

/// What is there.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) evidence: Evidence,
    pub(crate) records: Vec<Record>,
    /// How many stages were left.
    pub(crate) stages: usize,
}

impl Seen {
    pub(crate) async fn at(site: &Site) -> Result<Self, Error> {
        let metadata = site.metadata().await?;
        let storage = site.storage()?;
        let audit = match site.audit().exists() {
            true => JsonlAudit::read(site.audit())?.collect::<Result<_, _>>()?,
            false => Vec::new(),
        };
        let mut evidence = Evidence::of(&*storage, &*metadata, audit).await?;
        for folder in site.replicas.iter().chain(&site.archive) {
            evidence = evidence.with_storage(&LocalDisk::open(folder)?).await?;
        }
        let records = evidence.rows.iter().map(Record::decode).collect::<Result<_, _>>()?;
        Ok(Self { evidence, records, stages: site.left_overs().await? })
    }

    pub(crate) fn record(&self, job: &Job) -> Option<&Record> {
        let checksum = job.request.final_edit.checksum;
        self.records.iter().find(|record| record.publication.checksum == checksum)
    }

    /// The keys at which the job's bytes are.
    fn copies(&self, job: &Job) -> Vec<&str> {
        let checksum = job.request.final_edit.checksum;
        let copies = self.evidence.objects.values().filter(|object| object.digest.checksum == checksum);
        copies.map(|object| object.key.as_str()).collect()
    }

    pub(crate) fn has_object(&self, record: &Record) -> bool {
        let key = record.object_key();
        self.evidence.objects.values().any(|object| object.key == key.as_str())
    }

    /// Everything that is wrong, a line each.
    pub(crate) fn violations(&self, answers: &Answers, before: Option<&Self>) -> Vec<String> {
        let all = answers.0.values().flatten().cloned();
        let mut evidence = self.evidence.clone().with_answers(all);
        evidence.secrets = answers.0.values().flatten().filter_map(signature).collect();
        let mut found = violations(&evidence);
        found.extend(before.into_iter().flat_map(|before| violations_since(&before.evidence, &self.evidence)));
        let mut found: Vec<String> = found.iter().map(ToString::to_string).collect();
        // Nothing is published, perhaps, and yet nobody may see a part of it.
        let parts = self.evidence.objects.values().filter(|object| !is_whole(&object.key, &object.digest.checksum));
        found.extend(parts.map(|object| format!("{} is visible with other bytes: {:?}", object.key, object.digest)));
        for (number, answers) in &answers.0 {
            if answers.iter().any(|answer| answer.record != answers[0].record) {
                found.push(format!("job {number} was answered in different ways: {answers:?}"));
            }
        }
        found
    }
}

/// The secret in the answer's link.
fn signature(answer: &Answer) -> Option<String> {
    let (_, signature) = answer.record.public_url.expose().split_once("s=")?;
    Some(signature.split('&').next()?.to_owned())
}

/// Publishes each job by one call, and says what is wrong then.
pub(crate) async fn finish(site: &Site, jobs: &[Job], answers: &mut Answers) -> Vec<String> {
    let mut found = Vec::new();
    match site.publisher(&Host::later("the finisher")).await {
        Err(error) => found.push(format!("the site does not open: {error:?}")),
        Ok(publisher) => {
            for job in jobs {
                match publisher.publish(job.request.clone()).await {
                    Ok(record) => {
                        let line =
                            format!("{} {} {}", said::ANSWER, job.number, serde_json::to_string(&record).unwrap());
                        answers.hear(&[line]);
                    }
                    Err(error) => found.push(format!("one call does not finish job {}: {error:?}", job.number)),
                }
            }
        }
    }
    match Seen::at(site).await {
        Err(error) => found.push(format!("the site cannot be read: {error:?}")),
        Ok(seen) => {
            found.extend(seen.violations(answers, None));
            for job in jobs {
                let key = seen.record(job).map(|record| record.object_key().to_string());
                let rows =
                    seen.records.iter().filter(|record| record.publication.checksum == job.request.final_edit.checksum);
                let (rows, copies) = (rows.count(), seen.copies(job));
                let wanted = 1 + site.replicas.len();
                let is_at_key = copies.iter().all(|copy| Some(*copy) == key.as_deref());
                if rows != 1 || copies.len() != wanted || !is_at_key {
                    found.push(format!("job {} has {rows} rows and the objects {copies:?}", job.number));
                }
            }
        }
    }
    found
}

/// Whether an object with these bytes may be at this key, which ends in the first digits of its digest.
pub(crate) fn is_whole(key: &str, checksum: &Checksum) -> bool {
    let stem = key.trim_end_matches(".mp4");
    stem.split_once("-r").map_or(stem, |(stem, _)| stem).ends_with(&checksum.hex()[..12])
}

/// The key that a job's object has at last.
pub(crate) fn key_of(job: &Job) -> ObjectKey {
    let prefix = job.request.distribution_settings.storage_prefix.as_ref().map_or("", |prefix| prefix.as_str());
    let hex = job.request.final_edit.checksum.hex();
    ObjectKey::parse(format!("{prefix}clip-{}-{}.mp4", job.number, &hex[..12])).unwrap()
}

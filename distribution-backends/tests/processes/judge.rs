//! The judge: opens the stores afresh, looks at all that is there, and compares it with what the
//! processes have said.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use distribution_backends::{JsonlAudit, LocalDisk, SqliteMetadata};
use distribution_core::{
    AuditEntry, AuditEvent, Checksum, Digest, DistributionRecord, Error, MetadataStore as _, Meter, ObjectKey, Phase,
    Query, Record, Storage as _,
};

use crate::child::said;
use crate::site::{Host, Job, Site};

/// What processes were told, by the number of the job, as JSON.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(BTreeMap<usize, Vec<String>>);

impl Answers {
    /// Takes the answers from what a process has said.
    pub(crate) fn hear(&mut self, lines: &[String]) {
        for line in lines {
            let Some(rest) = line.strip_prefix(said::ANSWER) else { continue };
            let (number, json) = rest.trim_start().split_once(' ').unwrap();
            self.0.entry(number.parse().unwrap()).or_default().push(json.to_owned());
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
pub(crate) struct Seen {
    pub(crate) rows: Vec<Record>,
    pub(crate) objects: BTreeMap<String, Digest>,
    pub(crate) audit: Vec<AuditEntry>,
    /// How many stages were left.
    pub(crate) stages: usize,
}

impl Seen {
    pub(crate) async fn at(site: &Site) -> Result<Self, Error> {
        let metadata = SqliteMetadata::open(site.records()).await?;
        let rows = metadata.find(&Query::default(), None, 10_000).await?;
        let rows = rows.iter().map(Record::decode).collect::<Result<_, _>>()?;
        let disk = LocalDisk::open(site.objects())?;
        let mut objects = BTreeMap::new();
        for key in disk.list("", None, 10_000).await? {
            let digest = disk.digest(&key, &Meter::default()).await?.expect("nobody removes objects");
            objects.insert(key.to_string(), digest);
        }
        let audit = match site.audit().exists() {
            true => JsonlAudit::read(site.audit())?.collect::<Result<_, _>>()?,
            false => Vec::new(),
        };
        metadata.close().await?;
        Ok(Self { rows, objects, audit, stages: stages(&site.objects()) })
    }

    pub(crate) fn record(&self, job: &Job) -> Option<&Record> {
        let checksum = job.request.final_edit.checksum;
        self.rows.iter().find(|record| record.publication.checksum == checksum)
    }

    /// Everything that is wrong, a line each.
    pub(crate) fn violations(&self, answers: &Answers) -> Vec<String> {
        let mut found = Vec::new();
        for (key, digest) in &self.objects {
            if !is_whole(key, &digest.checksum) {
                found.push(format!("{key} is visible with other bytes: {digest:?}"));
            }
        }
        for (number, answers) in &answers.0 {
            found.extend(answers.iter().filter_map(|answer| self.contradiction(*number, answer)));
            if answers.iter().any(|answer| *answer != answers[0]) {
                found.push(format!("job {number} was answered in different ways: {answers:?}"));
            }
        }
        found
    }

    /// Why an answer does not hold.
    fn contradiction(&self, number: usize, answer: &str) -> Option<String> {
        let answer: DistributionRecord = serde_json::from_str(answer).unwrap();
        let id = &answer.audit_log_id;
        let wrong = |what: &str| Some(format!("job {number}, {id}: was answered, but {what}"));
        let Some(record) = self.rows.iter().find(|record| record.id() == id) else {
            return wrong("has no record");
        };
        let Phase::Published(published) = &record.phase else { return wrong("is not on record as published") };
        if published.location != answer.storage_location || published.at != answer.published_at {
            return wrong("is on record with another place or time");
        }
        let digest = Digest { checksum: answer.metadata.checksum, size: answer.size_bytes };
        if self.objects.get(record.object_key().as_str()) != Some(&digest) {
            return wrong("its object is not there as it was approved");
        }
        let heard = |event: fn(&AuditEvent) -> bool| {
            self.audit.iter().any(|entry| entry.id.audit_log_id == *id && event(&entry.event))
        };
        let told = heard(|event| matches!(event, AuditEvent::Claimed { .. }))
            && heard(|event| matches!(event, AuditEvent::Published { .. }))
            && heard(|event| matches!(event, AuditEvent::LinkGranted { .. }));
        if told { None } else { wrong("its audit trail is not there") }
    }
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
            found.extend(seen.violations(answers));
            for job in jobs {
                let key = seen.record(job).map(|record| record.object_key().to_string());
                let rows = seen.rows.iter().filter(|row| row.publication.checksum == job.request.final_edit.checksum);
                let copies =
                    seen.objects.iter().filter(|(_, digest)| digest.checksum == job.request.final_edit.checksum);
                let (rows, copies): (usize, Vec<&String>) = (rows.count(), copies.map(|(key, _)| key).collect());
                if rows != 1 || copies.len() != 1 || key.as_ref() != copies.first().copied() {
                    found.push(format!("job {} has {rows} rows and the objects {copies:?}", job.number));
                }
            }
        }
    }
    found
}

/// Whether an object with these bytes may be at this key, which ends in the first digits of its digest.
pub(crate) fn is_whole(key: &str, checksum: &Checksum) -> bool {
    key.trim_end_matches(".mp4").ends_with(&checksum.hex()[..12])
}

/// The key that a job's object has at last.
pub(crate) fn key_of(job: &Job) -> ObjectKey {
    let prefix = job.request.distribution_settings.storage_prefix.as_ref().map_or("", |prefix| prefix.as_str());
    let hex = job.request.final_edit.checksum.hex();
    ObjectKey::parse(format!("{prefix}clip-{}-{}.mp4", job.number, &hex[..12])).unwrap()
}

fn stages(dir: &Path) -> usize {
    let Ok(entries) = fs::read_dir(dir) else { return 0 };
    let count = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => stages(&entry.path()),
        false => usize::from(entry.file_name().to_string_lossy().starts_with(".stage-")),
    };
    entries.map(|entry| count(entry.unwrap())).sum()
}

//! What may stand in `distribution.toml`: each table and key once, with its default and limits.

use std::collections::BTreeMap;
use std::path::PathBuf;

use distribution_core::{Access, PreflightCheck, StoragePrefix, TargetName, Verification};
use serde::Deserialize;

use super::alerts::Alerts;
use super::metadata::Metadata;
use super::secret::Secret;
use super::story::Story;
use super::values::{Template, Whole};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct File {
    /// What holds where a request says nothing, and the limits of the work. Optional.
    #[serde(default)]
    pub(super) defaults: Defaults,
    /// Where objects go, each place under a name of `a-z 0-9 _ -` that is part of the identity of all that is
    /// published there, so it must never change. At least one.
    pub(super) targets: BTreeMap<TargetName, Target>,
    /// Where staged files are read from, each root under a name; nothing else is ever read. At least one.
    pub(super) staging: BTreeMap<TargetName, Staging>,
    /// Whether staged files are looked into before they are copied. Default: they are not.
    pub(super) preflight: Option<Preflight>,
    /// How long staged files and left-overs are kept. Optional.
    #[serde(default)]
    pub(super) sweep: Sweep,
    /// Where records are kept.
    pub(super) metadata: Metadata,
    /// Where the audit trail goes.
    pub(super) audit: Audit,
    /// Who is told when something is wrong. Optional.
    #[serde(default)]
    pub(super) alerts: Alerts,
}

/// `[defaults]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct Defaults {
    /// The target of requests that name none: the only one, or else the one called `default`.
    pub(super) target: Option<TargetName>,
    /// The staging root that a `video_url` without a scheme is below: the only root of files or objects.
    pub(super) staging: Option<TargetName>,
    /// The beginning of keys where a request names none: empty, or ends with `/`. Default: empty.
    pub(super) storage_prefix: Option<StoragePrefix>,
    /// How keys are made, of `{prefix}`, `{stem}`, `{sha256}`, `{sha256:N}` (N from 1 to 64), `{concept_id}`
    /// and `{title}`. Default: `{prefix}{stem}-{sha256:12}.mp4`. It is part of the identity of what is
    /// published: once in use, leave it.
    pub(super) key_template: Option<Template>,
    /// How many hours links work, 1 to 168. Default: 72.
    pub(super) url_expiry_hours: Option<Whole>,
    /// Who may download, on a target that is not public: `signed`, whoever has the link, until it expires; or
    /// `authenticated`, whom the host lets through. Default: `signed`.
    pub(super) access: Option<Access>,
    /// The weakest proof that counts: `read_back`, or `store_attested`, with which a SHA-256 that S3 itself has
    /// computed over what it stored stands for reading it back. Default: `read_back`.
    pub(super) verification: Option<Verification>,
    /// Whether a QC report must name the checksum that it judged. Default: `false`.
    pub(super) qc_checksum_required: bool,
    /// How many objects one call may try before it gives up on a store that loses or changes what it is
    /// given, 1 to 100. Default: 3.
    pub(super) attempts_max: Option<Whole>,
    /// How long others leave the work alone after its last sign of life, in seconds, 1 to 3,600. Default: 60.
    pub(super) lease_secs: Option<Whole>,
    /// How many publications one recovery works on at a time, 1 to 64. Default: 4.
    pub(super) recoveries_max: Option<Whole>,
}

/// `[targets.NAME]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Target {
    /// A directory, as a path or `file:///…`; or `s3://bucket/prefix?region=…`, `gs://bucket/prefix`,
    /// `az://container/prefix?account=…`. The settings after `?` are those of `S3Config`, `GcsConfig` and
    /// `AzblobConfig`.
    pub(super) storage: String,
    /// `s3://`: the storage class that objects are created in, such as `STANDARD_IA`; one that can be read at once, so
    /// neither `GLACIER` nor `DEEP_ARCHIVE`. Default: the service's own, STANDARD in S3.
    pub(super) storage_class: Option<String>,
    /// `s3://`: whether the bucket keeps what is held under legal holds of its own (S3 Object Lock, which it must have).
    /// Default: no, a hold is on record only.
    #[serde(default)]
    pub(super) object_lock: bool,
    /// With which keys the service is asked, if not with those that its own tools would find.
    pub(super) credentials: Option<Credentials>,
    /// What signs links. Default for a bucket: `{ kind = "presign" }`.
    pub(super) links: Option<Links>,
    /// The other targets that copies of what is published here go to, the preferred one for links first: 8 at most.
    /// Default: none.
    pub(super) replicas: Option<Vec<TargetName>>,
    /// How many copies, the one here included, must be proven before there is a link: 1 to all. The others are made by
    /// recovery. Default: 1.
    pub(super) quorum: Option<Whole>,
    /// The target that `Publisher::archive` copies what is published here to. Default: none.
    pub(super) archive: Option<TargetName>,
}

/// `[targets.NAME.credentials]`, `[staging.NAME.credentials]` and `[metadata.credentials]`: for S3 the first
/// two, for `gs://` the third, for `az://` the last.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct Credentials {
    /// The id of an access key, by reference: it is no secret, but belongs with one.
    pub(super) access_key_id: Option<Secret>,
    /// Its secret.
    pub(super) secret_access_key: Option<Secret>,
    /// The path of a service account's JSON key file.
    pub(super) key_file: Option<PathBuf>,
    /// The storage account's key, in base64.
    pub(super) account_key: Option<Secret>,
}

/// `[targets.NAME.links]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Links {
    /// `hmac`: links of a route that this library's host serves, for any storage. `presign`: links that the
    /// storage service itself checks, for buckets. `cloudfront`: links that a CloudFront distribution checks, which
    /// serves the objects of any storage.
    pub(super) kind: LinkKind,
    /// `hmac`: what viewers see of the route, such as `https://media.example/files`. `cloudfront`: what they see of
    /// the distribution where the target's objects begin, such as `https://d111111abcdef8.cloudfront.net`.
    pub(super) base_url: Option<String>,
    /// `hmac`: the file with the key that signs, which is made, with a random key, if it is not there. Of
    /// `key_file` and `key` there is one.
    pub(super) key_file: Option<String>,
    /// `hmac`: the key that signs, `id:secret`, the secret at least 32 random bytes in base64url without padding:
    /// for several hosts, which must have the same.
    pub(super) key: Option<Secret>,
    /// `hmac`: keys whose links the route lets through too, while keys are replaced. Default: none.
    #[serde(default)]
    pub(super) accepted_keys: Vec<Secret>,
    /// `hmac`: where it is kept which links were taken back: a directory or bucket like the `storage` of a target,
    /// for this alone, which all hosts of these links share. A bucket is asked with the keys that its own tools
    /// would find. Default: none, so that single links cannot be taken back.
    pub(super) revocations: Option<String>,
    /// `cloudfront`: the id that CloudFront has given the public key, such as `K2JCJMDEHXQW5F`.
    pub(super) key_pair_id: Option<String>,
    /// `cloudfront`: the private key in PEM, RSA of 2,048 bits or ECDSA on P-256.
    pub(super) private_key: Option<Secret>,
    /// Whether each link is tried before it is handed out, so that a publish fails whose link does not work. What
    /// serves the links must be up then. Default: `false`.
    #[serde(default)]
    pub(super) probe: bool,
    /// `presign`: what browsers do with the file, `inline` (they play it) or `attachment` (they save it).
    /// Default: `inline`.
    pub(super) disposition: Option<Disposed>,
    /// `presign`: what becomes of a link that should live longer than the credentials that sign it: `shorten`,
    /// and the record says so, or `refuse`, which is after the file was published. Default: `shorten`.
    pub(super) beyond_credentials: Option<Beyond>,
    /// `presign`: with which keys links are signed, if not with the target's.
    pub(super) credentials: Option<Credentials>,
    /// `hmac` and `presign`: what viewers see of a route that asks who may read, for requests with the access
    /// `authenticated`. Default: there is none.
    pub(super) authenticated_url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum LinkKind {
    Hmac,
    Presign,
    Cloudfront,
    Public,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Disposed {
    #[default]
    Inline,
    Attachment,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Beyond {
    #[default]
    Shorten,
    Refuse,
}

/// `[staging.NAME]`: either a `root` or `hosts`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct Staging {
    /// A directory, as a path or `file:///…`, or `s3://bucket/prefix?region=…`.
    pub(super) root: Option<String>,
    /// With which keys the bucket is asked, if not with those that its own tools would find.
    pub(super) credentials: Option<Credentials>,
    /// Hosts from which `https://` URLs are read, such as `media.example` or `media.example:8443`; all of a
    /// host's addresses must be global.
    pub(super) hosts: Vec<String>,
    /// Hosts in your own network, each with the ranges that all of its addresses must be in:
    /// `{ "staging.intranet.example" = ["10.20.0.0/16"] }`.
    pub(super) private_hosts: BTreeMap<String, Vec<String>>,
    /// The largest file of `hosts`, in MiB, at least 1. Default: 65,536 (64 GiB).
    pub(super) size_max_mib: Option<Whole>,
    /// How long a server of `hosts` may be silent, in seconds, 1 to 3,600. Default: 30.
    pub(super) silence_max_secs: Option<Whole>,
    /// How long a file of `hosts` may take in all, in seconds, 1 to 604,800. Default: 21,600 (6 hours).
    pub(super) time_max_secs: Option<Whole>,
    /// How fast a file of `hosts` must come on average, in KiB per second, at least 1. Default: 128.
    pub(super) kib_per_sec_min: Option<Whole>,
    /// How many redirects of `hosts` are followed, 0 to 3. Default: 0.
    pub(super) redirects_max: Option<Whole>,
}

/// `[preflight]`: each of the checks is `off`; `warn`, the file is published with a warning on record; or `refuse`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct Preflight {
    /// It is an MP4. Default: `refuse`.
    pub(super) mp4: Option<PreflightCheck>,
    /// All of it is there: no box goes beyond the file's end. Default: `warn`.
    pub(super) complete: Option<PreflightCheck>,
    /// It plays as long as the request says. Default: `warn`.
    pub(super) duration: Option<PreflightCheck>,
    /// How much longer or shorter it may play, in milliseconds, 0 to 3,600,000. Default: 500.
    pub(super) duration_tolerance_ms: Option<Whole>,
    /// Players can begin before they have all of it: `moov` comes before the media. Default: `warn`.
    pub(super) faststart: Option<PreflightCheck>,
}

/// `[sweep]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table")]
pub(super) struct Sweep {
    /// How many days a staged file is kept after its verified publish, 0 to 3,650. Default: 7.
    pub(super) retention_days: Option<Whole>,
    /// After how many days a staged file that nobody has published is told of, 1 to 3,650. Default: 7.
    pub(super) stuck_after_days: Option<Whole>,
    /// For how many hours what may be a left-over in storage is left alone, 1 to 8,760. Default: 24.
    pub(super) grace_hours: Option<Whole>,
}

/// Where the audit trail is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AuditKind {
    #[default]
    Jsonl,
    Sqlite,
    /// In the database of the records.
    Postgres,
    Objects,
}

/// `[audit]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table")]
pub(super) struct Audit {
    /// `jsonl`, `sqlite`, `postgres` or `objects`. Default: `jsonl`.
    #[serde(default)]
    pub(super) kind: AuditKind,
    /// `jsonl`: the file that entries are appended to, one line of JSON each; made if absent. Processes of one machine
    /// may share it.
    pub(super) jsonl: Option<String>,
    /// `sqlite`: the database file, made if absent, which belongs to the trail alone. Processes of one machine may
    /// share it.
    pub(super) sqlite: Option<String>,
    /// `objects`: a directory or bucket like the `storage` of a target, which belongs to the trail alone.
    pub(super) objects: Option<String>,
    /// `objects`: with which keys the bucket is asked, if not with those that its own tools would find.
    pub(super) credentials: Option<Credentials>,
    /// The chain's name, a URI or a path, another one for each trail. Default: `/distribution/audit`.
    pub(super) source: Option<String>,
    /// A file with an Ed25519 key, made if absent, that signs each entry. Default: entries are chained, not signed.
    pub(super) signing_key: Option<String>,
    /// A second place, as for targets, that gets a signed checkpoint now and then, so that a trail that was cut off
    /// is found. Default: none.
    pub(super) checkpoints: Option<String>,
    /// `story:https://…` or `story:stdio`: the Story MCP datastore gets a copy of each record whenever its trail is
    /// delivered, before a link is given. Default: none.
    pub(super) mirror: Option<String>,
    /// `mirror`: how it is reached and spoken to.
    pub(super) story: Option<Story>,
}

//! Settings that contradict each other are refused, each with its whole message.

use distribution_core::TargetName;

use super::{RECORDS, STAGING, TARGET, parse, refusal, refused_defaults, refused_target};

const HMAC: &str = "kind = \"hmac\"\nbase_url = \"https://m.example/files\"\n";

#[test]
fn a_default_that_is_not_there() {
    assert_eq!(
        refused_defaults("target = \"main\""),
        "defaults.target: `main` is no target: there are `media` (line 2)"
    );
    assert_eq!(
        refused_defaults("staging = \"main\""),
        "defaults.staging: `main` is no staging root with a `root`: there are [`edits`] (line 2)"
    );
    let second = "[targets.second]\nstorage = \"second\"\n[targets.second.links]\nkind = \"hmac\"\n\
                  base_url = \"https://second.example\"\nkey_file = \"second.key\"\n";
    assert_eq!(
        refusal(&format!("{TARGET}{second}{STAGING}{RECORDS}")),
        "defaults.target: is missing: say which it is, one of `media`, `second`"
    );
    let called_default = second.replace("targets.second", "targets.default");
    assert!(parse(&format!("{TARGET}{called_default}{STAGING}{RECORDS}")).is_ok());
    assert_eq!(
        refusal(&format!("{TARGET}{STAGING}[staging.more]\nroot = \"more\"\n{RECORDS}")),
        "defaults.staging: is missing: say below which root plain paths are, one of `edits`, `more`"
    );
}

#[test]
fn an_access_that_no_target_has() {
    assert_eq!(
        refused_defaults("access = \"public\""),
        "defaults.access: cannot be `public`: what is published to a target with links of `kind = \"public\"` always \
         is (line 2)"
    );
    assert_eq!(
        refused_defaults("access = \"authenticated\""),
        "defaults.access: cannot be `authenticated`: no target has an `authenticated_url` (line 2)"
    );
    assert!(parse(&format!("[defaults]\naccess = \"signed\"\n{TARGET}{STAGING}{RECORDS}")).is_ok());
}

#[test]
fn a_proof_that_nothing_here_gives() {
    assert_eq!(
        refused_defaults("verification = \"store_attested\""),
        "defaults.verification: cannot be `store_attested`: no target is an s3:// bucket, and nothing else attests \
         (line 2)"
    );
}

#[test]
fn links_that_a_disk_cannot_have() {
    assert_eq!(
        refused_target("storage = \"objects\""),
        "targets.media.links: is missing: a local disk needs links of `kind = \"hmac\"`, with a `base_url` (line 1)"
    );
    assert_eq!(
        refused_target("storage = \"objects\"\n[targets.media.links]\nkind = \"presign\""),
        "targets.media.links.kind: cannot be `presign`: a local disk checks no links, so it takes `hmac` (line 4)"
    );
    assert_eq!(
        refused_target("storage = \"objects\"\n[targets.media.links]\nkind = \"akamai\""),
        "targets.media.links.kind: must be `hmac`, `presign`, `cloudfront` or `public` (line 4)"
    );
    assert_eq!(
        refused_target("storage = \"objects\"\n[targets.media.credentials]\nkey_file = \"k\""),
        "targets.media.credentials: a local disk takes no credentials: remove them (line 3)"
    );
}

#[test]
fn links_of_a_route_need_a_route_and_one_key() {
    let links = |rest: &str| refused_target(&format!("storage = \"objects\"\n[targets.media.links]\n{rest}"));
    assert_eq!(
        links("kind = \"hmac\"\nkey_file = \"k\""),
        "targets.media.links.base_url: is missing: what viewers see in front of the key, such as \
         https://media.example/files (line 3)"
    );
    assert_eq!(
        links("kind = \"hmac\"\nkey_file = \"k\"\nbase_url = \"media.example\""),
        "targets.media.links.base_url: must be a URL such as https://media.example/files (line 6)"
    );
    assert_eq!(
        links(HMAC),
        "targets.media.links.key_file: is missing: name `key_file`, which is made if absent, or `key`, which hosts \
         share (line 3)"
    );
    assert_eq!(
        links(&format!("{HMAC}key_file = \"k\"\nkey = {{ env = \"K\" }}")),
        "targets.media.links.key_file: is there beside `key`: remove one of them (line 6)"
    );
    assert_eq!(
        links(&format!("{HMAC}key_file = \"k\"\ndisposition = \"inline\"")),
        "targets.media.links.disposition: is of no use with links of kind `hmac`: those have `base_url`, `key_file`, \
         `key`, `accepted_keys`, `revocations`, `authenticated_url` and `probe` (line 7)"
    );
    assert_eq!(
        links(&format!("{HMAC}key_file = \"k\"\nrevocations = \"objects/revoked\"")),
        "targets.media.links.revocations: shares the storage of the target `media`: give revocations a prefix beside \
         it (line 7)"
    );
}

#[test]
fn two_routes_at_one_place() {
    let second = "[targets.second]\nstorage = \"second\"\n[targets.second.links]\nkind = \"hmac\"\n\
                  base_url = \"https://MEDIA.example/files/second/\"\nkey_file = \"second.key\"\n";
    assert_eq!(
        refusal(&format!("[defaults]\ntarget = \"media\"\n{TARGET}{second}{STAGING}{RECORDS}")),
        "targets.second.links.base_url: is below that of the target `media`: give each target a route of its own (line 11)"
    );
    let beside = second.replace("files/second", "files-second");
    assert!(parse(&format!("[defaults]\ntarget = \"media\"\n{TARGET}{beside}{STAGING}{RECORDS}")).is_ok());
    let media = TARGET.replace("\"link.key\"", "\"link.key\", revocations = \"taken\"");
    let kept =
        |at: &str| format!("[defaults]\ntarget = \"media\"\n{media}{beside}revocations = \"{at}\"\n{STAGING}{RECORDS}");
    assert!(parse(&kept("other")).is_ok());
    assert_eq!(
        refusal(&kept("taken/too")),
        "targets.second.links.revocations: shares the place of `targets.media.links.revocations`: give each one of its \
         own (line 13)"
    );
}

#[test]
fn a_staging_root_is_one_thing() {
    let staging = |rest: &str| refusal(&format!("{TARGET}[staging.a]\n{rest}\n{RECORDS}"));
    assert_eq!(
        staging("root = \"x\"\nhosts = [\"a.example\"]"),
        "staging.a.hosts: is of no use beside `root`: give hosts a `[staging.NAME]` of their own (line 7)"
    );
    assert_eq!(
        staging("root = \"x\"\nredirects_max = 1"),
        "staging.a.redirects_max: is of no use beside `root`: give hosts a `[staging.NAME]` of their own (line 7)"
    );
    assert_eq!(
        staging("root = \"x\"\ncredentials = { key_file = \"k\" }"),
        "staging.a.credentials: a local disk takes no credentials: remove them (line 7)"
    );
    assert_eq!(
        staging("hosts = [\"a.example\"]\ncredentials = { key_file = \"k\" }"),
        "staging.a.credentials: is of no use without `root`: hosts get no keys (line 7)"
    );
}

#[cfg(feature = "http-source")]
#[test]
fn hosts_and_their_limits() {
    let staging = |rest: &str| refusal(&format!("{TARGET}[staging.a]\n{rest}\n{RECORDS}"));
    assert_eq!(
        staging("hosts = [\"*.example\"]"),
        "staging.a: \"*.example\" is no host: write it like media.example or media.example:8443, without wildcards \
         (line 5)"
    );
    assert_eq!(
        staging("hosts = [\"a.example\"]\nredirects_max = 4"),
        "staging.a.redirects_max: must be 0 to 3, not 4 (line 7)"
    );
    assert_eq!(
        staging("private_hosts = { \"a.example\" = [] }"),
        "staging.a: a private host without a range of addresses can never be asked: name one like 10.20.0.0/16 (line 5)"
    );
    let both = format!("{TARGET}{STAGING}[staging.web]\nhosts = [\"a.example\"]\nsize_max_mib = 10\n{RECORDS}");
    assert!(parse(&both).is_ok(), "plain paths are below the only root");
    assert_eq!(
        refusal(&format!("[defaults]\nstaging = \"web\"\n{both}")),
        "defaults.staging: `web` is no staging root with a `root`: there are [`edits`] (line 2)"
    );
}

#[cfg(all(feature = "s3", feature = "gcs", feature = "azblob"))]
#[test]
fn credentials_of_another_service() {
    let s3 = "storage = \"s3://media?region=x\"\n[targets.media.credentials]\n";
    assert_eq!(
        refused_target(&format!("{s3}account_key = {{ env = \"K\" }}")),
        "targets.media.credentials.access_key_id: is missing: an s3:// bucket takes `access_key_id` and \
         `secret_access_key` (line 3)"
    );
    assert_eq!(
        refused_target(&format!("{s3}access_key_id = {{ env = \"K\" }}")),
        "targets.media.credentials.secret_access_key: is missing: an s3:// bucket takes `access_key_id` and \
         `secret_access_key` (line 3)"
    );
    assert_eq!(
        refused_target("storage = \"gs://media\"\n[targets.media.credentials]\naccount_key = { env = \"K\" }"),
        "targets.media.credentials.key_file: is missing: a gs:// bucket takes `key_file` (line 3)"
    );
    assert_eq!(
        refused_target(
            "storage = \"az://media?account=a\"\n[targets.media.credentials]\naccount_key = { env = \"K\" }\nkey_file = \"k\""
        ),
        "targets.media.credentials.key_file: is of no use for an az:// container, which takes `account_key` (line 5)"
    );
    assert_eq!(
        refusal(&format!("{TARGET}[staging.a]\nroot = \"gs://staging\"\n{RECORDS}")),
        "staging.a.root: cannot be a gs:// bucket: staged files are read from disks, s3:// buckets and hosts (line 6)"
    );
    let attested = "[defaults]\nverification = \"store_attested\"\n[targets.media]\nstorage = \"gs://media\"\n";
    assert!(refusal(&format!("{attested}{STAGING}{RECORDS}")).contains("nothing else attests"));
    assert!(parse(&format!("{}{STAGING}{RECORDS}", attested.replace("gs://media", "s3://media?region=x"))).is_ok());
    assert_eq!(
        refused_target(
            "storage = \"s3://media?region=x\"\n[targets.media.links]\nkind = \"presign\"\nbase_url = \"https://a\""
        ),
        "targets.media.links.base_url: is of no use with links of kind `presign`: those have `disposition`, \
         `beyond_credentials`, `credentials`, `authenticated_url` and `probe` (line 5)"
    );
    let bucket =
        format!("[targets.media]\nstorage = \"s3://media?region=x\"\n[targets.media.links]\n{HMAC}key_file = \"k\"\n");
    assert!(parse(&format!("{bucket}{STAGING}{RECORDS}")).is_ok(), "a route serves any storage");
}

#[cfg(feature = "s3")]
#[test]
fn a_uri_of_a_bucket_is_checked_without_the_network() {
    let message = refused_target("storage = \"s3://media?regionn=x\"");
    assert!(message.starts_with("targets.media.storage: s3: has no setting \"regionn\", only region, "), "{message}");
    use distribution_core::ErrorKind;

    let error = parse(&format!("[targets.media]\nstorage = \"s3://u:hunter2@media\"\n{STAGING}{RECORDS}")).unwrap_err();
    assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("targets.media.storage")));
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}

#[cfg(all(feature = "s3", feature = "gcs"))]
#[test]
fn a_storage_class_is_of_a_bucket_and_can_be_read_back() {
    let target = |storage: &str, class: &str| format!("storage = \"{storage}\"\nstorage_class = \"{class}\"\n");
    let s3 = "s3://media?region=x";
    for (storage, class, message) in [
        ("objects", "STANDARD_IA", "is of no use for a local disk, only for an s3:// bucket"),
        ("gs://media", "COLDLINE", "is of no use for a gs:// bucket, only for an s3:// bucket"),
        (s3, "hunter2", "must be 1 to 64 of `A-Z`, `0-9`, `_` and `-`, such as STANDARD_IA"),
        (
            s3,
            "DEEP_ARCHIVE",
            "cannot be DEEP_ARCHIVE: what is written there cannot be read back, so it cannot be proven; choose a class \
             that can be read at once, such as STANDARD_IA or GLACIER_IR, and let a lifecycle rule of the bucket move \
             the objects later",
        ),
    ] {
        let refused = refused_target(&target(storage, class));
        assert_eq!(refused, format!("targets.media.storage_class: {message} (line 3)"));
    }
    let sound = format!("[targets.media]\n{}{STAGING}{RECORDS}", target(s3, "GLACIER_IR"));
    assert!(parse(&sound).is_ok());
}

#[cfg(all(feature = "s3", feature = "gcs"))]
#[test]
fn legal_holds_are_of_an_s3_bucket() {
    let target = |storage: &str| format!("storage = \"{storage}\"\nobject_lock = true\n");
    for (storage, name) in [("objects", "a local disk"), ("gs://media", "a gs:// bucket")] {
        let refused = refused_target(&target(storage));
        let message = format!("is of no use for {name}, only for an s3:// bucket (line 3)");
        assert_eq!(refused, format!("targets.media.object_lock: {message}"));
    }
    let sound = format!("[targets.media]\n{}{STAGING}{RECORDS}", target("s3://media?region=x"));
    assert!(parse(&sound).is_ok());
}

#[tokio::test]
async fn a_public_target_and_one_whose_route_asks() {
    let folder = super::site();
    std::fs::create_dir(folder.path().join("public")).unwrap();
    let text = format!(
        "{}[targets.open]\nstorage = \"public\"\n\
         [targets.open.links]\nkind = \"public\"\nbase_url = \"https://cdn.example/\"\n[defaults]\n\
         target = \"media\"\naccess = \"authenticated\"\n{STAGING}{RECORDS}",
        TARGET.replace(" }", ", authenticated_url = \"https://media.example/members\" }")
    );
    let opened = distribution_backends::Config::parse(&text, folder.path()).unwrap().open().await.unwrap();
    let guarded: Vec<_> =
        opened.guarded.iter().map(|guarded| (guarded.target.as_str(), guarded.base.as_str())).collect();
    assert_eq!(guarded, [("media", "https://media.example/members")]);
    std::fs::write(folder.path().join("staging/clip.mp4"), b"approved").unwrap();
    for (target, base) in [(None, "https://media.example/members/clip-"), (Some("open"), "https://cdn.example/clip-")] {
        let mut request = distribution_testkit::request("clip.mp4", b"approved");
        request.distribution_settings.storage_target = target.map(|name| TargetName::parse(name).unwrap());
        let record = opened.publisher.publish(request).await.unwrap();
        assert!(record.public_url.expose().starts_with(base) && record.expires_at.is_none());
    }

    let twice = text.replace("https://cdn.example/", "https://media.example/members/public");
    assert_eq!(
        refusal(&twice),
        "targets.open.links.base_url: is below that of the target `media`: give each target a route of its own (line 9)"
    );
    assert_eq!(
        refusal(&text.replace("kind = \"public\"", "kind = \"public\"\nauthenticated_url = \"https://a.example\"")),
        "targets.open.links.authenticated_url: is of no use with links of kind `public`: those have `base_url` (line 9)"
    );
}

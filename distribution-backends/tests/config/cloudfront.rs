//! Links of kind `cloudfront`.

use std::fs;
use std::process::Command;

use distribution_backends::Config;
use distribution_core::ErrorKind;

use super::{RECORDS, STAGING, TARGET, parse, refusal, refused_target, site};

const LINKS: &str = "storage = \"objects\"\n[targets.media.links]\nkind = \"cloudfront\"\n";
const BASE: &str = "base_url = \"https://d111111abcdef8.cloudfront.net\"\n";
const ID: &str = "key_pair_id = \"K2JCJMDEHXQW5F\"\n";
const KEY: &str = "private_key = { file = \"edge.pem\" }\n";

#[test]
fn they_need_a_base_an_id_and_a_key() {
    let links = |rest: &str| refused_target(&format!("{LINKS}{rest}"));
    let at = "targets.media.links";
    assert_eq!(
        links(&format!("{ID}{KEY}")),
        format!("{at}.base_url: is missing: what viewers see, such as https://d111111abcdef8.cloudfront.net (line 3)")
    );
    assert_eq!(
        links(&format!("base_url = \"http://media.example\"\n{ID}{KEY}")),
        format!("{at}.base_url: must begin with `https://`: who sees a link can download (line 5)")
    );
    assert_eq!(
        links(&format!("{BASE}{KEY}")),
        format!("{at}.key_pair_id: is missing: the public key's id at CloudFront, such as K2JCJMDEHXQW5F (line 3)")
    );
    assert_eq!(
        links(&format!("{BASE}{KEY}key_pair_id = \"K&2\"")),
        format!(
            "{at}.key_pair_id: must be the id of a public key at CloudFront, such as K2JCJMDEHXQW5F: letters and \
             digits (line 7)"
        )
    );
    assert_eq!(
        links(&format!("{BASE}{ID}")),
        format!(
            "{at}.private_key: is missing: {{ env = \"NAME\" }} or {{ file = \"path\" }}, the private key in PEM (line 3)"
        )
    );
    assert_eq!(
        links(&format!("{BASE}{ID}{KEY}key_file = \"k\"")),
        format!(
            "{at}.key_file: is of no use with links of kind `cloudfront`: those have `base_url`, `key_pair_id`, \
             `private_key`, `authenticated_url` and `probe` (line 8)"
        )
    );
    let route = TARGET.replace("key_file = ", "key_pair_id = \"K2JCJMDEHXQW5F\", key_file = ");
    assert!(
        refusal(&format!("{route}{STAGING}{RECORDS}")).contains("key_pair_id: is of no use with links of kind `hmac`")
    );
}

#[test]
fn each_target_has_a_base_of_its_own() {
    let second =
        format!("[targets.second]\n{}{BASE}{ID}{KEY}", LINKS.replace("media", "second").replace("objects", "o"));
    let first = format!("[defaults]\ntarget = \"media\"\n[targets.media]\n{LINKS}{BASE}{ID}{KEY}");
    let message = refusal(&format!("{first}{second}{STAGING}{RECORDS}"));
    assert!(message.contains("links.base_url: is below that of the target"), "{message}");
    let beside = second.replace("cloudfront.net", "cloudfront.net/second");
    let first = first.replace("cloudfront.net", "cloudfront.net/first");
    assert!(parse(&format!("{first}{beside}{STAGING}{RECORDS}")).is_ok());
}

#[tokio::test]
async fn the_private_key_is_read_when_it_opens_and_never_shown() {
    let folder = site();
    let text = format!("[targets.media]\n{LINKS}{BASE}{ID}{KEY}{STAGING}{RECORDS}");
    let config = Config::parse(&text, folder.path()).unwrap();
    let missing = config.open().await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Unavailable);
    assert_eq!(
        missing.to_string(),
        "targets.media.links.private_key: the secret's file cannot be read: entity not found (line 7)"
    );
    fs::write(folder.path().join("edge.pem"), "hunter2").unwrap();
    let wrong = config.open().await.unwrap_err();
    assert_eq!((wrong.kind(), wrong.field()), (ErrorKind::Invalid, Some("targets.media.links.private_key")));
    assert!(!format!("{wrong} {wrong:?} {:?}", std::error::Error::source(&wrong)).contains("hunter2"));

    let args = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out"];
    assert!(Command::new("openssl").args(args).arg(folder.path().join("edge.pem")).status().unwrap().success());
    let opened = config.open().await.unwrap();
    assert!(opened.downloads.is_empty(), "CloudFront serves, and no route of ours");
    let pem = fs::read_to_string(folder.path().join("edge.pem")).unwrap();
    let shown = format!("{config:?} {opened:?}");
    assert!(pem.lines().all(|line| !shown.contains(line)));
}

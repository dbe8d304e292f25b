//! Links of CloudFront, and the private key that signs them.

use std::fs;

use chrono::{SubsecRound as _, TimeDelta};
use distribution_backends::{CloudFrontSigner, SystemClock};
use distribution_core::{Clock as _, LinkRequest, ObjectKey, UrlSigner as _};

use crate::canary::{Secrets, canary};
use crate::openssl;
use crate::told::Told;

const BASE: &str = "https://d111111abcdef8.cloudfront.net";

#[tokio::test]
async fn the_private_key_and_its_signatures_are_shown_nowhere() {
    let mut told = Told::new();
    let folder = tempfile::tempdir().unwrap();
    for kind in [
        ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    ] {
        let path = folder.path().join("private.pem");
        openssl(&[&["genpkey"], &kind[..]].concat(), &path);
        let pem = fs::read_to_string(path).unwrap();
        let mut secrets = Secrets::of(&["in the key"]).and_pem("private key", &pem);
        let signer = CloudFrontSigner::new(BASE, "K2JCJMDEHXQW5F", &pem).unwrap();
        let now = SystemClock.now();
        let key = ObjectKey::parse("clip.mp4").unwrap();
        let wanted = LinkRequest { key, expires_at: now.trunc_subsecs(0) + TimeDelta::hours(1) };
        let signed = signer.sign(&wanted, now).await.unwrap();
        told.debug(&signer);
        told.debug(&signed);
        told.link(&signed.link, &mut secrets);
        told.refusal(signer.sign(&LinkRequest { expires_at: now, ..wanted.clone() }, now).await);
        told.refusal(signer.revoke(&wanted.key).await);
        for (base, id, key) in [
            (BASE, "K2JCJMDEHXQW5F", pem.replacen("MI", "MX", 1)),
            (BASE, "K2JCJMDEHXQW5F", pem.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY")),
            (BASE, "K2JCJMDEHXQW5F", pem.lines().take(2).collect::<Vec<_>>().join("\n")),
            (BASE, "K2JCJMDEHXQW5F", canary("in the key")),
            (BASE, &pem, pem.clone()),
            (&format!("https://u:{}@h", canary("in the key")), "K2JCJMDEHXQW5F", pem.clone()),
        ] {
            told.refusal(CloudFrontSigner::new(base, id, &key));
        }
        std::mem::take(&mut told).holds_none_of(&secrets, &[]);
    }
}

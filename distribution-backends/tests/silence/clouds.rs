//! Azure and Google: an account's key, a shared access signature, and a service account's key file.

use std::fs;
use std::path::Path;

use chrono::{SubsecRound as _, TimeDelta};
use data_encoding::BASE64;
use distribution_backends::{AzblobConfig, Disposition, GcsConfig, OpendalStorage, PresignSigner, SystemClock};
use distribution_core::{Clock as _, LinkRequest, ObjectKey, Storage as _, UrlSigner as _};

use crate::canary::{Secrets, canary};
use crate::openssl;
use crate::server::{Server, status};
use crate::told::Told;

async fn try_all(storage: &OpendalStorage, told: &mut Told) {
    told.debug(storage);
    let key = ObjectKey::parse("clip.mp4").unwrap();
    told.refusal(storage.stat(&key).await);
    told.refusal(storage.list("", None, 10).await);
    told.refusal(storage.remove(&key).await);
}

async fn sign(signer: &PresignSigner, told: &mut Told, secrets: &mut Secrets) {
    let now = SystemClock.now();
    let key = ObjectKey::parse("clip.mp4").unwrap();
    let wanted = LinkRequest { key, expires_at: now.trunc_subsecs(0) + TimeDelta::hours(1) };
    told.debug(signer);
    let signed = signer.sign(&wanted, now).await.unwrap();
    told.debug(&signed);
    told.link(&signed.link, secrets);
    told.refusal(signer.sign(&LinkRequest { expires_at: now, ..wanted }, now).await);
}

#[tokio::test]
async fn an_account_of_azure_is_used_without_a_word_of_its_key() {
    let mut told = Told::new();
    let key = BASE64.encode(canary("account key").as_bytes());
    let mut secrets = Secrets::of(&["account key", "sas"]).and("base64", &key);
    let xml = format!("<Error><Code>AuthenticationFailed</Code><Message>not with {key}</Message></Error>");
    let head =
        format!("HTTP/1.1 403 No\r\nContent-Type: application/xml\r\nx-ms-error: {key}\r\nConnection: close\r\n");
    let refusing = Server::saying("127.0.0.1", format!("{head}Content-Length: {}\r\n\r\n{xml}", xml.len()));
    let away =
        Server::saying("127.0.0.1", status("302 Found", &format!("Location: http://127.0.0.1:1/?sig={key}\r\n")));
    for endpoint in ["http://127.0.0.1:1".to_owned(), refusing.url(""), away.url("")] {
        let uri = format!("az://media/mvp?account=studio&endpoint={}", endpoint.trim_end_matches('/'));
        let config = AzblobConfig::from_uri(uri).unwrap().with_key(&key);
        told.debug(&config);
        try_all(&config.open().unwrap(), &mut told).await;
        sign(&PresignSigner::azblob(&config).unwrap().disposition(Disposition::Attachment), &mut told, &mut secrets)
            .await;
    }
    let config = AzblobConfig::from_uri("az://media?account=studio").unwrap().with_key(canary("account key") + "!");
    told.refusal(config.open());
    told.refusal(PresignSigner::azblob(&config));
    told.refusal(AzblobConfig::from_uri(format!("az://media?account=a&sas_token={}", canary("sas"))));
    told.refusal(AzblobConfig::from_uri(format!("az://media?account={}", canary("sas").to_uppercase())));
    told.holds_none_of(&secrets, &["reqsign", "reqwest", "opendal"]);
}

fn account(folder: &Path, private_key: &str, token_uri: &str) -> std::path::PathBuf {
    let path = folder.join("key.json");
    let account = serde_json::json!({ "type": "service_account", "client_email": "a@b.iam.gserviceaccount.com",
        "private_key_id": canary("private key id"), "private_key": private_key, "token_uri": token_uri });
    fs::write(&path, account.to_string()).unwrap();
    path
}

#[tokio::test]
async fn a_service_account_of_google_is_used_without_a_word_of_its_key() {
    let mut told = Told::new();
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("private.pem");
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], &pem);
    let pem = fs::read_to_string(&pem).unwrap();
    let mut secrets = Secrets::of(&["private key id", "broken key"]).and_pem("private key", &pem);
    // Links are signed here, and nobody is asked.
    let uri = "gs://media/mvp?endpoint=http://127.0.0.1:1";
    let config = GcsConfig::from_uri(uri).unwrap().with_key_file(account(folder.path(), &pem, "http://127.0.0.1:1"));
    told.debug(&config);
    sign(&PresignSigner::gcs(&config).unwrap(), &mut told, &mut secrets).await;

    let broken = canary("broken key");
    for json in [
        broken.clone(),
        format!("\"{broken}\""),
        format!("{{ \"type\": \"service_account\", \"private_key\": [\"{broken}\"] }}"),
        format!("{{ \"type\": \"service_account\", \"client_email\": \"a@b\", \"private_key\": \"{broken}\" }}"),
        format!("{{ \"type\": \"{broken}\" }}"),
        format!("{{ \"type\": \"authorized_user\", \"client_id\": {{}}, \"refresh_token\": \"{broken}\" }}"),
        format!("{{ \"type\": \"service_account\", \"private_key\": \"{broken}\" "),
    ] {
        fs::write(config.key_file.as_ref().unwrap(), json).unwrap();
        let now = SystemClock.now();
        let key = ObjectKey::parse("clip.mp4").unwrap();
        let wanted = LinkRequest { key, expires_at: now.trunc_subsecs(0) + TimeDelta::hours(1) };
        match PresignSigner::gcs(&config) {
            Ok(signer) => told.refusal(signer.sign(&wanted, now).await),
            Err(error) => told.error(error),
        }
        match config.open() {
            Ok(storage) => told.refusal(storage.stat(&wanted.key).await),
            Err(error) => told.error(error),
        }
    }
    told.holds_none_of(&secrets, &["reqsign_google"]);
}

//! A double of CloudFront's edge: what its documentation says that it does with a signed URL, told by openssl and
//! rustls and by nothing of ours.

use std::collections::HashMap;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

use data_encoding::BASE64;
use distribution_backends::CloudFrontSigner;
use distribution_core::Timestamp;
use rustls::SignatureScheme;
use serde_json::Value;
use tempfile::TempDir;

use crate::{BASE, ID};

const OF_CLOUDFRONT: [&str; 5] = ["Expires", "Policy", "Signature", "Key-Pair-Id", "Hash-Algorithm"];

/// What a key is made with.
pub(crate) const RSA: &[&str] = &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"];
pub(crate) const P256: &[&str] = &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"];

/// A distribution with one key pair, made by openssl.
pub(crate) struct Edge {
    dir: TempDir,
    scheme: SignatureScheme,
    public: Vec<u8>,
}

/// A request as it arrives.
#[derive(Clone, Copy)]
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) link: &'a str,
    pub(crate) from: Ipv4Addr,
    pub(crate) now: Timestamp,
}

impl Edge {
    pub(crate) fn new(kind: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let private = dir.path().join("private.pem");
        openssl(&[&["genpkey"], kind, &["-out"]].concat(), &private);
        fs::write(dir.path().join("public.pem"), openssl(&["pkey", "-pubout", "-in"], &private)).unwrap();
        let is_rsa = kind.contains(&"RSA");
        // What is signed with: an RSAPublicKey (RFC 8017), or the point on the curve, which is last in the DER.
        let public = match is_rsa {
            true => openssl(&["rsa", "-RSAPublicKey_out", "-outform", "DER", "-in"], &private),
            false => {
                let der = openssl(&["pkey", "-pubout", "-outform", "DER", "-in"], &private);
                der[der.len().saturating_sub(65)..].to_vec()
            }
        };
        let scheme = if is_rsa { SignatureScheme::RSA_PKCS1_SHA256 } else { SignatureScheme::ECDSA_NISTP256_SHA256 };
        Self { dir, scheme, public }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn private_key(&self) -> String {
        fs::read_to_string(self.file("private.pem")).unwrap()
    }

    pub(crate) fn signer(&self) -> CloudFrontSigner {
        CloudFrontSigner::new(BASE, ID, &self.private_key()).unwrap()
    }

    /// Whether the object at `path` is served. Only GET and HEAD are allowed there.
    pub(crate) fn serves(&self, path: &str, request: Request<'_>) -> bool {
        let (url, fields) = parse(request.link);
        matches!(request.method, "GET" | "HEAD")
            && url == format!("{BASE}/{path}")
            && self.lets_through(&url, &fields, request).unwrap_or(false)
    }

    fn lets_through(&self, url: &str, fields: &HashMap<&str, &str>, request: Request<'_>) -> Option<bool> {
        let policy = match (fields.get("Policy"), fields.get("Expires")) {
            (Some(policy), None) => String::from_utf8(decode(policy)?).ok()?,
            (None, Some(end)) => canned(url, end.parse().ok()?),
            _ => return None,
        };
        let is_ours = *fields.get("Key-Pair-Id")? == ID && *fields.get("Hash-Algorithm")? == "SHA256";
        if !is_ours || !self.has_signed(&policy, &decode(fields.get("Signature")?)?) {
            return None;
        }
        let policy: Value = serde_json::from_str(&policy).ok()?;
        let [statement] = policy["Statement"].as_array()?.as_slice() else { return None };
        let conditions = &statement["Condition"];
        let now = request.now.timestamp();
        let ends = conditions["DateLessThan"]["AWS:EpochTime"].as_i64()?;
        let begins = conditions["DateGreaterThan"]["AWS:EpochTime"].as_i64();
        let viewers = conditions["IpAddress"]["AWS:SourceIp"].as_str();
        let is_met = now < ends
            && begins.is_none_or(|begins| now > begins)
            && viewers.is_none_or(|range| is_within(request.from, range));
        Some(statement["Resource"] == url && is_met)
    }

    fn has_signed(&self, text: &str, signature: &[u8]) -> bool {
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms;
        let (_, verifiers) = algorithms.mapping.iter().find(|(scheme, _)| *scheme == self.scheme).unwrap();
        verifiers.iter().any(|verifier| verifier.verify_signature(&self.public, text.as_bytes(), signature).is_ok())
    }

    /// What openssl says to a link's signature.
    pub(crate) fn openssl_accepts(&self, policy: &str, signature: &str) -> bool {
        fs::write(self.file("signature"), decode(signature).unwrap()).unwrap();
        fs::write(self.file("policy"), policy).unwrap();
        let (public, signature) = (self.file("public.pem"), self.file("signature"));
        let verify =
            ["dgst", "-sha256", "-verify", public.to_str().unwrap(), "-signature", signature.to_str().unwrap()];
        openssl(&verify, &self.file("policy")) == b"Verified OK\n"
    }
}

/// The policy statement that a canned policy stands for, as in its page's template, without whitespace.
fn canned(url: &str, end: i64) -> String {
    const TEMPLATE: &str = r#"{"Statement":[{"Resource":"URL","Condition":{"DateLessThan":{"AWS:EpochTime":END}}}]}"#;
    TEMPLATE.replace("END", &end.to_string()).replace("URL", url)
}

/// The URL without what is CloudFront's, and that; a query of the viewer's own belongs to the URL.
pub(crate) fn parse(link: &str) -> (String, HashMap<&str, &str>) {
    let (url, query) = link.split_once('?').unwrap_or((link, ""));
    let (mut fields, mut others) = (HashMap::new(), Vec::new());
    for field in query.split('&') {
        match field.split_once('=') {
            Some((name, value)) if OF_CLOUDFRONT.contains(&name) && fields.insert(name, value).is_none() => {}
            _ => others.push(field),
        }
    }
    let url = if others.is_empty() { url.to_owned() } else { format!("{url}?{}", others.join("&")) };
    (url, fields)
}

/// Base64 with the three characters that are replaced.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text: String = text
        .chars()
        .map(|c| match c {
            '-' => '+',
            '_' => '=',
            '~' => '/',
            '+' | '=' | '/' => '!',
            other => other,
        })
        .collect();
    BASE64.decode(text.as_bytes()).ok()
}

fn is_within(address: Ipv4Addr, range: &str) -> bool {
    let (first, bits) = range.split_once('/').unwrap();
    let (first, bits): (Ipv4Addr, u32) = (first.parse().unwrap(), bits.parse().unwrap());
    let kept = |address: Ipv4Addr| u64::from(address.to_bits()) >> (32 - bits);
    kept(address) == kept(first)
}

/// Runs `openssl ARGS FILE`, and gives what it writes.
pub(crate) fn openssl(args: &[&str], file: &Path) -> Vec<u8> {
    let done = Command::new("openssl").args(args).arg(file).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    done.stdout
}

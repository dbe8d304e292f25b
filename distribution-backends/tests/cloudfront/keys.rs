//! Which private keys are taken, and that none is ever shown.

use std::error::Error as _;

use distribution_backends::CloudFrontSigner;
use distribution_core::ErrorKind;

use crate::edge::{Edge, P256, RSA, openssl};
use crate::{BASE, ID};

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[test]
fn each_documented_form_is_taken() {
    let (rsa, ec) = (Edge::new(RSA), Edge::new(P256));
    let (rsa, ec) = (&rsa.file("private.pem"), &ec.file("private.pem"));
    let sec1 = text(openssl(&["ec", "-in"], ec));
    let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let forms = [
        ("PKCS#8", text(openssl(&["pkcs8", "-topk8", "-nocrypt", "-in"], rsa))),
        ("PKCS#1", text(openssl(&["rsa", "-traditional", "-in"], rsa))),
        ("PKCS#8", text(openssl(&["pkcs8", "-topk8", "-nocrypt", "-in"], ec))),
        ("SEC 1", sec1.clone()),
        ("SEC 1 behind parameters", format!("{parameters}{sec1}")),
        ("lines as Windows has them", sec1.replace('\n', "\r\n")),
        ("text around it", format!("the key of the edge\n{sec1}\nend")),
    ];
    for (form, pem) in forms {
        let made = CloudFrontSigner::new(BASE, ID, &pem);
        assert!(made.is_ok(), "{form}: {made:?}");
    }
}

#[test]
fn any_other_key_is_refused_with_a_way_out() {
    let made = |kind: &[&str]| Edge::new(kind).private_key();
    let rsa = Edge::new(RSA);
    let locked = ["rsa", "-traditional", "-aes128", "-passout", "pass:hunter2", "-in"];
    let sealed = ["pkcs8", "-topk8", "-passout", "pass:hunter2", "-in"];
    let other = "must be an RSA key of 2,048 bits or an ECDSA key on P-256";
    let cases = [
        (made(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]), other),
        (made(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]), other),
        (made(&["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]), other),
        (made(&["-algorithm", "ED25519"]), other),
        (text(openssl(&locked, &rsa.file("private.pem"))), "is encrypted"),
        (text(openssl(&sealed, &rsa.file("private.pem"))), "is encrypted"),
        (text(openssl(&["pkey", "-pubout", "-in"], &rsa.file("private.pem"))), "must be a private key in PEM"),
        (String::new(), "must be a private key in PEM"),
        ("-----BEGIN PRIVATE KEY-----".into(), "must be a private key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----".into(), "must be a private key in PEM"),
        ("-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----".into(), other),
        ("-----BEGIN PRIVATE KEY-----\naHVudGVyMjEx\n-----END PRIVATE KEY-----".into(), other),
        ("-----BEGIN DSA PRIVATE KEY-----\naHVudGVyMjEx\n-----END DSA PRIVATE KEY-----".into(), "is encrypted or of"),
    ];
    for (pem, message) in cases {
        let error = CloudFrontSigner::new(BASE, ID, &pem).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("private_key")), "{error}");
        assert!(error.message().starts_with(message), "{error}");
        assert!(error.source().is_none() && !error.message().contains("hunter2"));
    }
}

#[test]
fn a_cut_or_changed_key_is_refused_and_never_a_panic() {
    let pem = Edge::new(P256).private_key();
    for at in 0..pem.len() {
        let cut = CloudFrontSigner::new(BASE, ID, &pem[..at]);
        assert!(cut.is_err() || pem[at..].trim().is_empty(), "cut at {at}");
        let mut changed = pem.clone().into_bytes();
        changed[at] ^= 1;
        let _ = CloudFrontSigner::new(BASE, ID, &String::from_utf8_lossy(&changed));
    }
}

#[test]
fn no_part_of_a_key_is_shown() {
    for kind in [RSA, P256] {
        let edge = Edge::new(kind);
        let shown = format!("{:?}", edge.signer());
        assert!(shown.contains(ID) && shown.contains(BASE), "{shown}");
        assert!(edge.private_key().lines().all(|line| !shown.contains(line)), "{shown}");
    }
}

#[test]
fn an_id_is_of_letters_and_digits() {
    let pem = Edge::new(P256).private_key();
    for id in ["", "K2JCJ&Expires=1", "K2 JC", "Schlüssel", &"K".repeat(65)] {
        let error = CloudFrontSigner::new(BASE, id, &pem).unwrap_err();
        assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("key_pair_id")), "{id}");
    }
    assert!(CloudFrontSigner::new(BASE, "APKA9ONS7QCOWEXAMPLE", &pem).is_ok());
}

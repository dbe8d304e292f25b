//! A server, seen by other means than the library's: curl, which signs too.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};

use distribution_backends::{S3Config, SystemClock};
use distribution_core::ContentHeaders;
use distribution_testkit::s3::{Credentials, S3Double};
use serde::{Deserialize, Serialize};

use crate::s3_server::S3Server;

/// The hosts that have the bucket of this run.
static MADE: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// A server that the environment names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Server {
    /// Without `http://`.
    pub(crate) host: String,
    id: String,
    secret: String,
}

impl Server {
    /// The server that this variable names. Without one its tests do nothing but say so; in CI that is
    /// a failure.
    pub(crate) fn named(variable: &str) -> Option<Self> {
        let Ok(text) = env::var(variable) else {
            assert!(env::var_os("CI").is_none(), "{variable} must name a server in CI: see .ci/servers");
            println!("NOT RUN: {variable} names no server, see .ci/servers");
            return None;
        };
        let parts: Vec<_> = text.split(' ').collect();
        let [endpoint, id, secret] = parts[..] else { panic!("{variable}: endpoint, access key and secret") };
        let host = endpoint.strip_prefix("http://").unwrap().trim_end_matches('/');
        Some(Self { host: host.into(), id: id.into(), secret: secret.into() })
    }

    /// A double that is served here, which is always to be had.
    pub(crate) async fn double() -> (Self, S3Double, S3Server) {
        let (id, secret) = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY");
        let double = S3Double::new([Credentials::new(id, secret)]).with_clock(Arc::new(SystemClock));
        let served = S3Server::start(double.clone()).await;
        let host = served.endpoint().strip_prefix("http://").unwrap().to_owned();
        // An earlier double of this process may have had the same port.
        MADE.lock().unwrap().remove(&host);
        (Self { host, id: id.into(), secret: secret.into() }, double, served)
    }

    /// The bucket of this run of the tests.
    pub(crate) fn bucket(&self) -> &'static str {
        static BUCKET: OnceLock<String> = OnceLock::new();
        let bucket = BUCKET.get_or_init(|| {
            let mut random = [0; 6];
            getrandom::fill(&mut random).unwrap();
            format!("test-{}", data_encoding::HEXLOWER.encode(&random))
        });
        let mut made = MADE.lock().unwrap();
        if !made.contains(&self.host) {
            let answer = self.curl(&["-X", "PUT"], bucket, b"");
            assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            made.insert(self.host.clone());
        }
        bucket
    }

    pub(crate) fn config(&self, bucket: &str, prefix: &str, host: &str) -> S3Config {
        let uri = format!("s3://{bucket}/{prefix}?endpoint=http://{host}&region=us-east-1");
        S3Config::from_uri(&uri).unwrap().keys(&self.id, &self.secret)
    }

    pub(crate) fn put(&self, path: &str, headers: &ContentHeaders, bytes: &[u8]) -> bool {
        let mut args = ["-X", "PUT", "--data-binary", "@-"].map(str::to_owned).to_vec();
        for (name, value) in [
            ("content-type", &headers.content_type),
            ("content-disposition", &headers.content_disposition),
            ("cache-control", &headers.cache_control),
        ] {
            args.extend(["-H".to_owned(), format!("{name}: {value}")]);
        }
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        self.curl(&args, path, bytes).contains("HTTP/1.1 200")
    }

    pub(crate) fn head(&self, path: &str) -> BTreeMap<String, String> {
        let answer = self.curl(&["--head"], path, b"");
        let fields = answer.lines().filter_map(|line| line.split_once(": "));
        fields.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect()
    }

    /// The object's bytes.
    pub(crate) fn get(&self, path: &str) -> Vec<u8> {
        self.run(&["--fail"], path, b"")
    }

    /// What curl prints, status and headers first.
    pub(crate) fn curl(&self, args: &[&str], path: &str, body: &[u8]) -> String {
        let args = [&["--include"], args].concat();
        String::from_utf8_lossy(&self.run(&args, path, body)).into_owned()
    }

    fn run(&self, args: &[&str], path: &str, body: &[u8]) -> Vec<u8> {
        let mut curl = Command::new("curl")
            .args(["--silent", "--show-error", "--aws-sigv4", "aws:amz:us-east-1:s3"])
            .args(["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
            .args(["--user", &format!("{}:{}", self.id, self.secret), "--noproxy", "*"])
            .args(args)
            .arg(format!("http://{}/{path}", self.host))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It may not want any.
        let _ = curl.stdin.take().unwrap().write_all(body);
        curl.wait_with_output().unwrap().stdout
    }
}

//! A server, seen by other means than the library's: curl, which signs too.

use std::collections::BTreeMap;
use std::env;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use distribution_backends::S3Config;
use distribution_core::ContentHeaders;

/// A server that the environment names.
#[derive(Clone, Debug)]
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

    /// The bucket of this run of the tests.
    pub(crate) fn bucket(&self) -> &'static str {
        static BUCKET: OnceLock<String> = OnceLock::new();
        let bucket = BUCKET.get_or_init(|| {
            let mut random = [0; 6];
            getrandom::fill(&mut random).unwrap();
            format!("test-{}", data_encoding::HEXLOWER.encode(&random))
        });
        // Creating it again does no harm.
        let made = self.curl(&["-X", "PUT"], bucket, b"");
        assert!(made.starts_with("HTTP/1.1 200"), "{made}");
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

    /// What curl prints, status and headers first.
    pub(crate) fn curl(&self, args: &[&str], path: &str, body: &[u8]) -> String {
        let mut curl = Command::new("curl")
            .args(["--silent", "--show-error", "--include", "--aws-sigv4", "aws:amz:us-east-1:s3"])
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
        String::from_utf8_lossy(&curl.wait_with_output().unwrap().stdout).into_owned()
    }
}

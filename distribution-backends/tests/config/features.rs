//! A build without a feature says so.

use distribution_core::ErrorKind;

use super::{RECORDS, STAGING, TARGET, parse, refused_target};

#[test]
fn a_build_without_a_feature_says_so() {
    let lacks =
        |feature: &str| format!("this build has no feature `{feature}`: add it to distribution-backends in Cargo.toml");
    for (scheme, feature) in [("s3", "s3"), ("gs", "gcs"), ("az", "azblob")] {
        let message = format!("targets.media.storage: {} (line 2)", lacks(feature));
        assert_eq!(refused_target(&format!("storage = \"{scheme}://media\"")), message);
    }
    #[cfg(not(feature = "cloudfront"))]
    assert_eq!(
        refused_target("storage = \"objects\"\nlinks = { kind = \"cloudfront\" }"),
        format!("targets.media.links.kind: {} (line 3)", lacks("cloudfront"))
    );
    #[cfg(not(feature = "link-probe"))]
    assert_eq!(
        refused_target(
            "storage = \"objects\"\nlinks = { kind = \"hmac\", base_url = \"https://a\", key_file = \"k\", probe = true }"
        ),
        format!("targets.media.links.probe: {} (line 3)", lacks("link-probe"))
    );
    #[cfg(not(feature = "story-mcp"))]
    {
        let records = "[metadata]\nuri = \"story:stdio\"\n[audit]\njsonl = \"a\"\n";
        let message = format!("metadata.uri: {} (line 8)", lacks("story-mcp"));
        assert_eq!(parse(&format!("{TARGET}{STAGING}{records}")).unwrap_err().to_string(), message);
    }
    #[cfg(not(feature = "alert-webhook"))]
    {
        let message = format!("alerts.kind: {} (line 12)", lacks("alert-webhook"));
        let alerts = "[alerts]\nkind = \"webhook\"\n";
        assert_eq!(parse(&format!("{TARGET}{STAGING}{RECORDS}{alerts}")).unwrap_err().to_string(), message);
    }
    #[cfg(not(feature = "preflight"))]
    {
        let message = format!("preflight: {} (line 7)", lacks("preflight"));
        assert_eq!(parse(&format!("{TARGET}{STAGING}[preflight]\n{RECORDS}")).unwrap_err().to_string(), message);
    }
    let error = parse(&format!("{TARGET}{STAGING}[staging.web]\nhosts = [\"a.example\"]\n{RECORDS}")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), format!("staging.web: {} (line 7)", lacks("http-source")));
}

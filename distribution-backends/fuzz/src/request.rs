//! Request JSON: a request that writes and reads as itself, or an error on one line.

use distribution_core::{ErrorKind, PublishRequest};

/// Reads the bytes as a request.
pub fn run(bytes: &[u8]) {
    match PublishRequest::from_json(bytes) {
        Ok(request) => {
            let json = serde_json::to_vec(&request).expect("a request can be written");
            match PublishRequest::from_json(&json) {
                Ok(again) => assert_eq!(again, request),
                Err(error) => assert!(json.len() > distribution_core::REQUEST_BYTES_MAX, "{error}"),
            }
            let url = &request.final_edit.video_url;
            if url.expose().contains('?') {
                assert!(!format!("{url} {url:?}").contains('?'), "P9: the query of the staged file's URL shows");
            }
        }
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(!error.to_string().contains(char::is_control), "one line: {error}");
        }
    }
}

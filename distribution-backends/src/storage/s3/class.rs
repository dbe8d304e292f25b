//! Storage classes ("Amazon S3 storage classes", Amazon S3 User Guide): which objects are created in, and which must
//! be restored before they can be read.

use distribution_core::Error;
use http::{HeaderMap, HeaderName, HeaderValue};

/// What is read from these must be restored first, which takes minutes to days.
const ARCHIVES: [&str; 2] = ["DEEP_ARCHIVE", "GLACIER"];
const FIELD: &str = "storage_class";
const STORAGE_CLASS: HeaderName = HeaderName::from_static("x-amz-storage-class");
const NAME_BYTES_MAX: usize = 64;

/// The class as a header's value, if objects that are created in it can be read back.
pub(crate) fn checked(class: &str) -> Result<HeaderValue, Error> {
    let is_name = (1..=NAME_BYTES_MAX).contains(&class.len())
        && class.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'));
    // What is no name is not told: it may be a secret in the wrong place.
    let value = HeaderValue::from_str(class).ok().filter(|_| is_name).ok_or_else(|| {
        let message = format!("must be 1 to {NAME_BYTES_MAX} of `A-Z`, `0-9`, `_` and `-`, such as STANDARD_IA");
        Error::invalid(FIELD, message)
    })?;
    if ARCHIVES.contains(&class) {
        let message = format!(
            "cannot be {class}: what is written there cannot be read back, so it cannot be proven; choose a class that \
             can be read at once, such as STANDARD_IA or GLACIER_IR, and let a lifecycle rule of the bucket move the \
             objects later"
        );
        return Err(Error::invalid(FIELD, message));
    }
    Ok(value)
}

/// Asks for the class, where there is one to ask for.
pub(super) fn ask_for(class: Option<&HeaderValue>, headers: &mut HeaderMap) {
    if let Some(class) = class {
        headers.insert(STORAGE_CLASS, class.clone());
    }
}

/// Whether the headers of an object ("HeadObject", Amazon S3 API Reference) say that it must be restored before it can
/// be read, and that it is not restored now.
pub(super) fn is_archived(headers: &HeaderMap) -> bool {
    let told = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let is_kept_away = match told(STORAGE_CLASS.as_str()) {
        "INTELLIGENT_TIERING" => headers.contains_key("x-amz-archive-status"),
        class => ARCHIVES.contains(&class),
    };
    is_kept_away && !told("x-amz-restore").contains("ongoing-request=\"false\"")
}

#[cfg(test)]
mod tests {
    use distribution_core::ErrorKind;

    use super::*;

    #[test]
    fn a_class_is_a_name_and_can_be_read_back() {
        for class in ["STANDARD", "STANDARD_IA", "GLACIER_IR", "INTELLIGENT_TIERING", "COLD-2", &"A".repeat(64)] {
            assert_eq!(checked(class).unwrap(), class);
        }
        for wrong in ["", "standard_ia", "STANDARD IA", "SECRET\n", "SECRET=", "SECRÉT", &"A".repeat(65)] {
            let error = checked(wrong).unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("storage_class")), "{wrong}");
            assert!(wrong.is_empty() || !error.to_string().contains(wrong), "{error}");
        }
        for archive in ["GLACIER", "DEEP_ARCHIVE"] {
            let error = checked(archive).unwrap_err();
            assert_eq!((error.kind(), error.field()), (ErrorKind::Invalid, Some("storage_class")));
            assert!(error.message().starts_with(&format!("cannot be {archive}: ")), "{error}");
        }
    }

    #[test]
    fn what_must_be_restored_first_is_archived_until_it_is_restored() {
        let restored = "ongoing-request=\"false\", expiry-date=\"Fri, 21 Dec 2012 00:00:00 GMT\"";
        let (class, status, restore) = ("x-amz-storage-class", "x-amz-archive-status", "x-amz-restore");
        let archived = |told: &[(&'static str, &'static str)]| {
            let headers = told.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
            is_archived(&headers.collect())
        };
        assert!(archived(&[(class, "GLACIER")]) && archived(&[(class, "DEEP_ARCHIVE")]));
        assert!(archived(&[(class, "GLACIER"), (restore, "ongoing-request=\"true\"")]));
        assert!(archived(&[(class, "INTELLIGENT_TIERING"), (status, "ARCHIVE_ACCESS")]));
        assert!(!archived(&[(class, "GLACIER"), (restore, restored)]));
        assert!(!archived(&[(class, "INTELLIGENT_TIERING")]));
        for readable in ["STANDARD", "STANDARD_IA", "GLACIER_IR", "REDUCED_REDUNDANCY"] {
            assert!(!archived(&[(class, readable)]), "{readable}");
        }
        assert!(!archived(&[]) && !archived(&[(status, "ARCHIVE_ACCESS")]));
    }
}

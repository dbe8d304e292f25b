//! Lists and their pages.

use distribution_testkit::s3::{Fault, Op, S3Double};

use crate::client::{Told, ask, get, open, put};
use crate::multipart::{create, part};

/// No list here has more.
const PAGES_MAX: usize = 10;

fn list(double: &S3Double, query: &str) -> Told {
    get(double, &format!("/media?list-type=2&{query}"))
}

/// All pages of a list: keys, and common prefixes.
fn pages(double: &S3Double, query: &str) -> (Vec<String>, usize) {
    let (mut all, mut count, mut more) = (Vec::new(), 0, String::new());
    while count < PAGES_MAX {
        let told = list(double, &format!("{query}{more}"));
        assert_eq!(told.status, 200, "{told:?}");
        count += 1;
        all.extend(told.all("Key").into_iter().map(str::to_owned));
        all.extend(told.all("CommonPrefixes").into_iter().map(|p| p.replace("<Prefix>", "").replace("</Prefix>", "")));
        if told.element("IsTruncated") == "false" {
            return (all, count);
        }
        more = format!("&continuation-token={}", told.element("NextContinuationToken"));
    }
    panic!("the list of {query:?} does not end: {all:?}");
}

fn filled() -> S3Double {
    let double = open();
    for key in ["a", "b%2F1", "b%2F2", "b%2F3", "b%2F4", "b0", "c%2Fd%2F1", "z%20%26"] {
        put(&double, &format!("/media/{key}"), "x");
    }
    double
}

#[test]
fn objects_are_listed_page_by_page() {
    let double = filled();
    let all = ["a", "b/1", "b/2", "b/3", "b/4", "b0", "c/d/1", "z &amp;"];
    assert_eq!(pages(&double, ""), (all.map(str::to_owned).to_vec(), 3));
    assert_eq!(pages(&double, "prefix=b/&max-keys=2").0, ["b/1", "b/2", "b/3", "b/4"]);
    assert_eq!(pages(&double, "start-after=b/3").0, ["b/4", "b0", "c/d/1", "z &amp;"]);
    assert_eq!(pages(&double, "prefix=z&encoding-type=url").0, ["z%20%26"]);
    assert_eq!(pages(&double, "prefix=none").0, Vec::<String>::new());
    let none = list(&double, "max-keys=0");
    assert_eq!((none.element("KeyCount"), none.element("IsTruncated")), ("0", "false"));

    let first = list(&double, "max-keys=1");
    assert_eq!((first.element("Size"), first.element("StorageClass")), ("1", "STANDARD"));
    assert_eq!(first.element("LastModified"), "2026-01-01T00:00:00.000Z");
    for wrong in ["max-keys=x", "continuation-token=x", "encoding-type=x"] {
        assert_eq!(list(&double, wrong).refusal(), (400, "InvalidArgument"));
    }
    assert_eq!(get(&double, "/none?list-type=2").refusal(), (404, "NoSuchBucket"));
}

#[test]
fn a_delimiter_folds_keys() {
    let double = filled();
    for size in 1..=3 {
        let (mut listed, _) = pages(&double, &format!("delimiter=/&max-keys={size}"));
        listed.sort_unstable();
        assert_eq!(listed, ["a", "b/", "b0", "c/", "z &amp;"], "{size} on a page");
    }
    assert_eq!(pages(&double, "delimiter=/&prefix=b/").0, ["b/1", "b/2", "b/3", "b/4"]);
    assert_eq!(pages(&double, "delimiter=/&prefix=c/").0, ["c/d/"]);
    assert_eq!(pages(&double, "delimiter=/&start-after=b/2&prefix=b").0, ["b0", "b/"]);
}

#[test]
fn a_stale_list_lacks_what_is_new() {
    let double = filled();
    double.inject(Op::ListObjectsV2, 0, Fault::StaleList);
    put(&double, "/media/b9", "new");
    assert_eq!(list(&double, "prefix=b&start-after=b1").all("Key"), Vec::<&str>::new());
    assert_eq!(list(&double, "prefix=b&start-after=b1").all("Key"), ["b9"]);
    assert_eq!(get(&double, "/media/b9").text(), "new");
}

#[test]
fn uploads_are_listed_page_by_page() {
    let double = open();
    let mut ids: Vec<_> = ["a", "b/1", "b/1", "b/1", "b/2"].map(|key| (key, create(&double, key, &[]))).to_vec();
    ids.sort();
    let mut listed = Vec::new();
    let mut more = String::new();
    for page in 1.. {
        assert!(page <= PAGES_MAX, "the list does not end: {listed:?}");
        let told = get(&double, &format!("/media?uploads&max-uploads=2{more}"));
        let (keys, found) = (told.all("Key"), told.all("UploadId"));
        listed.extend(keys.iter().zip(found).map(|(key, id)| ((*key).to_owned(), id.to_owned())));
        if told.element("IsTruncated") == "false" {
            break;
        }
        let (key, id) = (told.element("NextKeyMarker"), told.element("NextUploadIdMarker"));
        more = format!("&key-marker={key}&upload-id-marker={id}");
    }
    assert_eq!(listed, ids.into_iter().map(|(key, id)| (key.to_owned(), id)).collect::<Vec<_>>());
    assert_eq!(get(&double, "/media?uploads&prefix=b/2").all("Key"), ["b/2"]);
    assert_eq!(get(&double, "/media?uploads&key-marker=b/1").all("Key"), ["b/2"]);
    assert_eq!(get(&double, "/media?uploads").element("Initiated"), "2026-01-01T00:00:00.000Z");
}

#[test]
fn parts_are_listed_page_by_page() {
    let double = open();
    let id = create(&double, "clip", &[]);
    for number in [1, 2, 5, 9] {
        part(&double, "clip", &id, number, &[], "0123");
    }
    let told = get(&double, &format!("/media/clip?uploadId={id}&max-parts=3"));
    assert_eq!((told.all("PartNumber"), told.element("NextPartNumberMarker")), (vec!["1", "2", "5"], "5"));
    assert_eq!(told.element("IsTruncated"), "true");
    let rest = get(&double, &format!("/media/clip?uploadId={id}&part-number-marker=5"));
    assert_eq!((rest.all("PartNumber"), rest.element("Size"), rest.element("IsTruncated")), (vec!["9"], "4", "false"));
    assert_eq!(ask(&double, "GET", "/media/clip?uploadId=none", &[], "").refusal(), (404, "NoSuchUpload"));
}

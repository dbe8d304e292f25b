//! What happens between two steps of a removal.

use std::fs;
use std::path::Path;
use std::thread::sleep;

use super::*;

const ASIDE: &str = ".distribution-swept-0123456789abcdef-clip.mp4";

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names.into_iter().map(|name| name.into_string().unwrap()).collect()
}

async fn list(files: &LocalFiles, put_back_after: Option<Duration>) -> Vec<StagedFile> {
    files.walk(put_back_after).try_collect().await.unwrap()
}

#[tokio::test]
async fn a_file_that_is_written_into_right_before_it_goes_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("clip.mp4");
    fs::write(&path, "published").unwrap();
    let files = LocalFiles::open(dir.path()).unwrap();
    let [file] = list(&files, None).await.try_into().unwrap();
    let (folder, name, open) = files.in_state(&file).unwrap().unwrap();
    sleep(Duration::from_millis(20));
    fs::write(&path, "unlikely!").unwrap(); // of the same size, into the same file
    assert_eq!(take_away(&file, &folder, &name, &open).unwrap(), Removal::Changed);
    assert_eq!((names(dir.path()), fs::read(&path).unwrap()), (vec!["clip.mp4".to_owned()], b"unlikely!".to_vec()));
}

#[tokio::test]
async fn a_file_that_is_as_it_was_goes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("clip.mp4"), "published").unwrap();
    let files = LocalFiles::open(dir.path()).unwrap();
    let [file] = list(&files, None).await.try_into().unwrap();
    assert_eq!(files.remove(&file).await.unwrap(), Removal::Removed);
    assert!(names(dir.path()).is_empty());
}

#[tokio::test]
async fn only_what_was_put_aside_long_ago_gets_its_name_back_and_only_in_a_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let aside = dir.path().join(ASIDE);
    fs::write(&aside, "whose").unwrap();
    let files = LocalFiles::open(dir.path()).unwrap();
    // A plan changes nothing, and a sweep leaves what may be another's work.
    assert_eq!(files.list().try_collect::<Vec<_>>().await.unwrap(), []);
    assert_eq!(files.list_and_mend().try_collect::<Vec<_>>().await.unwrap(), []);
    assert_eq!(names(dir.path()), [ASIDE]);

    // Long ago; but another sweeper is at it.
    let other = fs::File::open(&aside).unwrap();
    mark(&other);
    assert_eq!(list(&files, Some(Duration::ZERO)).await, []);
    assert_eq!(names(dir.path()), [ASIDE]);

    drop(other);
    let [file] = list(&files, Some(Duration::ZERO)).await.try_into().unwrap();
    assert!(file.url.expose().ends_with("/clip.mp4"), "{}", file.url);
    assert_eq!(names(dir.path()), ["clip.mp4"]);
}

#[tokio::test]
async fn what_was_put_aside_stays_so_where_another_file_has_its_name() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(ASIDE), "the old").unwrap();
    fs::write(dir.path().join("clip.mp4"), "the new").unwrap();
    let files = LocalFiles::open(dir.path()).unwrap();
    assert_eq!(list(&files, Some(Duration::ZERO)).await.len(), 1);
    assert_eq!(names(dir.path()), [ASIDE, "clip.mp4"]);
    assert_eq!(fs::read(dir.path().join("clip.mp4")).unwrap(), b"the new");
}

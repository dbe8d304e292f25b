//! The checks of content that is a file of this machine.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::process;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use distribution_core::{Body, Content, CreateOutcome, Meter, SourcePin};

use super::{StorageHarness, assert_absent, assert_holds, create, good, key, large};
use crate::conformance::{pattern, run};

pub(super) fn stores_a_local_file(harness: &dyn StorageHarness) {
    let large_bytes = harness.large_bytes();
    run(harness, async {
        let storage = harness.open().await;
        for size in [0, 1, 4096, 300_007, large_bytes - 1, large_bytes, large_bytes + 1] {
            let (key, bytes) = (key(&format!("file/{size}.mp4")), pattern(size, 0));
            let mut staged = Staged::new(harness, &bytes);
            let outcome = storage.create(&key, staged.content(&bytes)).await.expect("a create");
            assert!(matches!(outcome, CreateOutcome::Created { .. }), "{key}: {outcome:?}");
            assert_holds(&*storage, &key, &bytes).await;
            let again = storage.create(&key, Staged::new(harness, &bytes).content(&bytes)).await.expect("a create");
            assert_eq!(again, CreateOutcome::AlreadyExists);
            assert!(staged.bytes() == bytes, "publishing never touches the staged file");
            // Nor does the object hang on the file.
            staged.change(Change::Other);
            assert_holds(&*storage, &key, &bytes).await;
        }
    });
}

pub(super) fn refuses_a_local_file_that_is_unfit(harness: &dyn StorageHarness) {
    let bytes = pattern(300_007, 0);
    run(harness, async {
        let (storage, key) = (harness.open().await, key("mvp/clip.mp4"));
        // Between the look at the file, which gave the pin, and now.
        for change in CHANGES {
            let mut staged = Staged::new(harness, &bytes);
            let content = staged.content(&bytes);
            staged.change(change);
            let outcome = storage.create(&key, content).await;
            assert!(matches!(outcome, Err(_) | Ok(CreateOutcome::Unfit(_))), "{change:?}, but {outcome:?}");
            assert_absent(&*storage, &key).await;
        }
        create(&*storage, &key, &bytes).await;
    });
}

pub(super) fn never_stores_a_mix_of_a_file_that_changes(harness: &dyn StorageHarness) {
    let bytes = large(harness, 0);
    run(harness, async {
        let storage = harness.open().await;
        for change in CHANGES {
            let key = key(&format!("{change:?}.mp4"));
            let staged = Staged::new(harness, &bytes);
            let content = staged.content(&bytes);
            // At the first piece that is stored: some of it is read, some perhaps not.
            let (staged, changed) = (Mutex::new(staged), AtomicBool::new(false));
            let meter = Meter::new(move |_| {
                if !changed.swap(true, Ordering::SeqCst) {
                    staged.lock().expect("no other panic").change(change);
                }
            });
            match storage.create(&key, Content { meter, ..content }).await {
                Ok(CreateOutcome::Created { .. }) => assert_holds(&*storage, &key, &bytes).await,
                Ok(CreateOutcome::AlreadyExists) => panic!("{key}: nothing was there"),
                Ok(CreateOutcome::Unfit(_)) | Err(_) => {
                    assert_absent(&*storage, &key).await;
                    assert!(storage.create(&key, good(b"next")).await.is_ok(), "{key} stands in the way");
                }
            }
        }
    });
}

/// What happens to a staged file.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// Its second half becomes other bytes.
    Other,
    Shorter,
    Longer,
}

const CHANGES: [Change; 3] = [Change::Other, Change::Shorter, Change::Longer];

/// A file that is open for a store to read, and here to be changed. It has no name any more.
struct Staged {
    read: File,
    write: File,
}

impl Staged {
    fn new(harness: &dyn StorageHarness, bytes: &[u8]) -> Self {
        static FILES: AtomicUsize = AtomicUsize::new(0);
        let name = format!("conformance-{}-{}", process::id(), FILES.fetch_add(1, Ordering::Relaxed));
        let path = harness.scratch().join(name);
        let created = OpenOptions::new().read(true).write(true).create_new(true).open(&path);
        let mut write = created.expect("a new file in the harness's scratch directory");
        write.write_all(bytes).expect("a write");
        let read = File::open(&path).expect("the file that was just written");
        fs::remove_file(&path).expect("the file that was just written");
        Self { read, write }
    }

    /// The file as content that promises to be `expected`.
    fn content(&self, expected: &[u8]) -> Content {
        let file = self.read.try_clone().expect("one more handle");
        let pin = SourcePin { size: expected.len() as u64, tag: "conformance".into() };
        Content { body: Body::File { file, pin }, ..good(expected) }
    }

    fn change(&mut self, change: Change) {
        let len = self.write.metadata().expect("the file's length").len();
        let changed = match change {
            Change::Shorter => self.write.set_len(len / 2),
            Change::Longer => self.write.seek(SeekFrom::End(0)).and_then(|_| self.write.write_all(b"more")),
            Change::Other => {
                let other: Vec<u8> = self.bytes().split_off(len as usize / 2).iter().map(|byte| !byte).collect();
                self.write.seek(SeekFrom::Start(len / 2)).and_then(|_| self.write.write_all(&other))
            }
        };
        changed.expect("a change of the file");
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write.seek(SeekFrom::Start(0)).expect("a seek");
        self.write.read_to_end(&mut bytes).expect("the file's bytes");
        bytes
    }
}

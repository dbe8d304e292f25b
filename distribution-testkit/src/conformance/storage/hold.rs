//! The check of [`Storage::set_legal_hold`](distribution_core::Storage::set_legal_hold).

use distribution_core::{ErrorKind, LegalHold, ObjectKey, Storage};

use super::{StorageHarness, assert_absent, assert_holds, create, key};
use crate::conformance::run;

async fn told(storage: &dyn Storage, key: &ObjectKey) -> LegalHold {
    storage.stat(key).await.expect("a stat").expect("the object is there").legal_hold
}

pub(super) fn keeps_what_is_under_a_legal_hold(harness: &dyn StorageHarness) {
    run(harness, async {
        let (storage, key, other) = (harness.open().await, key("mvp/a.mp4"), key("mvp/ab.mp4"));
        create(&*storage, &key, b"kept").await;
        create(&*storage, &other, b"other").await;
        if !storage.keeps_legal_holds() {
            let refused = storage.set_legal_hold(&key, LegalHold::On).await.expect_err("it has no legal holds");
            assert_eq!(refused.kind(), ErrorKind::Unsupported, "{refused}");
            assert_eq!(told(&*storage, &key).await, LegalHold::Off);
            return;
        }
        let absent = super::key("mvp/absent.mp4");
        for hold in [LegalHold::On, LegalHold::Off] {
            let set = storage.set_legal_hold(&absent, hold).await.expect("nothing is there to hold");
            assert_eq!(set, None);
            assert_absent(&*storage, &absent).await;
        }
        let mut before = LegalHold::Off;
        for hold in [LegalHold::Off, LegalHold::On, LegalHold::On, LegalHold::Off, LegalHold::Off, LegalHold::On] {
            let set = storage.set_legal_hold(&key, hold).await.expect("a hold that nothing hinders");
            assert_eq!((set, told(&*storage, &key).await), (Some(before), hold), "{hold:?} after {before:?}");
            before = hold;
        }
        let reopened = harness.open().await;
        assert_eq!((told(&*reopened, &key).await, told(&*reopened, &other).await), (LegalHold::On, LegalHold::Off));
        assert_holds(&*reopened, &key, b"kept").await;
        // It fails, or hides the object.
        let removed = reopened.remove(&key).await;
        let is_hidden = storage.stat(&key).await.expect("a stat").is_none();
        assert_eq!(removed.is_ok(), is_hidden, "{removed:?}");
        if is_hidden {
            assert_ne!(harness.is_destroyed(&key).await, Some(true), "{key} was destroyed under a hold");
        } else {
            assert_holds(&*storage, &key, b"kept").await;
            storage.set_legal_hold(&key, LegalHold::Off).await.expect("a hold is lifted");
            storage.remove(&key).await.expect("it is not held any more");
        }
        assert_absent(&*storage, &key).await;
        assert_holds(&*storage, &other, b"other").await;
    });
}

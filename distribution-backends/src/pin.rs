//! Which state of a local file is meant.

use std::fs::File;
use std::io;

use distribution_core::SourcePin;
use rustix::fs::{Stat, fstat};

/// What a pin's tag begins with that was made here.
const PREFIX: &str = "file-";

/// The state that the file is in: its size, and a tag of inode, modification and change time. The device is left
/// out: it has another number on each host that mounts it.
pub(crate) fn pin_of(file: &File) -> io::Result<SourcePin> {
    Ok(pin_of_stat(&fstat(file)?))
}

pub(crate) fn pin_of_stat(found: &Stat) -> SourcePin {
    let tag = format!("{}-{}.{:09}", tag_of_bytes(found), found.st_ctime, found.st_ctime_nsec);
    SourcePin { size: u64::try_from(found.st_size).unwrap_or_default(), tag }
}

/// Whether the file that was in the state `pin` has kept its bytes, whatever became of its name: a change of the
/// name changes the change time, and nothing else that a pin is made of.
pub(crate) fn has_kept_its_bytes(pin: &SourcePin, found: &Stat) -> bool {
    let is_same = pin.tag.strip_prefix(&tag_of_bytes(found)).is_some_and(|rest| rest.starts_with('-'));
    is_same && u64::try_from(found.st_size) == Ok(pin.size)
}

fn tag_of_bytes(found: &Stat) -> String {
    format!("{PREFIX}{:x}-{}.{:09}", found.st_ino, found.st_mtime, found.st_mtime_nsec)
}

/// Whether the file that was in the state `pin` may be in the state `now`: another source's pins
/// have tags of their own, of which only the size can be compared.
pub(crate) fn may_be(pin: &SourcePin, now: &SourcePin) -> bool {
    pin.size == now.size && (pin.tag == now.tag || !pin.tag.starts_with(PREFIX))
}

//! Which state of a local file is meant.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use distribution_core::SourcePin;

/// What a pin's tag begins with that was made here.
const PREFIX: &str = "file-";

/// The state that the file is in: its size, and a tag of device, inode, modification and change time.
pub(crate) fn pin_of(file: &File) -> io::Result<SourcePin> {
    let found = file.metadata()?;
    let tag = format!(
        "{PREFIX}{:x}-{:x}-{}.{:09}-{}.{:09}",
        found.dev(),
        found.ino(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec()
    );
    Ok(SourcePin { size: found.size(), tag })
}

/// Whether the file that was in the state `pin` may be in the state `now`: another source's pins
/// have tags of their own, of which only the size can be compared.
pub(crate) fn may_be(pin: &SourcePin, now: &SourcePin) -> bool {
    pin.size == now.size && (pin.tag == now.tag || !pin.tag.starts_with(PREFIX))
}

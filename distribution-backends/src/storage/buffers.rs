//! Large buffers that are used again. What is allocated on one thread and freed on another piles up in
//! glibc's arenas: parts of 8 MiB, eight at a time, once took 400 MiB instead of 70.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// As many as were ever in use at a time; they are freed when none of them is in use any more.
#[derive(Clone, Default)]
pub(super) struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// An empty buffer with room for so many bytes.
    pub(super) fn take(&self, capacity: usize) -> Buffer {
        let mut bytes = self.idle(Vec::pop).unwrap_or_default();
        bytes.clear();
        bytes.reserve_exact(capacity);
        Buffer { bytes, home: self.clone() }
    }

    fn idle<T>(&self, act: impl FnOnce(&mut Vec<Vec<u8>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A buffer that goes back where it came from when it, or the [`Bytes`] that it became, is dropped.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    home: Buffers,
}

impl Deref for Buffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl From<Buffer> for Bytes {
    fn from(buffer: Buffer) -> Self {
        Bytes::from_owner(buffer)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        self.home.idle(|idle| idle.push(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again_when_nobody_has_its_bytes() {
        let buffers = Buffers::default();
        let mut first = buffers.take(8);
        first.extend_from_slice(b"12345678");
        let place = first.as_ptr();
        let bytes = Bytes::from(first);
        let part = bytes.slice(4..);
        drop(bytes);
        assert_ne!(buffers.take(8).as_ptr(), place);
        assert_eq!(part, b"5678"[..]);
        drop(part);
        assert_eq!(buffers.idle(|idle| idle.len()), 2);
        let again = buffers.take(8);
        assert!(again.is_empty());
        assert_eq!(again.as_ptr(), place);
    }
}

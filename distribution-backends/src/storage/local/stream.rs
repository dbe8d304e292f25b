//! From a stream on an async thread to a reader on a blocking one.

use std::io::{self, Read};
use std::pin::pin;

use bytes::{Buf, Bytes};
use distribution_core::{ByteStream, Error};
use futures::StreamExt;
use futures::future::{Either, select};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// How many pieces of a stream wait for the reader.
const PIECES: usize = 2;

/// A future that feeds the reader, and the reader, which fails unless it got the whole stream. The
/// future ends when the stream or the reader does; its error is the stream's.
pub(super) fn pump(stream: ByteStream) -> (impl Future<Output = Result<(), Error>> + Send, StreamReader) {
    let (to, from) = channel(PIECES);
    (feed(stream, to), StreamReader { from, rest: Bytes::new(), ended: false })
}

async fn feed(mut stream: ByteStream, to: Sender<Option<Bytes>>) -> Result<(), Error> {
    loop {
        let next = match select(stream.next(), pin!(to.closed())).await {
            Either::Left((next, _)) => next.transpose()?,
            Either::Right(((), _)) => return Ok(()),
        };
        let ended = next.is_none();
        if to.send(next).await.is_err() || ended {
            return Ok(());
        }
    }
}

/// Reads what is fed to it.
pub(super) struct StreamReader {
    from: Receiver<Option<Bytes>>,
    rest: Bytes,
    ended: bool,
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !self.ended {
            match self.from.blocking_recv() {
                Some(Some(piece)) => self.rest = piece,
                Some(None) => self.ended = true,
                // The stream failed, or nobody waits any more.
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        let len = buffer.len().min(self.rest.len());
        let (filled, _) = buffer.split_at_mut(len);
        self.rest.copy_to_slice(filled);
        Ok(len)
    }
}

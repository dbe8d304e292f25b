//! Values from arbitrary bytes; zeros when they are used up.

/// Bytes that are used up from the front.
pub(crate) struct Take<'a>(pub(crate) &'a [u8]);

impl<'a> Take<'a> {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn u8(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(crate) fn one_in(&mut self, number: u8) -> bool {
        self.u8().is_multiple_of(number)
    }

    pub(crate) fn u64(&mut self) -> u64 {
        (0..8).fold(0, |number, _| number << 8 | u64::from(self.u8()))
    }

    /// Mostly small, sometimes any.
    pub(crate) fn number(&mut self) -> u64 {
        match self.u8() {
            u8::MAX => self.u64(),
            small => small.into(),
        }
    }

    /// Text up to the next byte that is no text here, a zero.
    pub(crate) fn text(&mut self) -> String {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        let (text, rest) = self.0.split_at(end);
        self.0 = rest.get(1..).unwrap_or_default();
        String::from_utf8_lossy(text).into_owned()
    }
}
